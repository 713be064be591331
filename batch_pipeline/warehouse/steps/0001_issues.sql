CREATE TABLE issue_versions (
    record_id VARCHAR,
    repo VARCHAR,
    org VARCHAR,
    name VARCHAR,
    number BIGINT,
    state VARCHAR,
    title VARCHAR,
    body VARCHAR,
    labels VARCHAR[],
    author VARCHAR,
    comment_count INTEGER,
    reactions INTEGER,
    url VARCHAR,
    created_at TIMESTAMPTZ,
    updated_at TIMESTAMPTZ,
    closed_at TIMESTAMPTZ,
    extra JSON,
    night DATE,
    collected_at TIMESTAMPTZ,
    content_hash VARCHAR,
    source VARCHAR
);

CREATE TABLE issue_comments (
    comment_id VARCHAR,
    record_id VARCHAR,
    repo VARCHAR,
    author VARCHAR,
    body VARCHAR,
    reactions INTEGER,
    url VARCHAR,
    created_at TIMESTAMPTZ,
    updated_at TIMESTAMPTZ,
    night DATE,
    collected_at TIMESTAMPTZ,
    content_hash VARCHAR,
    source VARCHAR
);

CREATE VIEW issues AS
SELECT *
FROM issue_versions
QUALIFY row_number() OVER (
    PARTITION BY record_id
    ORDER BY updated_at DESC NULLS LAST, collected_at DESC
) = 1;
