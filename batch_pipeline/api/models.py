"""What goes in and out, as OpenAPI shows it. Times are unix seconds, money is USD."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StringConstraints

from batch_pipeline.batches.listing import MOST_META, MOST_VALUE, NAME
from batch_pipeline.batches.requests.orders import PATTERN
from batch_pipeline.batches.standing.status import BatchState, JobState
from batch_pipeline.settings import Mode, ProviderName

TaskName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,99}$")]
"""Hyphens serve as underscores."""
Word = Annotated[str, StringConstraints(min_length=1, max_length=200)]
MetaName = Annotated[str, StringConstraints(pattern=NAME)]
MetaValue = Annotated[str, StringConstraints(max_length=MOST_VALUE)]
JobType = Literal["task", "eval", "embedding", "reprocess"]


def _no_text(value: object) -> object:
    """JSON tells a number from a text and from a truth; what OpenAPI says is what is taken."""
    if isinstance(value, (bool, str, bytes)):
        raise ValueError("it must be a number")
    return value


MOST_RECORDS = 10_000_000
Count = Annotated[int, Field(ge=0, le=MOST_RECORDS), BeforeValidator(_no_text)]
CountFromOne = Annotated[int, Field(ge=1, le=MOST_RECORDS), BeforeValidator(_no_text)]
Hour = Annotated[int, Field(ge=0, le=23), BeforeValidator(_no_text)]
Usd = Annotated[float, Field(ge=0, allow_inf_nan=False), BeforeValidator(_no_text)]

OrderNames = Annotated[str, StringConstraints(pattern=PATTERN, max_length=500)]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CreateBatch(_Asked):
    """Which records of a task are asked about, of whom, for how much."""

    task: TaskName = Field(examples=["issue_kind"])
    sql: Annotated[str, StringConstraints(min_length=1, max_length=100_000)] | None = Field(
        default=None, description="A SELECT on the warehouse, in place of the task's records."
    )
    ids: list[Word] | None = Field(default=None, description="These records only, by `record_id`.")
    repo: Word | None = Field(default=None, description="Records of this repository, `owner/name`.")
    org: Word | None = Field(default=None, description="Records of this owner.")
    state: Word | None = Field(default=None, description="Records in this state, such as `open`.")
    limit: Count | None = Field(default=None, description="At most so many records.")
    order: OrderNames | None = Field(
        default=None,
        description="What comes first: `age`, `newest`, `updated`, `reactions`, `comments`, `label`, `label:NAME`; "
        "several with commas.",
    )
    variant: Word | None = Field(default=None, description="One of the task's named prompts.")
    which: Literal["new", "missing", "outdated", "all"] = Field(
        default="new",
        description="`new`: not answered at this content; `missing`: without any answer; `outdated`: also answered by "
        "an older prompt; `all`: answered or not.",
    )
    model: Word | None = Field(default=None, description="In place of the task's.")
    provider: ProviderName | None = Field(default=None, description="In place of the task's.")
    budget_usd: Usd | None = Field(default=None, description="What the job with its attempts may cost, at worst.")
    canary: Count | None = Field(
        default=None,
        description="So many records go first, the rest if they go well; 0 for none. Else as many as the task says.",
    )
    mode: Mode = Field(
        default="batch",
        description="`realtime`: answered at once, at the full price; `flex`: slower, at the price of a batch.",
    )
    metadata: dict[MetaName, MetaValue] = Field(
        default_factory=dict,
        max_length=MOST_META,
        description="Kept with the job, to find it by.",
        json_schema_extra={"additionalProperties": False},  # pydantic tells the pattern of the names, and not this
    )
    dry_run: StrictBool = Field(default=False, description="What it would come to; nothing is planned.")
    force: StrictBool = Field(
        default=False, description="All that `which` would leave out, too: what was answered is paid again."
    )


class CreatedBatch(BaseModel):
    """What came of an order; `job_id` is null in a dry run only.

    While `state` is `planning`, the figures are 0: they are known when the job is planned.
    """

    job_id: str | None
    task: str
    state: JobState | None
    records: int
    requests: int
    reused: int
    batches: int
    input_tokens: int
    estimated_cost_usd: float
    dry_run: bool = False
    skipped: int = Field(description="Answered before, or beyond the limit.")
    given_up: int
    waiting: int = Field(description="Records that wait for another job's answer.")
    batch_usd: float | None = Field(default=None, description="In a dry run: the price in batch.")
    realtime_usd: float | None = Field(default=None, description="In a dry run: the price in realtime.")
    saved_usd: float | None = Field(default=None, description="In a dry run: what batch saves.")


class ProviderBatch(BaseModel):
    """One batch at the provider."""

    model_config = ConfigDict(from_attributes=True)

    batch_id: str
    remote_id: str | None
    state: BatchState
    remote_status: str | None
    completed: int
    total: int
    waits_for: str | None
    wait_kind: str | None


class JobShown(BaseModel):
    """Where a job stands, with its attempts: what `status JOB --json` prints."""

    model_config = ConfigDict(from_attributes=True)

    job_id: str
    task: str
    state: JobState
    records: int
    requests: int
    outcomes: dict[str, int] = Field(description="Records by their latest outcome.")
    attempts: int
    batches: list[ProviderBatch]
    estimated_cost_usd: float
    cost_usd: float
    provider: ProviderName
    model: str
    partition_key: str | None
    waits_for: str | None
    input_tokens: int
    skipped: int
    reused: int
    created_at: float
    mode: Mode
    canary: str | None
    job_type: str
    metadata: dict[str, str]
    error_message: str | None = Field(description="Why it could not be planned.")


class RetriedJob(JobShown):
    """A job of which something goes again."""

    attempt: str | None = Field(description="The id of the attempt; null where nothing goes again.")


class JobPage(BaseModel):
    """Some of the jobs, the newest first."""

    jobs: list[JobShown]
    next_cursor: str | None = Field(description="Of the next page; null on the last one.")


class RecordShown(BaseModel):
    """What became of a record; `answer` has the fields of the task's answer."""

    model_config = ConfigDict(from_attributes=True)

    record_id: str
    outcome: str
    answer: dict[str, object] | None
    error_code: str | None
    error_message: str | None
    job_id: str
    reused_from: str | None
    answered_at: str | None = Field(description="ISO 8601, UTC.")


class ResultPage(BaseModel):
    """Some of a job's records, in the order of their ids; those that nothing came for yet are not among them."""

    job_id: str
    results: list[RecordShown]
    next_cursor: str | None = Field(description="Of the next page; null on the last one.")


class NewSchedule(_Asked):
    """What is to be asked for at an hour of each day."""

    task: TaskName = Field(examples=["issue_kind"])
    repository: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}$")] | None = (
        Field(default=None, description="Its records only, `owner/name`.")
    )
    hour: Hour = Field(description="Of the day, in the pipeline's time zone.")
    most_records: CountFromOne | None = Field(default=None, description="A day's job has no more.")
    order: OrderNames | None = Field(default=None, description="What comes first, as on create.")


class ScheduleShown(BaseModel):
    """A schedule, and what came of it last."""

    schedule_id: str
    task: str
    repository: str | None
    hour: int
    most_records: int | None
    order: str | None
    created_at: float
    last_day: str | None = Field(description="The day for which it was placed last; it is not placed twice.")
    last_job_id: str | None
    error: str | None = Field(description="Why it could not be placed.")


class Schedules(BaseModel):
    """All schedules, the oldest first."""

    schedules: list[ScheduleShown]


class TaskShown(BaseModel):
    """What is asked of each record."""

    task: str
    provider: ProviderName
    model: str | None = Field(description="Null where the provider has none for it.")
    endpoint: str
    partitions: str | None
    prompt_version: str
    variants: list[str]
    answer: dict[str, str] = Field(description="The answer's columns, with their SQL types.")


class Tasks(BaseModel):
    """The tasks, and for each file that did not load, why."""

    tasks: list[TaskShown]
    failed: dict[str, str]


class CostShown(BaseModel):
    """What jobs of one task, model and mode came to, and would have come to in each mode."""

    task: str
    provider: ProviderName
    model: str
    mode: Mode
    jobs: int
    records: int
    answered: int
    estimated_usd: float
    paid_usd: float
    batch_usd: float
    flex_usd: float
    realtime_usd: float
    saved_usd: float
    per_record_usd: float


class Costs(BaseModel):
    """By task, provider, model and mode."""

    costs: list[CostShown]


Health = Literal["ok", "busy", "failed"]


class Healthy(BaseModel):
    """Whether this server can do its work."""

    status: Literal["ok", "failed"]
    enabled: bool = Field(description="False: nothing is planned or sent.")
    ledger: Health
    warehouse: Health
    provider: ProviderName
    provider_configured: bool
    worker: Literal["running", "stopped", "off"] = Field(description="`off`: Dagster does its work.")


class WebhookTaken(BaseModel):
    """A webhook that was taken."""

    status: Literal["taken", "known", "ignored"] = Field(
        description="`known`: sent again, and taken before; `ignored`: of no batch."
    )
