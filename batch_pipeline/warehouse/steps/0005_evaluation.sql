-- A set of gold answers, named by its content: what was scored can be scored again.
CREATE TABLE gold_answers (
    task VARCHAR,
    field VARCHAR,
    gold_hash VARCHAR,
    record_id VARCHAR,
    answer JSON,
    source VARCHAR,
    loaded_at TIMESTAMPTZ
);

-- What was asked about which set; `job_id` is NULL where every answer was there.
CREATE TABLE eval_runs (
    task VARCHAR,
    field VARCHAR,
    gold_hash VARCHAR,
    provider VARCHAR,
    model VARCHAR,
    prompt_version VARCHAR,
    variant VARCHAR,
    job_id VARCHAR,
    asked_at TIMESTAMPTZ
);

-- Added to, never changed: the newest row of a setup and a set is the one that holds.
CREATE TABLE eval_scores (
    task VARCHAR,
    field VARCHAR,
    provider VARCHAR,
    model VARCHAR,
    prompt_version VARCHAR,
    variant VARCHAR,
    gold_hash VARCHAR,
    rows BIGINT,
    answered BIGINT,
    accuracy DOUBLE,
    accuracy_low DOUBLE,
    accuracy_high DOUBLE,
    macro_f1 DOUBLE,
    macro_f1_low DOUBLE,
    macro_f1_high DOUBLE,
    micro_f1 DOUBLE,
    cost_usd DOUBLE,
    per_class JSON,
    confusion JSON,
    unanswered JSON,
    answers_hash VARCHAR,
    job_id VARCHAR,
    scored_at TIMESTAMPTZ
);
