CREATE TABLE images (
    post VARCHAR,
    position INTEGER,
    path VARCHAR,
    sha256 VARCHAR,
    bytes BIGINT,
    width INTEGER,
    height INTEGER,
    error VARCHAR,
    loaded_at TIMESTAMPTZ
);

CREATE TABLE documents (
    record_id VARCHAR,
    path VARCHAR,
    sha256 VARCHAR,
    bytes BIGINT,
    pages INTEGER,
    title VARCHAR,
    has_text BOOLEAN,
    error VARCHAR,
    loaded_at TIMESTAMPTZ
);

CREATE TABLE document_pages (
    sha256 VARCHAR,
    page INTEGER,
    text VARCHAR
);

CREATE TABLE file_chunks (
    record_id VARCHAR,
    name VARCHAR,
    path VARCHAR,
    chunk INTEGER,
    start_line INTEGER,
    end_line INTEGER,
    text VARCHAR,
    sha256 VARCHAR,
    language VARCHAR,
    tokens INTEGER,
    loaded_at TIMESTAMPTZ
);

-- made anew when a task that cites gets its table
CREATE VIEW document_citations AS
SELECT
    NULL::VARCHAR AS task,
    NULL::VARCHAR AS record_id,
    NULL::VARCHAR AS variant,
    NULL::INTEGER AS position,
    NULL::VARCHAR AS document,
    NULL::BIGINT AS page,
    NULL::VARCHAR AS quote,
    NULL::BOOLEAN AS verified,
    NULL::INTEGER AS found_on_page,
    NULL::VARCHAR AS finding
WHERE false;
