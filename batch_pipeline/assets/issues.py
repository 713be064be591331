"""`issues`: what changed in a repository since it was last read, night by night."""

# no `from __future__ import annotations`: Dagster reads the annotations of a step, and can't read them as text

from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING

import dagster as dg

from batch_pipeline.assets import keys
from batch_pipeline.assets.cells import Cell, Cells, attempt_of
from batch_pipeline.assets.metadata import markdown
from batch_pipeline.assets.reporting import Event, Metadata, failed, made
from batch_pipeline.automation.partitions import NIGHT, REPO, REPOS, ranges_are_beta, repo_nights
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.ledger.repos import Repos
from batch_pipeline.settings import Settings
from batch_pipeline.warehouse.nights import came_from_files, newest_issues, night_of

if TYPE_CHECKING:
    from batch_pipeline.sources.github import Progress

PREVIEW_ROWS = 10
RENAMED = "renamed to"


@ranges_are_beta()
def build_issues(settings: Settings) -> dg.AssetsDefinition:
    """The asset `issues`, by repository and night."""

    @dg.asset(
        key=keys.ISSUES,
        partitions_def=repo_nights(settings),
        group_name=keys.RECORDS_GROUP,
        owners=keys.OWNERS,
        kinds={"github", "duckdb"},
        description="Issues and comments of a repository that changed since it was last read, as versions in "
        "`issue_versions` and `issue_comments`; `issues` is the newest of each. A repository that was loaded from "
        "files is counted, not read.",
        output_required=False,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def issues(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> Iterator[Event]:
        yield from _collect(context, pipeline, Cells.of(context))

    return issues


def _collect(context: dg.AssetExecutionContext, pipeline: Pipeline, cells: Cells) -> Iterator[Event]:
    for cell in cells.cells:
        try:
            found = _read(context, pipeline, cell)
        except Exception as error:
            yield from failed(context, keys.ISSUES, cell, error, attempt_of(context))
            if not cells.wide:
                raise dg.Failure(f"{cell} could not be read: {error}", allow_retries=False) from error
        else:
            yield made(keys.ISSUES, cell, found, wide=cells.wide)
            if RENAMED in found:
                yield _under_its_name(context, cell, str(found[RENAMED]), found)


def _under_its_name(context: dg.AssetExecutionContext, cell: Cell, repo: str, found: Metadata) -> Event:
    """The issues carry the name of today: that cell has them, and is what the tasks plan."""
    if repo not in context.instance.get_dynamic_partitions(REPOS):
        context.instance.add_dynamic_partitions(REPOS, [repo])
    today = {**cell.dimensions, REPO: repo}
    renamed = Cell(str(dg.MultiPartitionKey(today)), today)
    return made(keys.ISSUES, renamed, found, wide=True)


def _read(context: dg.AssetExecutionContext, pipeline: Pipeline, cell: Cell) -> Metadata:
    dimensions = cell.dimensions
    repo, night = dimensions[REPO], date.fromisoformat(dimensions[NIGHT])
    pulled = _pull(context, pipeline, repo, night) if _is_on_github(pipeline, repo) else {"source": "files"}
    return {**_count(pipeline, repo, night), **pulled}


def _is_on_github(pipeline: Pipeline, repo: str) -> bool:
    """Unless its issues came from files: a repository that nobody knows yet is one to be read."""
    known = Repos(pipeline.ledger).get(repo)
    if repo in pipeline.settings.repos or known is not None:
        return known is None or repo in pipeline.settings.repos or known.source == "github"
    with pipeline.warehouse.read() as connection:
        return not came_from_files(connection, repo)


def _pull(context: dg.AssetExecutionContext, pipeline: Pipeline, repo: str, night: date) -> Metadata:
    from batch_pipeline.sources.github import pull_issues

    pulled = pull_issues(
        repo,
        warehouse=pipeline.warehouse,
        repos=Repos(pipeline.ledger),
        settings=pipeline.settings,
        night=night,
        progress=lambda now: context.log.info(_told(now)),
    )
    return {
        "source": dg.MetadataValue.url(f"https://github.com/{pulled.repo}"),
        "new versions": pulled.issues.added,
        "new comments": pulled.comments.added,
        "unchanged": pulled.issues.unchanged + pulled.comments.unchanged,
        "pull requests left out": pulled.pull_requests,
        "requests to GitHub": pulled.requests,
        "answered by 304": pulled.not_modified,
        **({RENAMED: pulled.repo} if pulled.renamed_from else {}),
    }


def _told(now: "Progress") -> str:
    if now.waiting is not None:
        return f"{now.repo}: GitHub's limit is reached, waiting {now.waiting:.0f} s"
    return f"{now.repo}: {now.rows} {now.stream}, up to {now.until}"


def _count(pipeline: Pipeline, repo: str, night: date) -> Metadata:
    with pipeline.warehouse.read() as connection:
        found = night_of(connection, repo, night)
        preview = newest_issues(connection, repo, night, PREVIEW_ROWS)
    return {
        "dagster/row_count": found.versions,
        "issues": markdown(preview),
        "comments": found.comments,
        "issues in all": found.issues,
    }
