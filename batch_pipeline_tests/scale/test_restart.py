"""The ledger's server is restarted in the middle of a step: the step says so, and the next turn finishes, once."""

from __future__ import annotations

from collections.abc import Callable, Generator

import pytest

from batch_pipeline.batches import points
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.standing.status import status
from batch_pipeline.batches.turn import submit_job, take_turn
from batch_pipeline.errors import LedgerUnavailable
from batch_pipeline_tests.batches.chain import accounted, answers, planned, write_notes
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.scale.fixtures import started_postgres
from batch_pipeline_tests.scale.postgres import PostgresServer

pytestmark = pytest.mark.scale

SUBMITTING = ("admit.sum_read", "claim.recorded", "upload.replied", "send.marker_synced", "send.replied")
COLLECTING = ("poll.page_1", "collect.duckdb_open", "collect.duckdb_committed")
IN_A_TRANSACTION = {"admit.sum_read"}


@pytest.fixture(scope="module")
def own_server() -> Generator[PostgresServer]:
    """One that nobody else uses."""
    with started_postgres() as server:
        yield server


@pytest.fixture
def restarted(own_server: PostgresServer) -> Generator[Callable[[str], list[str]]]:
    """Has the server crash once, when somebody comes to the point; gives where it did."""

    def at(point: str) -> list[str]:
        happened: list[str] = []

        def hook(reached: str) -> None:
            if reached == point and not happened:
                happened.append(reached)
                own_server.restart("immediate")

        points.hook = hook
        return happened

    yield at
    points.hook = None


@pytest.mark.parametrize("point", [*SUBMITTING, *COLLECTING])
def test_all_goes_on_and_nothing_is_paid_twice(
    own_server: PostgresServer,
    restarted: Callable[[str], list[str]],
    make_pipeline: Callable[..., Pipeline],
    books: Books,
    point: str,
) -> None:
    pipeline = make_pipeline(ledger_url=own_server.new_database(), max_requests=2)
    write_notes(pipeline, 4)
    job = planned(pipeline)
    happened = restarted(point)
    told = [why for why in (said(lambda: submit_job(pipeline, job.job_id)),) if why]
    for _ in range(400):
        if why := said(lambda: take_turn(pipeline, job.job_id)):
            told.append(why)
        if status(pipeline, job.job_id).final:
            break
    assert happened == [point]
    assert len(told) == (point in IN_A_TRANSACTION)
    assert all("was lost in the middle" in why for why in told)
    assert status(pipeline, job.job_id).outcomes == {"answered": 4}
    assert (len(books.batches), books.lines_executed) == (2, 4)
    assert len(answers(pipeline)) == 4
    accounted(pipeline, [job])


def said(step: Callable[[], object]) -> str | None:
    """The sentence that the step ended with, if it did."""
    try:
        step()
    except LedgerUnavailable as error:
        return str(error)
    return None
