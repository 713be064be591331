"""The same steps as `bench.floor`, by this project; the environment says where its data lies and who answers.

python -m bench.ours load ROWS.csv
python -m bench.ours build KEY       prints the job's id
python -m bench.ours send JOB        uploads, makes the batches, and waits until all have ended
python -m bench.ours collect JOB     prints what was checked of the stored answers
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from importlib import import_module
from logging import Handler, LogRecord, getLogger
from typing import TYPE_CHECKING

from batch_pipeline.batches.collect import collect as collect_job
from batch_pipeline.batches.money.tokens import TokenCounter
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.plan import Order
from batch_pipeline.batches.plan import plan as plan_job
from batch_pipeline.batches.poll import poll
from batch_pipeline.batches.turn import submit_job
from batch_pipeline.ledger import batches
from batch_pipeline.tasks.task import BatchTask
from bench.clock import Clock
from bench.question import LIMIT, MODEL, SYSTEM, Kind

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TASK = BatchTask(
    name="bench_kind",
    records="FROM bench_rows",
    system=SYSTEM,
    prompt="{text}",
    answer=Kind,
    partitions=None,
    model=MODEL,
    max_output_tokens=LIMIT,
)


LIBRARIES = {
    "load": (),
    "build": ("duckdb", "pyarrow.parquet", "genai_prices.data", "sqlalchemy.dialects.sqlite", "splintr"),
    "check": (),
    **dict.fromkeys(("send", "collect", "submit", "look"), ("openai", "duckdb")),
}
"""Those that a step imports when it first needs them."""


def load(pipeline: Pipeline, rows: str) -> int:
    """Puts the rows into the warehouse; how many."""
    with pipeline.warehouse.write() as db:
        db.execute("CREATE OR REPLACE TABLE bench_rows AS FROM read_csv(?, all_varchar = true)", [rows])
        return db.execute("SELECT count(*) FROM bench_rows").fetchall()[0][0]


def build(pipeline: Pipeline, key: str) -> dict[str, object]:
    """Plans a job of all rows."""
    job = plan_job(pipeline, Order(TASK, key=key))
    return {"job": job.job_id, "requests": job.requests, "tokens": job.input_tokens}


def send(pipeline: Pipeline, job_id: str) -> str:
    """Sends all batches, and waits for their ends."""
    while True:
        submit_job(pipeline, job_id)
        poll(pipeline, "local")
        with pipeline.ledger.read() as db:
            if all(batch.ended_at for batch in batches.of_job(db, job_id)):
                return job_id
        time.sleep(0.2)


def submit(pipeline: Pipeline, job_id: str) -> int:
    """Sends all batches; how many."""
    return len(submit_job(pipeline, job_id).created)


def look(pipeline: Pipeline, _job_id: str) -> dict[str, int]:
    """What a sensor's tick does first: batches in flight, and calls that it took to see them."""
    calls = _Calls()
    getLogger("httpx2").addHandler(calls)
    getLogger("httpx2").setLevel("INFO")
    polled = poll(pipeline, "local")
    return {"in_flight": polled.in_flight, "calls": calls.count}


class _Calls(Handler):
    count = 0

    def emit(self, record: LogRecord) -> None:
        self.count += 1


def collect(pipeline: Pipeline, job_id: str) -> int:
    """Collects all batches; how many."""
    return len(collect_job(pipeline, job_id).batches)


def check(pipeline: Pipeline, job_id: str) -> dict[str, int]:
    """What is stored of the job: results by outcome, answers in the task's table, and tokens that were counted."""
    with pipeline.warehouse.read() as db:
        outcomes = dict(
            db.execute("SELECT outcome, count(*) FROM batch_results WHERE job_id = ? GROUP BY 1", [job_id]).fetchall()
        )
        answers, whole = db.execute(
            """
            SELECT count(*), count(label) FILTER (reason IS NOT NULL AND label IN ('bug', 'feature', 'question'))
            FROM bench_kind WHERE job_id = $job
            """,
            {"job": job_id},
        ).fetchall()[0]
        counted = _counted(db, job_id)
    with pipeline.ledger.read() as db:
        settled = sum(sum(batch.outcomes.values()) for batch in batches.of_job(db, job_id) if batch.collected_at)
    return {**outcomes, "answers": answers, "whole": whole, "counted": counted, "settled": settled}


def _counted(db: DuckDBPyConnection, job_id: str) -> int:
    """Requests of which the tokens are those of their text and of what all have, counted anew."""
    rows = db.execute(
        """
        SELECT text, input_tokens
        FROM batch_requests AS requests
        JOIN request_records USING (batch_id, custom_id)
        JOIN bench_rows USING (record_id)
        WHERE requests.job_id = ?
        """,
        [job_id],
    )
    beside, counter = Counter[int](), TokenCounter(MODEL)
    while found := rows.fetchmany(10_000):
        texts = counter.count_masses([text for text, _ in found])
        beside.update(tokens - own for (_, tokens), own in zip(found, texts, strict=True))
    return max((count for tokens, count in beside.items() if tokens > 0), default=0)


def main(verb: str, argument: str) -> None:
    """One step, and what it took, as JSON."""
    for name in LIBRARIES[verb]:  # as the floor has its own: the step is what follows
        import_module(name)
    with Clock() as clock:
        pipeline = Pipeline()
        done: object = {
            "load": load,
            "build": build,
            "send": send,
            "collect": collect,
            "check": check,
            "submit": submit,
            "look": look,
        }[verb](pipeline, argument)
        pipeline.close()
    clock.tell(done)


if __name__ == "__main__":
    main(*sys.argv[1:])
