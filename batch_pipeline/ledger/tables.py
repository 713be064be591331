"""The tables. Times are unix seconds (UTC), money is USD, JSON is text.

Changed only together with a migration; `test_migrations.py` compares the two.
"""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Float, ForeignKey, Index, Integer, MetaData, String, Table, Text

metadata = MetaData()

_Large = BigInteger().with_variant(Integer, "sqlite")  # there, every integer has room enough

jobs = Table(
    "jobs",
    metadata,
    Column("job_id", String, primary_key=True),
    Column("key", String, nullable=False, unique=True),  # a call that is repeated finds its job
    Column("root_job_id", String, nullable=False),  # of an attempt: the job it goes on with; else its own
    Column("attempt", Integer, nullable=False),  # 1 for the job itself
    Column("job_type", String, nullable=False),
    Column("task", String, nullable=False),
    Column("provider", String, nullable=False),
    Column("model", String, nullable=False),
    Column("partition_key", String),
    Column("selection", JSON, nullable=False),
    Column("snapshot", Text, nullable=False),
    Column("planner", String),  # the token of the process that plans; only its commit counts
    Column("created_at", Float, nullable=False),
    Column("planned_at", Float),
    Column("selected", Integer, nullable=False),  # records that the selection gave
    Column("skipped", Integer, nullable=False),  # of these: answered before, in this task
    Column("given_up", Integer, nullable=False),  # of these: refused, failed or out of attempts before
    Column("records", Integer, nullable=False),  # what this job accounts for
    Column("requests", Integer, nullable=False),  # lines sent for them
    Column("reused", Integer, nullable=False),  # records whose answer was bought before
    Column("waiting", Integer, nullable=False),  # records whose request another job has in flight
    Column("unsendable", Integer, nullable=False),  # records too large for a file
    Column("input_tokens", _Large, nullable=False),
    Column("estimate_usd", Float, nullable=False),
    Column("bound_usd", Float, nullable=False),
    Column("taken", JSON, nullable=False),  # of an attempt: records taken over from the one before, by outcome
    Column("shared_at", Float),  # when what is reused and what was waited for had been handed over
    Column("shared_outcomes", JSON, nullable=False),  # records by outcome, of those that no batch of this job has
    Column("closed_at", Float),  # when nothing more will be sent for it
    Column("cancel_asked_at", Float),
    Column("error_message", Text),
    Column("metadata", JSON, nullable=False),
    Index("jobs_root", "root_job_id", "attempt", unique=True),
    Index("jobs_open", "closed_at"),
)

batches = Table(
    "batches",
    metadata,
    Column("batch_id", String, primary_key=True),
    Column("job_id", String, ForeignKey(jobs.c.job_id), nullable=False, index=True),
    Column("number", Integer, nullable=False),
    Column("sha256", String, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("requests", Integer, nullable=False),
    Column("records", Integer, nullable=False),
    Column("input_tokens", _Large, nullable=False),
    Column("estimate_usd", Float, nullable=False),
    Column("bound_usd", Float, nullable=False),
    Column("wait_kind", String),  # why it is planned and not sent: budget, capacity, refused, canary, stopped (by it)
    Column("wait_reason", Text),
    Column("wait_until", Float),
    Column("cancel_asked_at", Float),
    Column("remote_status", String),
    Column("completed", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("input_file_id", String),
    Column("output_file_id", String),
    Column("error_file_id", String),
    Column("usage", JSON),
    Column("errors", JSON, nullable=False),  # the entries of a batch that failed validation
    Column("submitted_at", Float),
    Column("expires_at", Float),
    Column("ended_at", Float, index=True),
    Column("recheck_at", Float),  # rows were in no file: when to look again
    Column("collected_at", Float, index=True),
    Column("outcomes", JSON, nullable=False),  # records by outcome
    Column("request_outcomes", JSON, nullable=False),
    Column("cost_usd", Float),
    Column("error_message", Text),
)

sends = Table(
    "sends",
    metadata,
    Column("batch_id", String, ForeignKey(batches.c.batch_id), primary_key=True),
    Column("number", Integer, primary_key=True),  # two who claim at once write the same number: one of them fails
    Column("claim", String, nullable=False, unique=True),
    Column("account", String, nullable=False),  # hash of base URL, project and key
    Column("claimed_at", Float, nullable=False),
    Column("file_id", String),
    Column("uploaded_at", Float),  # the provider's clock
    Column("sent_sha256", String),  # of the body, where the requests are in it: what a claim was put into
    Column("posted_at", Float),  # from here on the batch may exist
    Column("fenced_at", Float),  # the provider's clock; from here on it can no longer come to be
    Column("remote_id", String, unique=True),
    Column("end", String),  # refused, void, collected, doubled
    Column("held", Text),  # why a person must decide
)

inflight = Table(
    "inflight",
    metadata,
    Column("fingerprint", String, primary_key=True),
    Column("job_id", String, nullable=False, index=True),
    Column("custom_id", String, nullable=False),
)

waits = Table(
    "waits",
    metadata,
    Column("job_id", String, primary_key=True),
    Column("fingerprint", String, primary_key=True),
)

given_up = Table(
    "given_up",
    metadata,
    Column("fingerprint", String, primary_key=True),
    Column("task", String, nullable=False),
    Column("job_id", String, nullable=False),
    Column("outcome", String, nullable=False),
    Column("reason", Text),
    Column("at", Float, nullable=False),
)

budgets = Table(
    "budgets",
    metadata,
    Column("name", String, primary_key=True),  # the row that admissions queue up for
    Column("limit_usd", Float),
)

events = Table(
    "events",
    metadata,
    Column("event_id", Integer, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("who", String, nullable=False),
    Column("job_id", String, nullable=False, index=True),
    Column("batch_id", String),
    Column("event", String, nullable=False),
    Column("detail", JSON, nullable=False),
)

repos = Table(
    "repos",
    metadata,
    Column("name", String, primary_key=True),
    Column("github_id", _Large),
    Column("source", String, nullable=False),
    Column("issues_since", String),
    Column("comments_since", String),
    Column("etags", JSON, nullable=False),
    Column("previous_names", JSON, nullable=False),
    Column("added_at", Float, nullable=False),
    Column("error", Text),
)

schedules = Table(
    "schedules",
    metadata,
    Column("schedule_id", String, primary_key=True),
    Column("task", String, nullable=False),
    Column("repo", String),  # all of the task's records where there is none
    Column("hour", Integer, nullable=False),  # of the day, in TIMEZONE
    Column("most_records", Integer),
    Column("order", JSON),  # names of `batches/requests/orders.py`
    Column("created_at", Float, nullable=False),
    Column("last_day", String),  # the day for which it was placed last
    Column("last_job_id", String),
    Column("error", Text),  # why it could not be placed
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("webhook_id", String, primary_key=True),  # what was taken once is not taken again
    Column("signed_at", _Large, nullable=False),
    Column("received_at", Float, nullable=False, index=True),
    Column("remote_id", String, nullable=False),  # of the batch that it tells of
    Column("looked_at", Float),  # when that batch was asked for
)

notices = Table(
    "notices",
    metadata,
    Column("notice_id", Integer, primary_key=True, autoincrement=True),
    Column("key", String, nullable=False, unique=True),  # what it tells of; told once
    Column("kind", String, nullable=False),
    Column("job_id", String),
    Column("text", Text, nullable=False),
    Column("fields", JSON, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next_at", Float, index=True),  # none: sent, or given up
    Column("sent_at", Float),
    Column("error", Text),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("key", String, primary_key=True),
    Column("sha256", String, nullable=False),  # of what was asked with it
    Column("provider", String, nullable=False),  # who was to answer then, whatever the settings say now
    Column("model", String, nullable=False),
    Column("created_at", Float, nullable=False, index=True),
)

meta = Table(
    "meta",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", JSON, nullable=False),
)
