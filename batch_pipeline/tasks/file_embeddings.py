"""Where a piece of a text or code file stands among the others: its embedding, for search by meaning."""

from batch_pipeline.tasks import BatchTask

file_embeddings = BatchTask(
    name="file_embeddings",
    records="FROM file_chunks",
    prompt="{name}\n\n{text}",
    answer=list[float],
    endpoint="embeddings",
    partitions=None,
    deps=("files",),
)
