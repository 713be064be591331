"""Which part of the product does an issue concern, what does it ask for, and how bad is it?"""

from typing import Literal

from pydantic import BaseModel, Field

from batch_pipeline.tasks import BatchTask


class ProductLabel(BaseModel):
    """Where an issue belongs."""

    reasoning: str = Field(description="One sentence: what the issue is about, and why these labels fit.")
    area: Literal["api", "build", "cli", "documentation", "performance", "security", "tests", "ui", "other"] = Field(
        description="The part of the product that would have to change."
    )
    kind: Literal["bug", "feature", "question", "chore"]
    severity: Literal["low", "medium", "high", "critical"] = Field(
        description="How much it hurts whoever meets it; critical is loss of data, money or safety."
    )
    confidence: float = Field(ge=0, le=1, description="How sure these labels are.")


product_labeling = BatchTask(
    name="product_labeling",
    records="FROM issues",
    system="""\
You label the issues of a software project for its maintainers. Read the issue, then say which area of the product \
it concerns, what kind of issue it is, how severe it is, how sure you are, and why, in one sentence.""",
    prompt="Repository: {repo}\nTitle: {title}\n\n{body}",
    answer=ProductLabel,
    truncate_at={"body": 6_000},
    max_output_tokens=200,
)
