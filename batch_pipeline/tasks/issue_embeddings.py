"""Where an issue stands among the others: its embedding, for neighbours and duplicates."""

from batch_pipeline.tasks import BatchTask

issue_embeddings = BatchTask(
    name="issue_embeddings",
    records="FROM issues",
    prompt="{title}\n\n{body}",
    answer=list[float],
    endpoint="embeddings",
    truncate_at={"body": 3_000},
    min_answered=0.95,
)
