"""Notices: whoever is behind `NOTICE_URL` is told that a job is done, has failed, or waits for a person.

What happened is read from the ledger, and written into it as a notice before anything is sent, so each is told once,
by whichever process takes a turn; one that does not arrive goes again. Nothing here ever stops the chain. The body is
JSON as Slack takes it: `{"text": "…"}`, with the facts beside it.
"""

from __future__ import annotations

import logging
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Mapping
from http.client import HTTPException
from secrets import token_hex
from typing import IO, TYPE_CHECKING

import orjson
from sqlalchemy import exists, select
from sqlalchemy.exc import SQLAlchemyError

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.standing.status import JobStatus, status
from batch_pipeline.errors import PipelineError
from batch_pipeline.ledger import jobs, meta, notices
from batch_pipeline.ledger.jobs import Job
from batch_pipeline.ledger.notices import Notice
from batch_pipeline.ledger.rows import row_of
from batch_pipeline.ledger.sends import DOUBLED
from batch_pipeline.ledger.tables import batches as batch_rows
from batch_pipeline.ledger.tables import events as event_rows
from batch_pipeline.ledger.tables import jobs as job_rows
from batch_pipeline.ledger.tables import notices as notice_rows
from batch_pipeline.ledger.tables import sends

if TYPE_CHECKING:
    from http.client import HTTPMessage

    from sqlalchemy import Connection

log = logging.getLogger(__name__)

SINCE = "notices since"
"""In the ledger: when somebody first wanted notices. What happened before is not told."""
OLDEST_SECONDS = 24 * 3600.0
"""What happened longer ago is no news."""
KEPT_SECONDS = 30 * 24 * 3600.0
POST_SECONDS = 5.0
FIRST_WAIT, LONGEST_WAIT, MOST_TRIES = 30.0, 3600.0, 12
"""Seconds until a notice that did not arrive goes again, twice as long each time; half a day in all."""
AT_ONCE = 20
"""Notices that one turn sends."""

_ENDS = ("done", "failed", "cancelled")
_WAITS = {"budget": "over budget", "stopped": "canary bad"}


def notify(
    pipeline: Pipeline,
    text: str,
    *,
    kind: str = "notice",
    key: str | None = None,
    job_id: str | None = None,
    fields: Mapping[str, object] | None = None,
) -> bool:
    """Puts a notice among those to be sent; `send_due_notices` sends it.

    Args:
        pipeline: The pipeline.
        text: A sentence for a person; no prompt, answer or key.
        kind: A word or two for a machine: `done`, `failed`, `run failed`.
        key: What it tells of: the same is told once. A random one where there is none.
        job_id: The job that it is about.
        fields: Facts that go beside the text, as JSON.

    Returns:
        False where nobody wants notices, or this one was told before.
    """
    if pipeline.settings.notice_url is None:
        return False
    notice = Notice(key or f"{kind}|{token_hex(8)}", kind, text, job_id, dict(fields or {}))
    with pipeline.ledger.begin() as db:
        return bool(notices.add(db, [notice]))


def send_due_notices(pipeline: Pipeline, seconds: float = POST_SECONDS) -> int:
    """Notes what is to be told, and sends what is due; whatever goes wrong is logged, and goes again later.

    Args:
        pipeline: The pipeline.
        seconds: When to begin nothing more; one that is begun may take `POST_SECONDS` longer.

    Returns:
        How many have arrived.
    """
    if (url := pipeline.settings.notice_url) is None:
        return 0
    try:
        _note(pipeline)
        return _send(pipeline, url, time.monotonic() + seconds)
    except (PipelineError, SQLAlchemyError) as error:
        log.warning("notices were not sent, and go again: %s", type(error).__name__)
        return 0


def _note(pipeline: Pipeline) -> None:
    now = time.time()
    with pipeline.ledger.read() as db:
        since = meta.get(db, SINCE)
        begun = float(since) if isinstance(since, (int, float)) else None
        news = max(begun or now, now - OLDEST_SECONDS)
        closed = _closed(db, news)
        found = {notice.key: notice for notice in (*_held(db), *_waiting(db), *_doubled(db, news))}
        new = found.keys() - notices.known(db, list(found))
    told = [*(_end_of(job, status(pipeline, job.job_id)) for job in closed), *(found[key] for key in new)]
    if told or begun is None:
        with pipeline.ledger.begin() as db:
            notices.add(db, told)
            notices.prune(db, now - KEPT_SECONDS)
            if begun is None:
                meta.put(db, SINCE, now)


def _closed(db: Connection, since: float) -> list[Job]:
    """Jobs that came to their end since then, and of which nobody was told; a canary is told of when it is bad.

    An order with nothing to do, which a service may send each hour, is no news.
    """
    told = exists().where(
        notice_rows.c.job_id == job_rows.c.job_id,
        notice_rows.c.kind.in_(_ENDS),
        notice_rows.c.created_at >= job_rows.c.closed_at,
    )
    rows = select(job_rows).where(job_rows.c.closed_at >= since, job_rows.c.attempt == 1, ~told)
    found = [row_of(Job, row) for row in db.execute(rows).mappings()]
    news = [job for job in found if job.records or job.error_message is not None]
    return [job for job in news if jobs.CANARY_FOR not in job.metadata]


def _end_of(job: Job, now: JobStatus) -> Notice:
    outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in now.outcomes.items()) or "nothing to answer"
    text = f"Job {job.job_id} ({job.task}) is {now.state}: {outcomes}; it cost ${now.cost_usd:,.4f}."
    facts: dict[str, object] = {
        "task": job.task,
        "state": now.state,
        "records": now.records,
        "outcomes": dict(now.outcomes),
        "cost_usd": now.cost_usd,
        "estimated_cost_usd": now.estimated_cost_usd,
    }
    kind = now.state if now.state in _ENDS else "done"
    return Notice(f"closed|{job.job_id}|{job.closed_at}", kind, text, job.job_id, facts)


def _held(db: Connection) -> Generator[Notice]:
    rows = db.execute(
        select(sends.c.batch_id, sends.c.number, sends.c.held, job_rows.c.root_job_id, job_rows.c.task)
        .join(batch_rows, batch_rows.c.batch_id == sends.c.batch_id)
        .join(job_rows, job_rows.c.job_id == batch_rows.c.job_id)
        .where(sends.c.held.is_not(None), sends.c.end.is_(None), batch_rows.c.ended_at.is_(None))
    )
    for batch_id, number, why, job_id, task in rows:
        text = f"Batch {batch_id} ({task}) is held: {why}. Settle it with `batch-pipeline resolve {batch_id}`."
        yield Notice(f"held|{batch_id}|{number}", "held", text, job_id, {"task": task, "batch_id": batch_id})


def _doubled(db: Connection, since: float) -> Generator[Notice]:
    wanted = select(event_rows).where(event_rows.c.event == DOUBLED, event_rows.c.at >= since)
    for row in db.execute(wanted).mappings():
        batch_id, remote_id = row["batch_id"], row["detail"].get("remote_id")
        text = f"Batch {batch_id} exists twice at the provider; {remote_id} is cancelled, and booked at its worst case."
        yield Notice(f"doubled|{row['event_id']}", "doubled", text, row["job_id"], {"batch_id": batch_id})


def _waiting(db: Connection) -> Generator[Notice]:
    """Jobs that a budget or their canary keeps from being sent: once for each budget that they are given."""
    rows = db.execute(
        select(job_rows.c.root_job_id, job_rows.c.task, job_rows.c.metadata, batch_rows.c.wait_kind)
        .add_columns(batch_rows.c.wait_reason)
        .join(job_rows, job_rows.c.job_id == batch_rows.c.job_id)
        .where(batch_rows.c.wait_kind.in_(_WAITS), batch_rows.c.submitted_at.is_(None), batch_rows.c.ended_at.is_(None))
        .order_by(batch_rows.c.batch_id)
    )
    seen = set[str]()
    for job_id, task, metadata, wait_kind, why in rows:
        kind = _WAITS[wait_kind]
        key = f"{kind}|{job_id}|{metadata.get('budget_usd')}"
        if key not in seen:
            seen.add(key)
            yield Notice(key, kind, _why_waiting(kind, job_id, task, why), job_id, {"task": task})


def _why_waiting(kind: str, job_id: str, task: str, why: str) -> str:
    if kind == "over budget":
        return f"Job {job_id} ({task}) waits, over budget: {why}."
    # the reason may quote an answer
    return f"Job {job_id} ({task}) is stopped by its canary. `batch-pipeline status {job_id}` says why."


def _send(pipeline: Pipeline, url: str, until: float) -> int:
    with pipeline.ledger.read() as db:
        waiting = notices.due(db, AT_ONCE)
    arrived = 0
    for notice in waiting:
        if time.monotonic() > until:
            break
        tries = notice.tries + 1
        wait = min(FIRST_WAIT * 2**notice.tries, LONGEST_WAIT)
        with pipeline.ledger.begin() as db:
            taken = notices.take(db, notice, time.time() + wait if tries < MOST_TRIES else None)
        if not taken:
            continue
        why_not = _post(url, notice)
        with pipeline.ledger.begin() as db:
            notices.set_error(db, notice, why_not) if why_not else notices.set_sent(db, notice)
        if why_not is None:
            arrived += 1
            continue
        again = f"it goes again in {wait:.0f} s" if tries < MOST_TRIES else "it is given up"
        log.warning("notice %d (%s) did not arrive: %s; %s", notice.notice_id, notice.kind, why_not, again)
        if not why_not.isdecimal():
            break  # nobody is there: no other would fare better
    return arrived


def _post(url: str, notice: Notice) -> str | None:
    """None where it arrived, else why not: a status, or the name of an error; their words may hold the URL."""
    facts: dict[str, object] = {"kind": notice.kind, "job_id": notice.job_id, "at": notice.created_at}
    body = orjson.dumps({"text": _as_slack_wants(notice.text), **notice.fields, **facts}, default=str)
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310 - the settings take http(s) only
    try:
        with _opener.open(request, timeout=POST_SECONDS):
            return None
    except urllib.error.HTTPError as error:
        error.close()
        return str(error.code)
    except (OSError, HTTPException) as error:
        return type(error).__name__


def _as_slack_wants(text: str) -> str:
    """Three characters mean something to it, such as a call to everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A POST that is sent elsewhere becomes a GET, and nothing arrives."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        del req, fp, code, msg, headers, newurl


_opener = urllib.request.build_opener(_NoRedirects)
