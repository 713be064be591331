"""What assets, their checks and their steps are called: other parts of the project depend on these names."""

from __future__ import annotations

import dagster as dg

ISSUES = dg.AssetKey("issues")
IMAGES = dg.AssetKey("images")
DOCUMENTS = dg.AssetKey("documents")
FILES = dg.AssetKey("files")
ADHOC_JOBS = dg.AssetKey("adhoc_jobs")
BATCH_JOBS = dg.AssetKey("batch_jobs")
SPEND = dg.AssetKey("spend")
OPERATIONS = dg.AssetKey("operations")
EVAL_SCORES = dg.AssetKey("eval_scores")
REPROCESS_FAILED = dg.AssetKey("reprocess_failed")

ACCOUNTED_FOR = "every_record_accounted_for"
SHARE_ANSWERED = "share_answered"
WITHIN_ESTIMATE = "cost_within_estimate"
WITHIN_WINDOW = "nothing_older_than_its_window"

NIGHTLY = "nightly"
"""The tag of a plan: `yes` where the sensor asks for it by itself, `no` where a person does."""

OWNERS = ["team:batch_pipeline"]
RECORDS_GROUP, REPORTS_GROUP = "records", "reports"
"""Groups in the asset graph; a task's assets are in a group of its name."""


def requests_key(task: str) -> dg.AssetKey:
    """The plan: the requests of a task's records."""
    return dg.AssetKey([task, "requests"])


def submission_key(task: str) -> dg.AssetKey:
    """The batches at the provider."""
    return dg.AssetKey([task, "submission"])


def results_key(task: str) -> dg.AssetKey:
    """The typed answers."""
    return dg.AssetKey([task, "results"])


def submit_step(task: str) -> str:
    """The step that plans and submits, by which its configuration is found."""
    return f"{task}__submit"


def results_step(task: str) -> str:
    """The step that collects."""
    return f"{task}__results"


def score_check(task: str) -> str:
    """The check of a task's newest evaluation."""
    return f"{task}_scores_well_enough"
