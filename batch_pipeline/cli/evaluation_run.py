"""What `eval run` does: asks, waits, scores, and tells."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from batch_pipeline.cli.evaluation_output import say_others, say_score
from batch_pipeline.cli.log import tell_error, tell_stopped
from batch_pipeline.cli.output import plural, print_facts, print_json, say, usd
from batch_pipeline.cli.progress import progress, tell_job

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from batch_pipeline.batches.pipeline import Pipeline
    from batch_pipeline.evaluation.gold import GoldFile
    from batch_pipeline.evaluation.run import Judged, Matched
    from batch_pipeline.evaluation.store import Score


def run_evaluation(
    pipeline: Pipeline, matched: Matched, gold: Path, *, wait: bool, poll_seconds: float | None, as_json: bool
) -> None:
    """Asks about the rows that have no answer, waits for them if that is wanted, and scores all."""
    from batch_pipeline.evaluation.run import begin, finish

    if not as_json:
        _say_rows(matched)
    begun = begin(pipeline, matched)
    again = _again(matched, gold)
    job_id = begun.job_id if begun else None
    if begun and wait:
        _wait(pipeline, begun.job_id, again, poll_seconds, as_json=as_json)
    elif begun and not begun.final:
        _say_begun(matched, begun.job_id, again, as_json=as_json)
        return
    judged = finish(pipeline, matched, job_id)
    if as_json:
        print_json(_told(matched, job_id, judged))
        return
    for each in judged:
        say_score(each.score)
    others = _on_the_same_rows(pipeline, judged)
    if len(others) > len(judged):
        say_others(others)


def _on_the_same_rows(pipeline: Pipeline, judged: Sequence[Judged]) -> list[Score]:
    """The newest score of each setup."""
    from batch_pipeline.evaluation.store import scores as stored

    hashes = {each.score.gold_hash for each in judged}
    with pipeline.warehouse.read() as connection:
        found = stored(connection, judged[0].score.task, newest_only=True)
    return [one for one in found if one.gold_hash in hashes]


def _wait(pipeline: Pipeline, job_id: str, again: str, poll_seconds: float | None, *, as_json: bool) -> None:
    from batch_pipeline.batches.standing.status import status
    from batch_pipeline.batches.turn import wait_for
    from batch_pipeline.errors import PipelineError

    provider = status(pipeline, job_id).provider
    seconds = poll_seconds or (1.0 if provider == "local" else float(pipeline.settings.poll_seconds))
    try:
        with progress(as_json=as_json) as told:
            now = wait_for(pipeline, job_id, seconds, lambda now: tell_job(told, now))
    except KeyboardInterrupt:
        tell_stopped(f"Stopped waiting; job {job_id} goes on. Come back for the scores with: {again}")
        raise typer.Exit(130) from None
    except PipelineError:
        if not as_json:
            say(f"Job {job_id} is kept. Next: {again}")
        raise
    if now.state == "held":
        tell_error(f"Job {job_id} is held; `batch-pipeline status {job_id}` says why. What there is was scored.")


def try_evaluation(pipeline: Pipeline, matched: Matched, *, as_json: bool) -> None:
    """Shows what it would come to."""
    from batch_pipeline.evaluation.run import try_run

    run = try_run(pipeline, matched)
    if as_json:
        told = _head(matched, None) | {"dry_run": True, "requests": run.job.requests, "reused": run.job.reused}
        print_json(told | {"batch_usd": run.batch_usd, "realtime_usd": run.realtime_usd})
        return
    local = run.job.provider == "local"
    priced = f" as {pipeline.settings.price_as}; here it is free" if local else ""
    say(f"Dry run of {run.job.task}: nothing was planned, nothing was sent.")
    print_facts(
        [
            ("Gold rows", f"{len(matched.record_ids):,} of {len(matched.evaluation.gold.rows):,}"),
            ("To ask", plural(run.job.requests, "request")),
            ("Answered", f"{len(matched.record_ids) - len(matched.to_ask):,}, and {run.job.reused:,} bought elsewhere"),
            ("Model", f"{run.job.model} at {run.job.provider}"),
            ("Batch", f"{usd(run.batch_usd)}{priced}"),
            ("Realtime", usd(run.realtime_usd)),
        ]
    )


def _say_rows(matched: Matched) -> None:
    there, before = len(matched.record_ids), len(matched.record_ids) - len(matched.to_ask)
    every = len(matched.evaluation.gold.rows)
    of = f" of {every:,}" if there < every else ""
    say(f"{there:,}{of} gold rows of {matched.evaluation.gold.source}, {before:,} answered before.")


def _again(matched: Matched, gold: Path) -> str:
    """The command that goes on with this evaluation."""
    asked = matched.evaluation
    options = {"--limit": asked.limit, "--model": asked.model, "--provider": asked.provider, "--variant": asked.variant}
    given = [f"{name} {value}" for name, value in options.items() if value is not None]
    fields = [f"--field {each.name}" for each in asked.gold.fields] if len(asked.gold.fields) > 1 else []
    return " ".join(["batch-pipeline eval run", asked.task.name, f"--gold {gold}", *given, *fields])


def _say_begun(matched: Matched, job_id: str, again: str, *, as_json: bool) -> None:
    if as_json:
        print_json(_head(matched, job_id))
        return
    say(f"Job {job_id} is on its way.")
    say(f"Next: {again}")


def tell_left_out(gold: GoldFile, matched: Matched) -> None:
    """One sentence for each kind of row that was left out."""
    if gold.problems:
        more = f", and {len(gold.problems) - 1:,} more rows" if len(gold.problems) > 1 else ""
        tell_error(f"{gold.problems[0]}{more}: left out, the others were taken.")
    if matched.unmatched:
        shown = "`, `".join(matched.unmatched[:3])
        tell_error(
            f"{len(matched.unmatched):,} of {plural(len(gold.rows), 'gold row')} match no record of "
            f"`{matched.evaluation.task.name}` and are left out, such as `{shown}`; load those records, or correct "
            "`record_id`."
        )


def _head(matched: Matched, job_id: str | None) -> dict[str, object]:
    return {
        "task": matched.evaluation.task.name,
        "job_id": job_id,
        **vars(matched.setup),
        "gold": matched.evaluation.gold.source,
        "gold_rows": len(matched.evaluation.gold.rows),
        "rows": len(matched.record_ids),
        "answered_before": len(matched.record_ids) - len(matched.to_ask),
        "unmatched": list(matched.unmatched),
    }


def _told(matched: Matched, job_id: str | None, judged: Sequence[Judged]) -> dict[str, object]:
    return _head(matched, job_id) | {
        "scores": [asdict(each.score) for each in judged],
        "answers": [
            {
                "field": each.score.field,
                "record_id": record_id,
                "gold": list(labels),
                "answer": None if given.labels is None else list(given.labels),
                "outcome": given.outcome,
            }
            for each in judged
            for record_id, labels in each.gold.rows.items()
            for given in [each.given[record_id]]
        ],
    }
