-- what Python programs asked, one row an item and content: the tasks that are made of them select from here
CREATE TABLE python_items (
    batch VARCHAR,
    envelope VARCHAR,
    record_id VARCHAR,
    position BIGINT,
    content JSON,
    parameters JSON,
    content_hash VARCHAR,
    added_at TIMESTAMPTZ
);
