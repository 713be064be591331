"""What do a planner, a coder, a fixer and a reviewer have to say about an issue?"""

from typing import Literal

from pydantic import BaseModel, Field

from batch_pipeline.tasks import BatchTask


class Contribution(BaseModel):
    """One role's part in the work on an issue."""

    summary: str = Field(description="One sentence: what has to happen.")
    steps: list[str] = Field(description="What is to be done, in order; each small enough for one commit.")
    text: str = Field(description="The role's own work, as Markdown: the plan, the code, the fix or the review.")
    risk: Literal["low", "medium", "high"] = Field(description="How likely it is to break something else.")
    ready: bool = Field(description="Whether the issue says enough to begin.")


ABOUT = "You work in a team on the issues of a software project, and know of the code only what the issue says."

issue_work = BatchTask(
    name="issue_work",
    records="FROM issues WHERE state = 'open'",
    prompt="Repository: {repo}\nTitle: {title}\nLabels: {labels}\n\n{body}",
    answer=Contribution,
    variants={
        "planner": f"{ABOUT} You are the planner: break the work into steps, say in which order, and what to find out "
        "first. Write no code.",
        "coder": f"{ABOUT} You are the coder: sketch the change as code, with the names that the issue uses, and say "
        "where you guess.",
        "fixer": f"{ABOUT} You are the fixer: name the likeliest cause, the smallest change that removes it, and the "
        "test that would have caught it.",
        "reviewer": f"{ABOUT} You are the reviewer: say what a change for this issue must not break, which cases its "
        "tests must have, and what you would send it back for.",
    },
    order="reactions DESC NULLS LAST, created_at, record_id",
    truncate_at={"body": 6_000},
    max_output_tokens=700,
    partitions="night",
    nightly=False,  # four long answers an issue: nothing to begin with on a machine of one's own
)
