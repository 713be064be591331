"""`doctor`, `prune`, `resolve`, `recover`: what an operator does, by hand."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from batch_pipeline.cli.log import tell_error
from batch_pipeline.cli.options import Provider
from batch_pipeline.cli.output import AsJson, moment, plural, print_facts, print_json, say, usd
from batch_pipeline.cli.session import opened

if TYPE_CHECKING:
    from batch_pipeline.batches.pipeline import Pipeline
    from batch_pipeline.batches.recover import Recovered
    from batch_pipeline.batches.resolve import Question


def add_to(app: typer.Typer) -> None:
    """Adds the verbs."""
    app.command(short_help="Look for what is stale, orphaned or wrong.")(doctor)
    app.command(short_help="Remove the files of jobs that are through.")(prune)
    app.command(short_help="Decide about a batch that is held.")(resolve)
    app.command(short_help="Rebuild a lost ledger.")(recover)


def doctor(*, as_json: AsJson = False) -> None:
    """Look for what is stale, orphaned at the provider, over its window, or about to go wrong; changes nothing.

    Exit code 1 where there is a problem.

    Example: batch-pipeline doctor --json
    """
    from batch_pipeline.batches.doctor import doctor as look

    with opened() as pipeline:
        found = look(pipeline)
    problems = sum(finding.level == "problem" for finding in found)
    if as_json:
        print_json([asdict(finding) for finding in found])
    else:
        print_facts([(f"{finding.level:<7}  {finding.what}", finding.says) for finding in found])
    if problems:
        tell_error(f"{plural(problems, 'problem')} found; what to do is said beside each.")
        raise typer.Exit(1)


def prune(
    *,
    days: Annotated[
        float, typer.Option("--older-than", metavar="DAYS", min=0, help="Jobs that were through so many days ago.")
    ],
    as_json: AsJson = False,
) -> None:
    """Remove the local files of jobs that are through; answers, results and costs stay.

    Such a job can't be retried any more. A warehouse on DuckLake gets its upkeep with it.

    Example: batch-pipeline prune --older-than 30
    """
    from batch_pipeline.batches.prune import prune as remove
    from batch_pipeline.warehouse.upkeep import keep_up

    with opened() as pipeline:
        pruned, kept_up = remove(pipeline, days), keep_up(pipeline.warehouse)
    if as_json:
        print_json(asdict(pruned) | ({} if kept_up is None else {"warehouse": asdict(kept_up)}))
        return
    if not pruned.jobs:
        say("Nothing to remove: no job has been through for so long.")
    else:
        say(f"Removed the files of {plural(pruned.jobs, 'job')}, {pruned.bytes / 1e6:,.1f} MB. All answers stay.")
    if kept_up is not None:
        say(
            f"The lake: {plural(kept_up.merged, 'file')} merged, {kept_up.rewritten} written anew without deleted rows,"
        )
        say(f"{plural(kept_up.forgotten, 'old state')} forgotten, {plural(kept_up.deleted, 'file')} deleted.")


def resolve(
    batch: Annotated[str, typer.Argument(metavar="BATCH", help="The batch's id.")],
    *,
    remote_id: Annotated[
        str | None, typer.Option("--adopt", metavar="ID", help="It is the one that the provider has under this id.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--recreate", help="The provider has none: send it anew. Paid twice if it has one.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Decide about a batch whose create had no reply; without an option: say what is known of it.

    Example: batch-pipeline resolve BATCH --adopt batch_abc123
    """
    from batch_pipeline.batches.resolve import adopt, question, recreate

    if remote_id is not None and again:
        raise typer.BadParameter("--adopt and --recreate exclude each other; give one.")
    with opened() as pipeline:
        asked = question(pipeline, batch)
        if remote_id is not None:
            adopt(pipeline, batch, remote_id)
        elif again:
            recreate(pipeline, batch)
    done = "adopted" if remote_id is not None else "recreated" if again else None
    if as_json:
        print_json(asdict(asked) | {"resolved": done})
    elif done is None:
        _say_question(asked)
    else:
        say(f"{batch} is {remote_id}." if remote_id is not None else f"{batch} is planned again, and sent anew.")
        say(f"Next: batch-pipeline collect {asked.job_id} --wait")


def recover(
    *,
    provider: Annotated[
        Provider | None, typer.Option("--provider", help="Whose listing to read; otherwise of all that are used.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Rebuild jobs and batches from the folders, the markers, and the provider's listing of its last 30 days.

    For a ledger that is gone or was restored; nothing is sent.

    Example: batch-pipeline recover --provider openai
    """
    with opened() as pipeline:
        found = _recover(pipeline, provider)
    if as_json:
        print_json(asdict(found))
        return
    say(f"{plural(len(found.jobs), 'job')} came back from the folders{_listed(found.jobs)}.")
    say(f"{plural(len(found.adopted), 'batch', 'batches')} known again from the listing{_listed(found.adopted)}.")
    if found.orphans:
        say(f"Of this pipeline too, and nothing of their jobs is left here: {', '.join(found.orphans)}.")
    if found.jobs or found.adopted:
        say("Next: batch-pipeline list, then batch-pipeline collect JOB --wait")


def _recover(pipeline: Pipeline, provider: Provider | None) -> Recovered:
    from batch_pipeline.batches.poll import not_closed_providers
    from batch_pipeline.batches.recover import recover_all

    found = recover_all(pipeline, provider or pipeline.settings.provider)
    others = [] if provider else [name for name in not_closed_providers(pipeline) if name != pipeline.settings.provider]
    for name in others:
        more = recover_all(pipeline, name)
        found.jobs += more.jobs
        found.adopted += more.adopted
        found.orphans += more.orphans
    return found


def _listed(ids: list[str]) -> str:
    return f": {', '.join(ids)}" if ids else ""


def _say_question(asked: Question) -> None:
    same = {True: "the one of now", False: "another key or base URL than now", None: "unknown: there is no key now"}
    print_facts(
        [
            ("Batch", f"{asked.batch_id} at {asked.provider}, {plural(asked.requests, 'request')}"),
            ("Job", asked.job_id),
            ("Why", asked.held or "its create is under way; this settles by itself"),
            ("Claim", asked.claim),
            *([("File", f"{asked.file_id or 'not uploaded yet'} ({asked.filename})")] if asked.filename else []),
            ("Posted", moment(asked.posted_at) if asked.posted_at else "never"),
            *([("Fenced", moment(asked.fenced_at))] if asked.fenced_at else []),
            ("Account", same[asked.same_account]),
            ("May cost", usd(asked.bound_usd)),
        ]
    )
    say()
    if asked.filename is None:
        from batch_pipeline.wire.messages import CLAIM_LENGTH

        say(f"Look at {asked.provider} for a batch of {plural(asked.requests, 'request')} whose results have")
        say(f"custom_ids that begin with {asked.claim[:CLAIM_LENGTH]}-.")
    else:
        say(f"Look at {asked.provider} for a batch with metadata claim={asked.claim},")
        say(f"or with input file {asked.file_id or asked.filename}.")
    say(f"There is one:  batch-pipeline resolve {asked.batch_id} --adopt ID")
    say(f"There is none: batch-pipeline resolve {asked.batch_id} --recreate")
