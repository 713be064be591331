"""`issues`: records in, from files or from GitHub."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from batch_pipeline.cli.log import tell_error
from batch_pipeline.cli.output import AsJson, Column, plural, print_json, print_table, say
from batch_pipeline.cli.session import opened

if TYPE_CHECKING:
    from batch_pipeline.batches.pipeline import Pipeline
    from batch_pipeline.sources.files import Loaded
    from batch_pipeline.sources.github import Progress, Pulled
    from batch_pipeline.sources.rows import LoadedRows

group = typer.Typer(help="Records in: from files, or from GitHub.", no_args_is_help=True, rich_markup_mode=None)

_DAY = ["%Y-%m-%d"]
Night = Annotated[
    datetime | None,
    typer.Option(
        "--night", metavar="DATE", formats=_DAY, help="The partition to load into; the last day that ended otherwise."
    ),
]


def add_to(app: typer.Typer) -> None:
    """Adds the group."""
    app.add_typer(group, name="issues")


@group.command()
def load(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE", help="Files, folders or globs: JSON, JSONL, CSV, Parquet.")
    ],
    *,
    night: Night = None,
    repo: Annotated[
        str | None, typer.Option("--repo", metavar="OWNER/NAME", help="OWNER/NAME for rows that carry none.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Load issues from files; what is known already adds nothing.

    Example: batch-pipeline issues load 'data/issues/*.json' --night 2026-11-20
    """
    with opened() as pipeline:
        loaded = load_files(pipeline, files, night=night, repo=repo)
    if as_json:
        print_json(asdict(loaded) | {"record_ids": len(loaded.record_ids)})
    else:
        say_loaded(loaded)
    tell_problems(loaded)
    if loaded.problems:
        raise typer.Exit(1)


@group.command(short_help="Pull what changed from GitHub.")
def pull(
    repos: Annotated[list[str], typer.Argument(metavar="OWNER/NAME", help="Name of each repository.")],
    *,
    since: Annotated[
        datetime | None,
        typer.Option("--since", metavar="DATE", formats=_DAY, help="Begin here; else where the last pull ended."),
    ] = None,
    night: Night = None,
    as_json: AsJson = False,
) -> None:
    """Pull what changed from GitHub, issues and comments; the first pull takes 30 days.

    Example: batch-pipeline issues pull acme/orbit --since 2026-11-01
    """
    from batch_pipeline.errors import GitHubError

    pulled: list[Pulled] = []
    failed: list[GitHubError] = []
    with opened() as pipeline:
        for repo in repos:
            try:
                pulled.append(_pull(pipeline, repo, since, night, quiet=as_json))
            except GitHubError as error:
                failed.append(error)
    if as_json:
        print_json([asdict(one) for one in pulled])
    for error in failed:
        tell_error(str(error))
    if failed:
        raise typer.Exit(1)


@group.command()
def status(*, as_json: AsJson = False) -> None:
    """Show what there is of each repository.

    Example: batch-pipeline issues status --json
    """
    from batch_pipeline.warehouse.issues import issue_counts

    with opened() as pipeline, pipeline.warehouse.read() as connection:
        counts = issue_counts(connection)
    if as_json:
        print_json([asdict(one) for one in counts])
    elif not counts:
        say("There are no issues yet: `batch-pipeline issues load FILES…` or `issues pull OWNER/REPO…` brings some in.")
    else:
        columns = [Column("Repository", shrinks=True), Column("Issues", right=True), Column("Comments", right=True)]
        columns += [Column("Newest night"), Column("Newest change")]
        rows = [
            (one.repo, f"{one.issues:,}", f"{one.comments:,}", one.newest_night, _minute(one.newest_update))
            for one in counts
        ]
        print_table(columns, rows)


def load_files(
    pipeline: Pipeline, patterns: list[str], *, night: datetime | None = None, repo: str | None = None
) -> Loaded:
    """Loads issue files, and makes their repositories known."""
    from batch_pipeline.ledger.repos import Repos
    from batch_pipeline.sources.files import load_issues, note_repos
    from batch_pipeline.sources.nights import last_night

    day = night.date() if night else last_night(pipeline.settings.tz)
    loaded = load_issues(pipeline.warehouse, patterns, day, repo=repo)
    note_repos(Repos(pipeline.ledger), loaded.repos)
    return loaded


def tell_problems(loaded: Loaded | LoadedRows) -> None:
    """Names each file and line that could not be read; the others were."""
    for problem in loaded.problems[:_MOST_PROBLEMS]:
        tell_error(str(problem))
    if (more := len(loaded.problems) - _MOST_PROBLEMS) > 0:
        tell_error(f"and {more:,} more; --json has all of them")


_MOST_PROBLEMS = 20


def say_loaded(loaded: Loaded) -> None:
    """Says what was added, and of which repositories."""
    known = f", {loaded.unchanged:,} known already" if loaded.unchanged else ""
    left_out = f", {plural(loaded.pull_requests, 'pull request')} left out" if loaded.pull_requests else ""
    said = plural(loaded.added, "issue version")
    say(f"{said} added from {plural(loaded.files, 'file')}{known}{left_out}.")
    for repo, count in loaded.repos.items():
        say(f"  {repo}: {plural(count, 'issue')}")


def _pull(pipeline: Pipeline, repo: str, since: datetime | None, night: datetime | None, *, quiet: bool) -> Pulled:
    from batch_pipeline.ledger.repos import Repos
    from batch_pipeline.sources.github import pull_issues
    from batch_pipeline.sources.nights import last_night

    pulled = pull_issues(
        repo,
        warehouse=pipeline.warehouse,
        repos=Repos(pipeline.ledger),
        settings=pipeline.settings,
        night=night.date() if night else last_night(pipeline.settings.tz),
        since=since and since.replace(tzinfo=UTC),
        progress=None if quiet else _say_wait,
    )
    if not quiet:
        _say_pulled(pulled)
    return pulled


def _say_wait(progress: Progress) -> None:
    if progress.waiting:
        say(f"{progress.repo}: GitHub's limit is reached; waiting {progress.waiting:,.0f} s")


def _say_pulled(pulled: Pulled) -> None:
    renamed = f" (was {pulled.renamed_from})" if pulled.renamed_from else ""
    new = f"{plural(pulled.issues.added, 'issue version')} and {plural(pulled.comments.added, 'comment')} added"
    known = f", {pulled.issues.unchanged + pulled.comments.unchanged:,} known already"
    say(f"{pulled.repo}{renamed}: {new}{known} ({plural(pulled.requests, 'request')}).")


def _minute(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else ""
