from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from batch_pipeline.ledger import sends
from batch_pipeline.ledger.engine import Ledger
from batch_pipeline.ledger.sends import Send
from batch_pipeline_tests.ledger.rows import fill
from batch_pipeline_tests.processes import at_once

BATCH = "job-0000"
MARKED = Send(BATCH, 1, "marked", "account", 1.0, file_id="file-9", uploaded_at=2.0, posted_at=3.0)


@pytest.fixture
def ledger(ledger_url: str) -> Generator[Ledger]:
    made = Ledger(ledger_url)
    fill(made, count=2)
    yield made
    made.close()


def claimed(ledger: Ledger, batch_id: str = BATCH) -> Send:
    with ledger.begin() as db:
        send = sends.claim(db, batch_id, "account")
    assert send is not None
    return send


def written(ledger: Ledger, send: Send, **values: object) -> Send:
    with ledger.begin() as db:
        changed = sends.write(db, send, **values)
    assert changed is not None
    return changed


def claim_once(url: str, _folder: Path, _number: int) -> str | None:
    ledger = Ledger(url)
    with ledger.begin() as db:
        send = sends.claim(db, BATCH, "account")
    ledger.close()
    return send and send.claim


def test_of_eight_processes_that_claim_a_batch_at_once_one_has_it(
    ledger_url: str, tmp_path: Path, ledger: Ledger
) -> None:
    claims = [claim for claim in at_once(8, partial(claim_once, ledger_url), tmp_path) if claim is not None]
    with ledger.read() as db:
        assert [send.claim for send in sends.of_batch(db, BATCH)] == claims
    assert len(claims) == 1


def test_a_claim_is_a_row_with_nothing_in_it_yet(ledger: Ledger) -> None:
    send = claimed(ledger)
    assert send == Send(BATCH, 1, send.claim, "account", send.claimed_at)
    assert len(send.claim) == 16


def test_a_batch_is_claimed_again_only_when_every_earlier_send_has_ended(ledger: Ledger) -> None:
    first = claimed(ledger)
    with ledger.begin() as db:
        assert sends.claim(db, BATCH, "account") is None
    written(ledger, first, end="refused")
    second = claimed(ledger)
    assert (second.number, second.claim != first.claim) == (2, True)
    with ledger.begin() as db:
        assert sends.claim(db, BATCH, "account") is None
        assert sends.open_of_batch(db, BATCH) == [second]


def test_the_right_to_post_is_given_once(ledger: Ledger) -> None:
    send = written(ledger, claimed(ledger), file_id="file-1", uploaded_at=1.0)
    with ledger.begin() as db:
        posted = sends.post(db, send, replace(send, posted_at=5.0, sent_sha256="0123"))
        assert posted == replace(send, posted_at=5.0, sent_sha256="0123")
        assert sends.post(db, send, replace(send, posted_at=6.0)) is None


def test_nobody_posts_while_another_send_of_the_batch_is_open(ledger: Ledger) -> None:
    send = written(ledger, claimed(ledger), file_id="file-1", uploaded_at=1.0)
    with ledger.begin() as db:
        sends.remember(db, MARKED)  # another ledger's, brought back from its marker
        assert sends.post(db, send, replace(send, posted_at=5.0)) is None
        other = next(found for found in sends.open_of_batch(db, BATCH) if found.claim == "marked")
        sends.write(db, other, end="void")
        assert sends.post(db, send, replace(send, posted_at=5.0)) is not None


def test_nobody_posts_another_file_than_was_read(ledger: Ledger) -> None:
    send = claimed(ledger)
    mine = written(ledger, send, file_id="file-1", uploaded_at=1.0)
    with ledger.begin() as db:
        other = replace(mine, file_id="file-2")
        assert sends.post(db, other, replace(other, posted_at=5.0)) is None
        assert sends.write(db, send, file_id="file-2", uploaded_at=2.0) is None


def test_a_provider_batch_belongs_to_one_send(ledger: Ledger) -> None:
    written(ledger, claimed(ledger), remote_id="batch_1")
    other = claimed(ledger, "job-0001")
    with pytest.raises(IntegrityError), ledger.begin() as db:
        sends.write(db, other, remote_id="batch_1")


def test_sends_of_a_job_are_not_those_of_a_job_whose_name_begins_alike(ledger: Ledger) -> None:
    for job_id in ("job_2", "jobx2", "job2"):
        fill(ledger, job_id)
        claimed(ledger, f"{job_id}-0000")
    mine = claimed(ledger)
    with ledger.read() as db:
        assert sends.by_batch(db, ["job"]) == {BATCH: [mine]}
        assert set(sends.by_batch(db, ["job_2"])) == {"job_2-0000"}


def test_sends_of_a_job_are_not_those_of_its_later_attempts(ledger: Ledger) -> None:
    fill(ledger, "job-again2")
    claimed(ledger, "job-again2-0000")
    mine = claimed(ledger)
    with ledger.read() as db:
        assert sends.by_batch(db, ["job"]) == {BATCH: [mine]}


def test_the_send_that_tells_of_a_batch_is_the_one_that_created_it(ledger: Ledger) -> None:
    with ledger.read() as db:
        assert sends.last_of_batch(db, BATCH) is None
    first = written(ledger, claimed(ledger), remote_id="batch_1")
    with ledger.begin() as db:
        sends.remember(db, MARKED)
        assert sends.last_of_batch(db, BATCH) == first
        sends.write(db, first, end="void")
        last = sends.last_of_batch(db, BATCH)
    assert last is not None
    assert last.claim == "marked"


class TestRemember:
    """A ledger that is behind the world learns from the markers."""

    def test_an_unknown_send_is_written_in_as_posted(self, ledger: Ledger) -> None:
        with ledger.begin() as db:
            assert sends.behind(db, {"marked"}) == {"marked"}
            sends.remember(db, MARKED)
            assert sends.of_batch(db, BATCH) == [MARKED]
            assert sends.behind(db, {"marked"}) == set()
            assert sends.claims(db) == {"marked"}

    def test_it_gets_the_next_number(self, ledger: Ledger) -> None:
        mine = claimed(ledger)
        with ledger.begin() as db:
            sends.remember(db, MARKED)
            assert sends.of_batch(db, BATCH) == [mine, replace(MARKED, number=2)]

    def test_a_known_send_becomes_posted(self, ledger: Ledger) -> None:
        mine = claimed(ledger)
        marked = replace(mine, file_id="file-9", uploaded_at=2.0, posted_at=3.0)
        with ledger.begin() as db:
            assert sends.behind(db, {mine.claim}) == {mine.claim}
            sends.remember(db, marked)
            assert sends.of_batch(db, BATCH) == [marked]

    @pytest.mark.parametrize("ended", [{"end": "refused"}, {"file_id": "file-1", "posted_at": 1.0}])
    def test_a_send_that_is_posted_or_ended_stays_as_it_is(self, ledger: Ledger, ended: dict[str, object]) -> None:
        mine = written(ledger, claimed(ledger), **ended)
        with ledger.begin() as db:
            assert sends.behind(db, {mine.claim}) == set()
            sends.remember(db, replace(MARKED, claim=mine.claim))
            assert sends.of_batch(db, BATCH) == [mine]

    def test_remembering_twice_is_remembering_once(self, ledger: Ledger) -> None:
        with ledger.begin() as db:
            sends.remember(db, MARKED)
            sends.remember(db, MARKED)
            assert sends.of_batch(db, BATCH) == [MARKED]


def test_remote_ids_are_those_that_are_known(ledger: Ledger) -> None:
    written(ledger, claimed(ledger), remote_id="batch_1")
    claimed(ledger, "job-0001")
    with ledger.read() as db:
        assert sends.remote_ids(db) == {"batch_1"}
