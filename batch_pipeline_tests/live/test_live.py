"""What a live run measures is what the server was ordered to do, and nothing of it is left there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from batch_pipeline.errors import MissingKey, ProviderRefused, ProviderUnreachable, UsageError
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.live.assumptions import ASSUMPTIONS
from batch_pipeline_tests.live.conftest import KEY, QUICK, Runs
from batch_pipeline_tests.live.money import TooDear
from batch_pipeline_tests.live.trials import ROWS

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
FOR_EVER: dict[str, object] = {"times": None}
ENDED = {"completed", "failed", "cancelled"}


def lines_of(books: Books, runs: Runs, trial: str) -> list[object]:
    """The lines that were executed of each batch of a trial, by the server's books."""
    executed = {batch["batch_id"]: batch["lines_executed"] for batch in books.batches}
    return [executed[s.batch.id] for s in runs.state.samples if s.trial == trial and s.batch]


def nothing_left(books: Books) -> bool:
    return books.files_kept == 0 and {batch["status"] for batch in books.batches} <= ENDED


def test_a_server_as_it_is_assumed_passes_and_keeps_nothing(live: Runs, books: Books) -> None:
    assert live(replace(QUICK, samples=2, posts_after=(0.0, 0.1))) == 0
    assert nothing_left(books)
    assert not live.under_way
    assert lines_of(books, live, "usage") == [ROWS]
    assert lines_of(books, live, "deleted_before") == [0, 0]
    assert len(books.batches) == 1 + 2 + 1 + 2
    assert 0 < live.state.cost_usd <= live.state.bound_usd < 0.001
    assert live.seen("deleted_before").holds
    assert "Cannot find file" in live.seen("deleted_before").words
    assert live.seen("usage").words.startswith(f"{ROWS} rows")


def test_a_report_is_a_table_for_the_documentation(live: Runs) -> None:
    live()
    told = (live.folder / f"{live.state.report}.md").read_text()
    assert told.count("\n| ") == 2 + len(ASSUMPTIONS)
    assert all(assumption.assumed in told and assumption.if_wrong in told for assumption in ASSUMPTIONS)
    assert "org-local" not in told
    live()
    assert live.state.report.endswith("-2")


def test_the_operators_guide_has_every_assumption_and_what_follows() -> None:
    lines = OPERATIONS.read_text(encoding="utf-8").splitlines()
    for assumption in ASSUMPTIONS:
        (line,) = [line for line in lines if line.startswith(f"| {assumption.assumed} |")]
        assert line.endswith(f"| {assumption.if_wrong} |")


def test_lags_are_measured_as_they_were_ordered(live: Runs, books: Books) -> None:
    books.order(
        {"kind": "listing_late", "seconds": 1, **FOR_EVER},
        {"kind": "delete_late", "seconds": 1, **FOR_EVER},
    )
    assert live(replace(QUICK, posts_after=(0.0, 1.3), every=0.1)) == 0
    lags = [sample.lag for sample in live.state.samples if sample.trial in ("listing", "delete")]
    assert [lag is not None and 0.9 <= lag <= 1.6 for lag in lags] == [True, True], lags
    assert lines_of(books, live, "deleted_before") == [1, 0]
    assert "created 0 s after DELETE: a batch that ended completed, executed" in live.seen("deleted_before").words
    assert live.seen("deleted_before", wait_seconds=600).holds
    for name in ("deleted_before", "delete_lag", "listing_lag"):
        assert live.seen(name, wait_seconds=1.8).holds is False  # both lags together are longer
    assert nothing_left(books)


def test_a_batch_that_is_listed_too_late_is_told(live: Runs, books: Books) -> None:
    books.order({"kind": "listing_late", "seconds": 60, **FOR_EVER})
    assert live(replace(QUICK, longest=0.2)) == 1
    assert live.seen("listing_lag").words == "1 of 1 not listed as long as was looked (WAIT 600 s)"
    assert live.seen("listing_names").words == "not tried"
    assert nothing_left(books)


def test_a_listing_that_wavers_is_told(live: Runs, books: Books) -> None:
    books.order({"kind": "listing_empty", "skip": 3})  # 1: the key; 2: it is listed; 3: still
    assert live() == 1
    assert "1 times not listed again" in live.seen("listing_lag").words


def test_a_post_that_executes_after_the_delete_is_told(live: Runs, books: Books) -> None:
    books.order({"kind": "delete_late", "seconds": 30, **FOR_EVER})
    assert live(replace(QUICK, longest=0.1, posts_after=(0.0, 0.1))) == 1
    assert lines_of(books, live, "deleted_before") == [1, 1]
    assert live.seen("deleted_before").holds is False
    assert live.seen("delete_lag").holds is False


def test_a_refusal_of_a_deleted_file_is_as_good_as_a_failed_batch(live: Runs, books: Books) -> None:
    books.order({"kind": "status", "on": "batches.create", "status": 400, "message": "No such file.", "skip": 1})
    assert live() == 0
    assert live.seen("deleted_before").words == (
        "created 0 s after DELETE: refused (400 None: No such file.), nothing executed"
    ).replace("None", "")


def test_a_server_without_delete_is_told_and_not_waited_for(live: Runs, books: Books) -> None:
    books.order({"kind": "status", "on": "files.delete", "status": 405, **FOR_EVER})
    assert live() == 1
    assert live.seen("delete_lag").holds is False
    assert live.seen("deleted_before").holds is None
    assert not live.under_way
    assert any("deletes no files" in line for line in live.said)


def test_metadata_that_is_forgotten_is_told(live: Runs, books: Books) -> None:
    books.order({"kind": "metadata_dropped", **FOR_EVER})
    assert live() == 1
    assert live.seen("listing_names").words == "of 1 batches: `metadata` of 0, `input_file_id` of 1"


def test_a_usage_that_is_not_that_of_the_rows_is_told(live: Runs, books: Books) -> None:
    books.order({"kind": "lines", "damage": "doubled", **FOR_EVER})
    assert live() == 1
    assert live.seen("usage").holds is False
    assert f"{2 * ROWS} rows" in live.seen("usage").words


def test_files_of_an_ended_batch_that_come_late_are_waited_for(live: Runs, books: Books) -> None:
    books.order({"kind": "files_late", "seconds": 0.5, **FOR_EVER})
    assert live() == 0
    assert nothing_left(books)


def test_a_lost_reply_is_found_in_the_listing(live: Runs, books: Books) -> None:
    books.order(
        {"kind": "reply_lost", "on": "batches.create"},
        {"kind": "listing_late", "seconds": 0.2},
        {"kind": "slow", "stage": "in_progress", "seconds": 2},
    )
    assert live(replace(QUICK, longest=0.5)) == 0
    assert lines_of(books, live, "usage") == [ROWS]
    assert len(books.batches) == 4


def test_a_lost_request_is_not_repeated(live: Runs, books: Books) -> None:
    books.order({"kind": "request_lost", "on": "batches.create"})
    assert live(replace(QUICK, longest=0.2)) == 1
    assert len(books.batches) == 3
    assert live.seen("usage").words == "the reply was lost"
    assert nothing_left(books)
    assert not live.under_way


def test_what_is_not_ended_in_time_is_gone_on_with_and_not_bought_again(live: Runs, books: Books) -> None:
    books.order({"kind": "slow", "stage": "in_progress", "seconds": 1})  # the first batch, the one for its usage
    assert live(replace(QUICK, limit=0.0)) == 3
    (bought,) = [sample.batch for sample in live.state.samples if sample.running]
    assert bought is not None
    assert bought.id in live.said[-1]
    assert live() == 0
    assert lines_of(books, live, "usage") == [ROWS]
    assert len(books.batches) == 4
    assert nothing_left(books)
    assert not live.under_way


def test_a_run_of_another_key_or_model_is_left_alone(live: Runs, books: Books) -> None:
    books.order({"kind": "slow", "stage": "in_progress", "seconds": 1})
    assert live(replace(QUICK, limit=0.0)) == 3
    for other in ({"key": "sk-another-key"}, {"model": "gpt-5-nano"}):
        with pytest.raises(UsageError, match="is under way, with another key"):
            live(**other)  # pyright: ignore[reportArgumentType]
    assert len(books.batches) == 4


def test_a_refusal_on_the_way_takes_everything_away(live: Runs, books: Books) -> None:
    books.order(
        {"kind": "slow", "stage": "validating", "seconds": 60},
        {"kind": "status", "on": "batches.create", "status": 403, "message": f"Not with {KEY}.", "skip": 1},
    )
    with pytest.raises(ProviderRefused, match="Not with") as told:
        live()
    assert KEY not in str(told.value)
    assert nothing_left(books)
    assert books.lines_executed == 0
    assert live() == 0  # what was cancelled before it executed anything is tried again
    assert lines_of(books, live, "usage") == [0, ROWS]
    assert nothing_left(books)


def test_a_server_that_fails_for_a_while_is_waited_for(live: Runs, books: Books) -> None:
    now = {"retry-after-ms": "1"}
    books.order(
        {"kind": "slow", "stage": "in_progress", "seconds": 1},
        {"kind": "status", "on": "batches.get", "status": 500, "times": 4, "headers": now},
    )
    assert live() == 0
    assert lines_of(books, live, "usage") == [ROWS]
    assert nothing_left(books)


def test_a_delete_that_fails_is_no_sample(live: Runs, books: Books) -> None:
    now = {"retry-after-ms": "1"}
    books.order({"kind": "status", "on": "files.delete", "status": 500, "times": 3, "headers": now})
    with pytest.raises(ProviderUnreachable, match="can't be deleted now"):
        live()
    assert nothing_left(books)
    assert live() == 0
    assert live.seen("delete_lag").words.startswith("gone after 0.00 s")


def test_a_batch_that_is_listed_after_it_was_given_up_is_not_left_there(live: Runs, books: Books) -> None:
    books.order(
        {"kind": "reply_lost", "on": "batches.create"},
        {"kind": "listing_late", "seconds": 1.2},
        {"kind": "slow", "stage": "in_progress", "seconds": 1.5, "skip": 2},  # meanwhile another one is followed
    )
    while live(replace(QUICK, longest=0.1)) == 3:
        pass
    assert lines_of(books, live, "usage") == [ROWS]
    assert nothing_left(books)


@pytest.mark.parametrize("key", [None, KEY])
def test_without_a_key_that_is_taken_nothing_is_made(live: Runs, books: Books, key: str | None) -> None:
    books.order({"kind": "status", "status": 401, "message": f"Incorrect API key provided: {KEY}.", **FOR_EVER})
    with pytest.raises(MissingKey if key is None else ProviderRefused) as told:
        live(key=key)
    assert KEY not in str(told.value)
    assert not books.batches
    assert not live.under_way


def test_more_than_a_cent_is_refused_before_anything_is_sent(live: Runs, books: Books) -> None:
    with pytest.raises(TooDear, match="nothing was sent"):
        live(replace(QUICK, samples=20), model="gpt-6-astra")
    assert not books.batches
    assert books.files_kept == 0


def test_no_key_is_kept(live: Runs) -> None:
    live()
    kept = [path.read_text() for path in live.folder.iterdir()]
    assert not [text for text in [*kept, *live.said] if KEY in text]
    assert json.loads((live.folder / f"{live.state.report}.json").read_bytes())["summary"]
