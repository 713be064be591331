"""Whether a command of a container is one of ours, of Dagster's or of Celery's, with options that it has."""

from __future__ import annotations

import click
from dagster._cli import create_dagster_cli
from dagster._daemon.cli import create_dagster_daemon_cli
from dagster_webserver.cli import dagster_webserver

from batch_pipeline_tests.deploy.files import DEPLOY
from batch_pipeline_tests.test_docs import parsed

_HERE = {"/dagster/workspace.yaml": str(DEPLOY / "workspace.yaml")}
"""Where files of the image lie in the checkout."""


def parses(command: list[str]) -> bool:
    """Reads it as the program would, without running it.

    Raises:
        click.UsageError: A verb, an option or a value is not there; of `batch-pipeline`, its own error.
        KeyError: No program of the image has this name.
    """
    program, *given = [_HERE.get(word, word) for word in command]
    if program == "batch-pipeline":
        return bool(parsed(given))
    tree = _PROGRAMS[program]()
    while isinstance(tree, click.Group):
        context = click.Context(tree)
        options, _, _ = tree.make_parser(context).parse_args(
            list(given)
        )  # those before the verb; an unknown one raises
        given = given[len(options) :]
        found = tree.get_command(context, given.pop(0))
        if found is None:
            raise click.UsageError(f"{program} has no such verb: {command}")
        tree = found
    if program == "celery":  # the defaults of its options are those of an app that connects
        tree.make_parser(click.Context(tree)).parse_args(given)
    else:
        tree.make_context(program, given)
    return True


def _celery() -> click.Command:
    from celery.bin.celery import celery

    return celery


_PROGRAMS = {
    "celery": _celery,
    "dagster": create_dagster_cli,
    "dagster-daemon": create_dagster_daemon_cli,
    "dagster-webserver": lambda: dagster_webserver,
}
