"""What is asked: `BatchTask`, and one file per task.

To add a task, add a file here that holds one `BatchTask`. Its assets, its table and its place in the command follow.
"""

from batch_pipeline.tasks.content import Content, Document, Image, Text, UnusableRecord
from batch_pipeline.tasks.task import BatchTask, Record

__all__ = ["BatchTask", "Content", "Document", "Image", "Record", "Text", "UnusableRecord"]
