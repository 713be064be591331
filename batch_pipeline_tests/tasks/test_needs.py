from __future__ import annotations

from batch_pipeline.tasks import BatchTask, Record


def _prompt(record: Record) -> str:
    return f"{record['title']} {record['pictures']}"


def test_a_task_with_parts_needs_the_column_that_holds_them() -> None:
    said = BatchTask(name="said", records="FROM posts", prompt=_prompt, answer=str, each="pictures", uses=("title",))
    assert (said.columns, said.needs) == (("title", "pictures"), ("record_id", "title", "pictures"))
    unsaid = BatchTask(name="unsaid", records="FROM posts", prompt=_prompt, answer=str, each="pictures")
    assert (unsaid.columns, unsaid.needs) == (None, ("record_id", "pictures"))
    assert BatchTask(name="plain", records="FROM posts", prompt="{title}", answer=str).needs == ("record_id", "title")
