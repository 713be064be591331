"""All verbs put together, and the one place where an error becomes a sentence and an exit code."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer
from typer._click import Context
from typer.core import TyperGroup
from typing_extensions import override

from batch_pipeline.cli import (
    completion,
    cost,
    demo,
    dev,
    evaluation,
    export,
    history,
    issues,
    jobs,
    local_server,
    media,
    migrate_to,
    operations,
    plan,
    query,
    report,
    reprocess,
    rows,
    serve,
    similar,
    submit,
    tasks,
    turns,
    watch,
)
from batch_pipeline.cli.log import show_more, tell_error
from batch_pipeline.errors import PipelineError

NAME = "batch-pipeline"
_EVERYWHERE = ("--debug", "--verbose")
"""Flags that may stand anywhere on the line."""

_OTHER_FILE = "Call as the user who owns it, or choose another place: --output, or BATCH_PIPELINE_DATA_DIR."


class _Verbs(TyperGroup):
    """Where a value is wrong: typer's own sentence, without the name that its library gives to such errors."""

    @override
    def invoke(self, ctx: Context) -> object:
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")
            raise


app = typer.Typer(
    name=NAME,
    cls=_Verbs,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # the panels take 0.3 s of CPU, three times as long as all the rest of `--help`
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
)


@app.callback()
def _everywhere(
    *,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log each change of state on stderr.")] = False,
) -> None:
    """Rows and a prompt in, a table of typed answers out, through the provider Batch APIs.

    Start with `batch-pipeline demo`. Every verb takes --json; exit codes: 0 done, 1 failed, 2 wrong usage.
    """
    if verbose:
        show_more()


for group in (
    demo,
    dev,
    tasks,
    rows,
    issues,
    media,
    plan,
    submit,
    jobs,
    turns,
    watch,
    reprocess,
    history,
    evaluation,
    export,
    similar,
    cost,
    report,
    query,
    operations,
    migrate_to,
    local_server,
    serve,
    completion,
):
    group.add_to(app)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; gives the exit code: 0 the verb did its work, 1 it failed, 2 wrong usage."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        app(_flags_first(given), prog_name=NAME)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except PipelineError as error:
        return _failed(error, str(error), error.exit_code, debug="--debug" in given)
    except Exception as error:  # noqa: BLE001 - whatever it is, the person gets a sentence
        if isinstance(error, OSError) and error.filename and error.strerror:
            sentence = f"{error.filename} can't be read or written: {error.strerror}. {_OTHER_FILE}"
            return _failed(error, sentence, 1, debug="--debug" in given)
        told = (str(error).strip() or type(error).__name__).splitlines()[0]
        sentence = f"Unforeseen: {type(error).__name__}: {told} Run it again with --debug to see where."
        return _failed(error, sentence, 1, debug="--debug" in given)
    return 0


def _failed(error: Exception, sentence: str, code: int, *, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    else:
        tell_error(sentence)
    return code


def _flags_first(arguments: list[str]) -> list[str]:
    end = arguments.index("--") if "--" in arguments else len(arguments)
    flags = [flag for flag in _EVERYWHERE if flag in arguments[:end]]
    return [*flags, *(one for one in arguments[:end] if one not in _EVERYWHERE), *arguments[end:]]
