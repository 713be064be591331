"""Doctor: what is stale, orphaned at the provider, over its window, or about to go wrong. Leaves all as it was."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import text

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.poll import not_closed_providers
from batch_pipeline.batches.recover import LISTED_SECONDS, orphans
from batch_pipeline.batches.standing.due import past_window
from batch_pipeline.batches.standing.status import JobStatus, statuses
from batch_pipeline.batches.storage.connection import shown
from batch_pipeline.errors import PipelineError, UsageError
from batch_pipeline.ledger import jobs, sends
from batch_pipeline.ledger.postgres import unsafe_settings
from batch_pipeline.tasks.registry import load_tasks

FREE_BYTES = 1024**3
"""Less than this on the disk is said: a job of 50,000 requests takes about a quarter of it."""
STALE_SECONDS = 3600.0
"""A batch that has been on its way to the provider for longer than this is said."""

Level = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: what, how it is, and what to do about it."""

    level: Level
    what: str
    says: str


def doctor(pipeline: Pipeline) -> list[Finding]:
    """Looks at everything; what can't be looked at is a finding too."""
    found: list[Finding] = []
    for what, look in _LOOKS.items():
        try:
            findings = [Finding(level, what, says) for level, says in look(pipeline)]
        except PipelineError as error:
            findings = [Finding("problem", what, str(error))]
        found += findings or [Finding("ok", what, "nothing to say")]
    return found


Says = Iterator[tuple[Level, str]]


def _ledger(pipeline: Pipeline) -> Says:
    with pipeline.ledger.read() as db:
        if db.dialect.name == "sqlite" and (wrong := db.scalar(text("PRAGMA quick_check"))) != "ok":
            yield "problem", f"damaged: {wrong}. Move it away and run `recover`: it comes back from the folders."
        for name in unsafe_settings(db):
            yield "problem", f"`{name}` is off at its server: a crash takes back what was committed. Switch it on."
        dead = [job.job_id for job in jobs.not_closed(db) if job.planned_at is None]
    if dead:
        yield "note", f"{len(dead)} plans are under way, or were left by a process that died: {', '.join(dead)}."


def _warehouse(pipeline: Pipeline) -> Says:
    with pipeline.warehouse.read() as connection:
        connection.execute("SELECT count(*) FROM batch_results").fetchall()
    yield "ok", f"{pipeline.warehouse.name} opens, and its schema is up to date"


def _disk(pipeline: Pipeline) -> Says:
    pipeline.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    free = shutil.disk_usage(pipeline.data_dir).free
    level: Level = "ok" if free > FREE_BYTES else "problem"
    yield level, f"{free / 1024**3:.1f} GiB are free" + ("" if level == "ok" else ": files could end half-written")
    if pipeline.data_dir.stat().st_mode & 0o077:
        yield "note", f"{pipeline.data_dir} can be read by others on this machine; `chmod 700` it"


def _files(pipeline: Pipeline) -> Says:
    """Of two that create the same file, one must be told that it is there: each send rests on it."""
    where = pipeline.settings.data_dir if pipeline.settings.files_url is None else shown(pipeline.settings.files_url)
    probe = pipeline.settings.data_dir / f"doctor-{secrets.token_hex(4)}"
    try:
        created = [pipeline.files.create(probe, content) for content in (b"first", b"second")]
        kept = pipeline.files.read(probe)
        pipeline.files.remove(probe)
    except OSError as error:
        yield "problem", f"{where} can't be written to, or knows no links: {error.strerror or error}"
        return
    if created == [True, False] and kept == b"first":
        yield "ok", f"{where} creates a file once"
    else:
        why = "so a batch could be bought twice: use a storage that obeys `If-None-Match: *`"
        yield "problem", f"{where} lets a file be created twice, {why}"


def _tasks(pipeline: Pipeline) -> Says:
    tasks = load_tasks()
    for file, why in tasks.failed.items():
        yield "problem", f"{file} does not load: {why}"
    provider = pipeline.settings.provider
    for task in tasks.by_name.values():
        name = task.provider or provider
        try:
            pipeline.prices.tariff(name, pipeline.settings.model_for(name, task.model, embeds=task.embeds))
        except UsageError as error:
            yield "note", f"{task.name}: {error}"


def _providers(pipeline: Pipeline) -> Says:
    for name in {*not_closed_providers(pipeline), pipeline.settings.provider}:
        provider = pipeline.provider(name)
        listing = provider.list(time.time() - LISTED_SECONDS)
        listed = "1 batch" if len(listing.batches) == 1 else f"{len(listing.batches):,} batches"
        yield "ok", f"{name} answers, and lists {listed} of the last 30 days"
        if lost := orphans(pipeline, listing.batches):
            yield "problem", f"{name} has batches of this pipeline that nothing here knows: {', '.join(lost)}"


def _batches(pipeline: Pipeline) -> Says:
    for task, late in past_window(pipeline).items():
        yield "problem", f"{task}: the provider still has, after its own window: {', '.join(late)}"
    for job in statuses(pipeline):
        yield from _of_job(pipeline, job)


def _of_job(pipeline: Pipeline, job: JobStatus) -> Says:
    for batch in job.batches:
        if batch.state == "held":
            yield "problem", f"{batch.batch_id} is held: `resolve {batch.batch_id}` says how to go on"
        elif batch.waits_for:
            yield "note", f"{batch.batch_id} waits: {batch.waits_for}"
        elif batch.state == "sending":
            yield from _sending(pipeline, batch.batch_id)


def _sending(pipeline: Pipeline, batch_id: str) -> Says:
    with pipeline.ledger.read() as db:
        send = sends.last_of_batch(db, batch_id)
    if send is not None and time.time() - send.claimed_at > STALE_SECONDS:
        hours = (time.time() - send.claimed_at) / 3600
        yield (
            "problem",
            f"{batch_id} has been on its way for {hours:.0f} h: submit again, with the key it was sent with",
        )


_LOOKS: dict[str, Callable[[Pipeline], Says]] = {
    "disk": _disk,
    "files": _files,
    "ledger": _ledger,
    "warehouse": _warehouse,
    "tasks": _tasks,
    "providers": _providers,
    "batches": _batches,
}
