from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field, create_model

from batch_pipeline.errors import InvalidTask
from batch_pipeline.tasks import BatchTask, Record
from batch_pipeline.tasks.snapshot import TaskSnapshot
from batch_pipeline.tasks.task import OWN_COLUMNS, PROJECT_TABLES
from batch_pipeline.warehouse import answers
from batch_pipeline.warehouse.connection import Warehouse


class Mood(BaseModel):
    """How somebody feels."""

    label: Literal["glad", "sad"]


class OtherMood(BaseModel):
    """How somebody feels."""

    label: Literal["glad", "sad", "calm"]


def by_title(record: Record) -> str:
    return f"{record['title']}"


def by_body(record: Record) -> str:
    return f"{record['body']}"


TASK = BatchTask(
    name="mood",
    records="FROM issues",
    prompt="{title}: {body}",
    answer=Mood,
    system="Say how they feel.",
    variants={"short": "How?"},
    parameters={"temperature": 0},
)


def test_a_task_knows_its_columns_and_its_answers_columns() -> None:
    assert TASK.columns == ("title", "body")
    assert TASK.answer_columns == {"label": "VARCHAR"}
    assert replace(TASK, prompt="{title} {{not a column}} {title:>20}").columns == ("title",)


def test_text_is_an_answer_of_one_column_and_no_schema() -> None:
    text = replace(TASK, answer=str)
    assert text.schema is None
    assert text.answer_columns == {"text": "VARCHAR"}


def test_a_prompt_function_says_what_it_reads_or_nothing() -> None:
    assert replace(TASK, prompt=by_title).columns is None
    assert replace(TASK, prompt=by_title, uses=("title",)).columns == ("title",)


def test_both_lists_of_a_tables_own_columns_are_the_same() -> None:
    assert tuple(answers.OWN_COLUMNS) == OWN_COLUMNS


def test_the_refused_names_are_the_tables_and_views_that_the_warehouse_makes(tmp_path: Path) -> None:
    with Warehouse(tmp_path / "warehouse.duckdb").read() as connection:
        made = {name for (name,) in connection.execute("SELECT table_name FROM information_schema.tables").fetchall()}
    assert made | {"eval_scores"} == PROJECT_TABLES  # eval_scores is kept free for the scores, which come later


@pytest.mark.parametrize("name", ["", "Mood", "1mood", "_mood", "mo-od", "mood mood", "m" * 41, "mood\n", "möod"])
def test_a_name_that_is_no_tables_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidTask, match="can't be a task's name: lower case letters, digits and underscores"):
        replace(TASK, name=name)


@pytest.mark.parametrize("name", [*sorted(PROJECT_TABLES), "mood_latest"])
def test_a_name_of_the_projects_own_is_refused(name: str) -> None:
    with pytest.raises(InvalidTask, match=f"`{name}` is the name of one of the project's own tables"):
        replace(TASK, name=name)


@pytest.mark.parametrize("column", OWN_COLUMNS)
def test_an_answers_field_that_every_table_has_is_refused(column: str) -> None:
    for name in (column, column.upper()):
        with pytest.raises(InvalidTask, match=f"its answer has a field `{column}`, which is a column of every task"):
            replace(TASK, answer=create_model("Answer", field=(str, Field(alias=name))))


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("Is it a bug?", "its prompt names no column"),
        ("{{title}}", "its prompt names no column"),
        ("{title", "its prompt is no template"),
        ("title}", "its prompt is no template"),
        ("{title} and {}", "`{}` in its prompt is no column's name"),
        ("{title!r}", "write `{title}` in its prompt without `!` and inner braces"),
        ("{title:{width}}", "write `{title}` in its prompt without `!` and inner braces"),
        ("{0}", "`{0}` in its prompt is no column's name"),
        ("{title.upper}", "is no column's name"),
        ("{title[0]}", "is no column's name"),
        ('{"json": 1} {title}', "is no column's name|its prompt is no template"),
    ],
)
def test_a_prompt_that_is_no_template_of_columns_is_refused(prompt: str, said: str) -> None:
    with pytest.raises(InvalidTask, match=said):
        replace(TASK, prompt=prompt)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"endpoint": "embed"}, "endpoint `embed` is not one of chat, responses"),
        ({"provider": "opanai"}, "provider `opanai` is not one of openai, anthropic, local"),
        ({"partitions": "weekly"}, "partitions `weekly` is not one of repo_night, night, nor None"),
        ({"max_output_tokens": 0}, "max_output_tokens must be at least 1"),
        ({"min_answered": 1.5}, "min_answered is a share between 0 and 1"),
        ({"answer": int}, r"answer must be a pydantic model, str or list\[float\]"),
        ({"answer": Mood(label="sad")}, r"answer must be a pydantic model, str or list\[float\]"),
        ({"answer": list[float]}, "`embeddings` and the answer .* go together"),
        ({"endpoint": "embeddings"}, "`embeddings` and the answer .* go together"),
        ({"dimensions": 3}, "dimensions are those of an embedding"),
        ({"answer": list[float], "endpoint": "embeddings", "dimensions": 0}, "dimensions are those of an embedding"),
        ({"answer": list[float], "endpoint": "embeddings", "system": "Say."}, "an embedding has no instructions"),
        ({"citations": True}, "citations come with an answer of str"),
        ({"each": "title"}, "its prompt must be a function"),
        ({"answer": create_model("Answer", tags=(dict[str, int], ...))}, "Task `mood`: `Answer.tags` is an open dict"),
        ({"parameters": {"model": "a-dearer-one"}}, "`model` can't be among its parameters"),
        ({"parameters": {"max_completion_tokens": 9}}, "`max_completion_tokens` can't be among its parameters"),
        ({"parameters": {"stop": {"a", "set"}}}, "its prompt or its parameters can't be written down"),
        ({"prompt": len}, "its prompt or its parameters can't be written down"),
    ],
)
def test_a_value_that_cannot_work_is_refused_when_the_task_is_made(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidTask, match=said):
        replace(TASK, **change)


def test_a_prompt_function_whose_source_is_nowhere_is_refused() -> None:
    made: dict[str, Callable[[Record], str]] = {}
    exec("def prompt(record):\n    return record['title']", made)
    with pytest.raises(InvalidTask, match="the source of its prompt function can't be read"):
        replace(TASK, prompt=made["prompt"])


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "{body}: {title}"},
        {"prompt": by_title},
        {"system": "Say how they feel!"},
        {"answer": OtherMood},
        {"answer": str},
        {"parameters": {"temperature": 1}},
        {"truncate_at": {"body": 100}},
        {"endpoint": "responses"},
    ],
)
def test_the_prompt_version_changes_with_what_is_asked(change: dict[str, Any]) -> None:
    assert replace(TASK, **change).prompt_version() != TASK.prompt_version()


@pytest.mark.parametrize(
    "change",
    [
        {"name": "feeling"},
        {"records": "FROM issues WHERE state = 'open'"},
        {"model": "gpt-6-sol"},
        {"provider": "openai"},
        {"max_output_tokens": 9},
        {"partitions": None},
        {"order": "title"},
        {"variants": {"short": "How?", "long": "And how do they feel?"}},
        {"min_answered": 0.5},
        {"deps": ()},
    ],
)
def test_the_prompt_version_stays_with_what_is_asked(change: dict[str, Any]) -> None:
    assert replace(TASK, **change).prompt_version() == TASK.prompt_version()


def test_a_prompt_version_is_the_same_in_every_process_and_release() -> None:
    """What was answered in an older version is asked again with `--outdated`: it may not change by itself."""
    assert TASK.prompt_version() == "80167e9a"


def test_the_order_of_the_parameters_is_no_part_of_what_is_asked() -> None:
    one, other = {"temperature": 0, "seed": 7}, {"seed": 7, "temperature": 0}
    assert replace(TASK, parameters=one).prompt_version() == replace(TASK, parameters=other).prompt_version()


def test_two_prompt_functions_have_two_versions() -> None:
    assert replace(TASK, prompt=by_title).prompt_version() != replace(TASK, prompt=by_body).prompt_version()


def test_the_order_of_an_answers_fields_is_part_of_what_is_asked() -> None:
    one = create_model("Answer", reason=(str, ...), label=(str, ...))
    other = create_model("Answer", label=(str, ...), reason=(str, ...))
    assert replace(TASK, answer=one).prompt_version() != replace(TASK, answer=other).prompt_version()


def test_a_variant_has_its_own_instructions_and_its_own_version() -> None:
    assert TASK.instructions() == "Say how they feel."
    assert TASK.instructions("short") == "How?"
    assert TASK.prompt_version("short") != TASK.prompt_version()
    with pytest.raises(InvalidTask, match="has no variant `long`; there are: short"):
        TASK.instructions("long")
    with pytest.raises(InvalidTask, match="has no variant `long`; there are: none"):
        replace(TASK, variants={}).prompt_version("long")


def test_a_snapshot_survives_the_ledger_as_json() -> None:
    snapshot = TASK.snapshot("openai", "gpt-6-luna", "short")
    assert TaskSnapshot.model_validate_json(snapshot.model_dump_json()) == snapshot
    assert (snapshot.endpoint, snapshot.system, snapshot.variant) == ("/v1/chat/completions", "How?", "short")
    assert snapshot.answer_schema == TASK.schema
    assert snapshot.prompt_version == TASK.prompt_version("short")
