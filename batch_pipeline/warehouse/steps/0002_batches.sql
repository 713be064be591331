CREATE TABLE batch_requests (
    custom_id VARCHAR,
    job_id VARCHAR,
    batch_id VARCHAR,
    task VARCHAR,
    fingerprint VARCHAR,
    input_tokens BIGINT,
    attempt INTEGER
);

CREATE TABLE request_records (
    job_id VARCHAR,
    batch_id VARCHAR,
    custom_id VARCHAR,
    record_id VARCHAR,
    part INTEGER,
    position INTEGER,
    content_hash VARCHAR
);

CREATE TABLE batch_results (
    custom_id VARCHAR,
    job_id VARCHAR,
    batch_id VARCHAR,
    task VARCHAR,
    outcome VARCHAR,
    http_status INTEGER,
    error_code VARCHAR,
    error_message VARCHAR,
    input_tokens BIGINT,
    cached_tokens BIGINT,
    cache_write_tokens BIGINT,
    output_tokens BIGINT,
    reasoning_tokens BIGINT,
    cost_usd DOUBLE,
    response_text VARCHAR,
    answered_at TIMESTAMPTZ
);

CREATE TABLE batch_jobs (
    job_id VARCHAR,
    job_type VARCHAR,
    task VARCHAR,
    processor VARCHAR,
    provider VARCHAR,
    model VARCHAR,
    status VARCHAR,
    partition_key VARCHAR,
    selection JSON,
    records BIGINT,
    requests BIGINT,
    completed_count BIGINT,
    failed_count BIGINT,
    cost_estimate DOUBLE,
    cost_usd DOUBLE,
    error_message VARCHAR,
    metadata JSON,
    created_at TIMESTAMPTZ,
    submitted_at TIMESTAMPTZ,
    completed_at TIMESTAMPTZ,
    expires_at TIMESTAMPTZ
);

CREATE TABLE batches (
    batch_id VARCHAR,
    job_id VARCHAR,
    task VARCHAR,
    provider VARCHAR,
    model VARCHAR,
    status VARCHAR,
    remote_id VARCHAR,
    remote_status VARCHAR,
    input_file_id VARCHAR,
    output_file_id VARCHAR,
    error_file_id VARCHAR,
    requests BIGINT,
    completed_count BIGINT,
    failed_count BIGINT,
    input_tokens BIGINT,
    cost_estimate DOUBLE,
    cost_usd DOUBLE,
    usage JSON,
    error_message VARCHAR,
    created_at TIMESTAMPTZ,
    submitted_at TIMESTAMPTZ,
    completed_at TIMESTAMPTZ,
    expires_at TIMESTAMPTZ
);

CREATE VIEW batch_items AS
SELECT
    records.job_id,
    records.custom_id,
    records.record_id,
    results.outcome AS status,
    results.response_text AS result,
    results.error_message,
    results.answered_at AS created_at
FROM request_records AS records
JOIN batch_results AS results USING (batch_id, custom_id);
