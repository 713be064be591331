"""What a prompt function needs to ask about files: images and PDFs, as they are sent.

Example:
    >>> from batch_pipeline.tasks import Record, Text
    >>> def prompt(record: Record) -> list[object]:
    ...     return [Text("What is on it?"), read_image(str(record["path"]))]
"""

from batch_pipeline.tasks.media.documents import read_document
from batch_pipeline.tasks.media.images import read_image

__all__ = ["read_document", "read_image"]
