"""`export`: a task's newest answers, out into files."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from batch_pipeline.cli.completion import task_names
from batch_pipeline.cli.output import AsJson, plural, print_json, say
from batch_pipeline.cli.session import opened
from batch_pipeline.cli.tabular import must_not_be_shown, write

if TYPE_CHECKING:
    import pyarrow as pa

    from batch_pipeline.batches.pipeline import Pipeline
    from batch_pipeline.warehouse.answers import Which

Form = Literal["json", "jsonl", "csv", "parquet"]


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command(short_help="Write a task's newest answers into files.")(export)


def export(
    task: Annotated[str, typer.Argument(metavar="TASK", autocompletion=task_names, help="The task's name.")],
    *,
    form: Annotated[Form, typer.Option("--format", help="json: a file a record; the others: one file.")] = "json",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR|FILE", help="A folder for json (the task's name); a file, or stdout."
        ),
    ] = None,
    org: Annotated[str | None, typer.Option("--org", metavar="ORG", help="Records of this owner.")] = None,
    repo: Annotated[str | None, typer.Option("--repo", metavar="OWNER/NAME", help="Of this repository.")] = None,
    variant: Annotated[
        str | None, typer.Option("--variant", metavar="NAME", help="Answers of this named prompt.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the newest answer of each record (and variant) of a task into files.

    json writes a file a record, such as org_repo_issue_123_product-labeling.json; jsonl the same, a line a record; csv
    and parquet the rows of the task's table. --json tells what was written.

    Example: batch-pipeline export product-labeling --format csv --output labels.csv
    """
    from batch_pipeline.tasks.registry import load_tasks
    from batch_pipeline.warehouse.answers import Which

    name = load_tasks().get(task).name
    must_not_be_shown(form, output)
    if as_json and form != "json" and output is None:
        raise typer.BadParameter("--json tells of what is written into a file: give --output FILE.")
    which = Which(repo=repo, org=org, variant=variant)
    with opened() as pipeline:
        written = _export(pipeline, name, form, output, which)
    if as_json:
        target = output or Path(name.replace("_", "-"))
        print_json({"task": name, "format": form, "output": target, "answers": written})
    elif form == "json" or output is not None:
        say(f"{plural(written, 'answer')} of `{name}` written to {output or name.replace('_', '-')}.")


def _export(pipeline: Pipeline, task: str, form: Form, output: Path | None, which: Which) -> int:
    from batch_pipeline.batches.outcomes.export import export_newest, write_lines
    from batch_pipeline.errors import PipelineError

    if form == "json":
        return export_newest(pipeline, task, output or Path(task.replace("_", "-")), which)
    try:
        if form in ("csv", "parquet"):
            return _write_rows(pipeline, task, form, output, which)
        with output.open("wb") if output else nullcontext(sys.stdout.buffer) as file:
            return write_lines(pipeline, task, file, which)
    except BrokenPipeError:
        raise  # whoever reads the pipe has seen enough
    except OSError as error:
        raise PipelineError(f"{output} can't be written: {error.strerror}. Choose another file.") from error


def _write_rows(
    pipeline: Pipeline, task: str, form: Literal["csv", "parquet"], output: Path | None, which: Which
) -> int:
    import pyarrow as pa

    from batch_pipeline.errors import PipelineError
    from batch_pipeline.warehouse.answers import newest_rows

    with pipeline.warehouse.read() as connection:
        found = newest_rows(connection, task, which)
        if found is None:
            raise PipelineError(f"`{task}` has no answers yet: `batch-pipeline submit {task}` asks for some.")
        rows, written = found.to_arrow_reader(10_000), list[int]()
        write(pa.RecordBatchReader.from_batches(rows.schema, _counted(rows, written)), form, output)
    return sum(written)


def _counted(rows: Iterable[pa.RecordBatch], written: list[int]) -> Generator[pa.RecordBatch]:
    for batch in rows:
        written.append(batch.num_rows)
        yield batch
