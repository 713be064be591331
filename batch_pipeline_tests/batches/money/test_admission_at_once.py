"""Eight processes under one budget: never a cent over it, at any commit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from batch_pipeline.batches.money.admission import admit
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.submit import submit
from batch_pipeline.ledger import batches, budgets, jobs, sends
from batch_pipeline.ledger.engine import Ledger
from batch_pipeline.ledger.sends import Send
from batch_pipeline.settings import Settings
from batch_pipeline_tests.batches.chain import batches_of, planned, run, write_notes
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.ledger.rows import batch, job
from batch_pipeline_tests.processes import at_once

PROCESSES = 8
ADMISSIONS = 200
BOUND, COST = 0.2, 0.0001
BUDGET = 2.1
"""Room for ten batches."""
JOB = "job"
ALWAYS = (0.0, 1e12)
"""From when to when, in unix seconds."""


def test_of_200_admissions_by_eight_processes_none_goes_over_the_budget(ledger_url: str, tmp_path: Path) -> None:
    ledger = Ledger(ledger_url)
    with ledger.begin() as db:
        jobs.open_job(db, job(JOB, provider="openai", planned_at=1.0))
        batches.add(db, [batch(n, JOB, bound_usd=BOUND) for n in range(ADMISSIONS)])
    ends = at_once(PROCESSES, partial(admit_share, ledger_url), tmp_path)
    reserved = [sum_ for sums, _ in ends for sum_ in sums]
    assert len(reserved) == 2 * ADMISSIONS
    assert BUDGET - BOUND < max(reserved) <= BUDGET
    assert sum(refused for _, refused in ends) > PROCESSES
    with ledger.read() as db:
        assert [send for n in range(ADMISSIONS) for send in sends.open_of_batch(db, f"{JOB}-{n:04d}")] == []
        assert budgets.spent_between(db, *ALWAYS) == pytest.approx(ADMISSIONS / 2 * COST)
    ledger.close()


def admit_share(url: str, folder: Path, number: int) -> tuple[list[float], int]:
    """Admits every eighth batch, and settles the oldest of its own when there is no room.

    Returns:
        What was spent or reserved at the end of each transaction that changed it, and how often there was no room.
    """
    ledger = Ledger(url)
    settings = Settings.model_validate({"data_dir": folder, "budget_day_usd": BUDGET, "budget_job_usd": 1000.0})
    todo = [f"{JOB}-{n:04d}" for n in range(number, ADMISSIONS, PROCESSES)]
    held: list[Send] = []
    sums: list[float] = []
    refused = 0
    while todo or held:
        send = _admitted(ledger, settings, todo[0], sums) if todo else None
        if send is not None:
            held.append(send)
            todo.pop(0)
        else:
            refused += bool(todo)
            if held:
                _settled(ledger, held.pop(0), sums)
    ledger.close()
    return sums, refused


def _admitted(ledger: Ledger, settings: Settings, batch_id: str, sums: list[float]) -> Send | None:
    with ledger.begin(alone=False) as db:  # on Postgres, the lock of the budget alone must do
        waits = admit(db, settings, "account", jobs.get(db, JOB), batches.get(db, batch_id))
        if waits is not None:
            assert waits.why.startswith("budget: today may spend 2.10 USD")
            return None
        send = sends.claim(db, batch_id, "account")
        sums.append(budgets.spent_between(db, *ALWAYS))
    assert send is not None
    return send


def _settled(ledger: Ledger, send: Send, sums: list[float]) -> None:
    """Every second one is collected, and costs less than its bound; the others were refused."""
    collected = int(send.batch_id.rpartition("-")[2]) % 2 == 0
    with ledger.begin(alone=False) as db:
        if collected:
            batches.write(db, batches.get(db, send.batch_id), collected_at=1.0, cost_usd=COST)
        sends.write(db, send, end="collected" if collected else "refused")
        sums.append(budgets.spent_between(db, *ALWAYS))


def test_eight_processes_that_submit_at_once_send_what_the_budget_allows_and_name_it(
    make_pipeline: Callable[..., Pipeline], books: Books, tmp_path: Path
) -> None:
    paid = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": books.url, "max_requests": 1, "create_wait_seconds": 30.0}
    first = make_pipeline(**paid)
    write_notes(first, 24)
    wanted = planned(first, provider="openai", model="gpt-6-astra")
    bounds = [row.bound_usd for row in batches_of(first, wanted)]
    tight = first.settings.model_copy(update={"budget_day_usd": 0.4 * sum(bounds)})
    ends = at_once(PROCESSES, partial(submit_all, tight), tmp_path)
    with first.ledger.read() as db:
        reserved = budgets.spent_between(db, *ALWAYS)  # nothing was let go meanwhile: it was never more
    budget = 0.4 * sum(bounds)
    assert budget - min(bounds) < reserved <= budget
    created = {batch_id for created, _ in ends for batch_id in created}
    assert len(created) == len(books.batches) < len(bounds)
    whys = {why for _, not_yet in ends for why in not_yet}
    bought = sum(row.bound_usd for row in batches_of(first, wanted) if row.batch_id in created)
    assert reserved == pytest.approx(bought), whys
    assert any(why.startswith("budget: today may spend") and "BUDGET_DAY_USD" in why for why in whys)
    rest = Pipeline(tight)
    assert run(rest, wanted).outcomes == {"answered": 24}
    assert (len(books.batches), books.lines_executed) == (24, 24)
    rest.close()


def submit_all(settings: Settings, _folder: Path, _number: int) -> tuple[list[str], list[str]]:
    """What is created, and why the rest is not."""
    pipeline = Pipeline(settings)
    turn = submit(pipeline, "openai")
    pipeline.close()
    return turn.created, list(turn.not_yet.values())
