"""Is an issue a bug, a feature request or a question?"""

from typing import Literal

from pydantic import BaseModel

from batch_pipeline.tasks import BatchTask


class IssueKind(BaseModel):
    """What an issue is."""

    label: Literal["bug", "feature", "question"]


issue_kind = BatchTask(
    name="issue_kind",
    records="FROM issues",
    system="""\
Say what the GitHub issue is: a bug (something is broken), a feature (something is wanted), \
or a question (something is asked).

Crash when the file is empty -> bug
Please add a dark theme -> feature
How do I set the port? -> question""",
    prompt="{title}\n\n{body}",
    answer=IssueKind,
    truncate_at={"body": 3_000},
    max_output_tokens=20,
    min_answered=0.95,
)
