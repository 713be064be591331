"""What is an issue about, what would one reply, and which team should look at it?"""

from typing import Literal

from pydantic import BaseModel, Field

from batch_pipeline.tasks import BatchTask


class IssueSummary(BaseModel):
    """An issue with its comments, in short, and what to do next."""

    summary: str = Field(
        description="Three to six sentences: what is reported or wanted, what was tried, what the comments agree on, "
        "and what is still open."
    )
    reply_draft: str = Field(
        description="A reply that a maintainer could post after a look at it: it thanks, asks for what is missing, "
        "and says what happens next. In the issue's language, as Markdown, 200 words at most."
    )
    team: Literal["core", "frontend", "documentation", "infrastructure", "security", "support"] = Field(
        description="Who should look at it first."
    )


RECORDS = """\
WITH newest AS (
    SELECT *
    FROM issue_comments
    QUALIFY row_number() OVER (PARTITION BY comment_id ORDER BY updated_at DESC NULLS LAST, collected_at DESC) = 1
),
threads AS (
    SELECT record_id, string_agg(coalesce(author, 'somebody') || ': ' || body, chr(10) || chr(10) ORDER BY created_at)
        AS thread
    FROM newest
    GROUP BY record_id
)
SELECT issues.*, threads.thread
FROM issues
LEFT JOIN threads USING (record_id)"""

issue_summary = BatchTask(
    name="issue_summary",
    records=RECORDS,
    endpoint="responses",
    system="""\
You help the maintainers of a software project through their issues. Read the issue and its comments. Sum it up for \
somebody who has not seen it, draft a reply, and name the team that should look at it first. Take nothing for a fact \
that the text does not say; where something is missing, let the reply ask for it.""",
    prompt="Repository: {repo}\nTitle: {title}\nState: {state}\n\n{body}\n\nComments:\n{thread}",
    answer=IssueSummary,
    truncate_at={"body": 8_000, "thread": 8_000},
    max_output_tokens=900,
    nightly=False,  # whole threads, at length: nothing to begin with on a machine of one's own
)
