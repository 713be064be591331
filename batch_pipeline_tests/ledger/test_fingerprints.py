from __future__ import annotations

from collections.abc import Generator
from functools import partial
from pathlib import Path

import pytest

from batch_pipeline.ledger import fingerprints
from batch_pipeline.ledger.engine import Ledger
from batch_pipeline.ledger.fingerprints import Holder
from batch_pipeline_tests.processes import at_once

MANY = 40_000
"""More than the 32,766 parameters that SQLite takes in one statement."""


@pytest.fixture
def ledger(ledger_url: str) -> Generator[Ledger]:
    made = Ledger(ledger_url)
    yield made
    made.close()


def wanted(*names: str) -> dict[str, str]:
    return {name: f"id-of-{name}" for name in names}


def test_what_is_free_is_taken_and_what_is_held_is_told_with_its_holder(ledger: Ledger) -> None:
    with ledger.begin() as db:
        assert fingerprints.take(db, "one", wanted("a", "b")) == {}
        assert fingerprints.take(db, "two", wanted("b", "c")) == {"b": Holder("one", "id-of-b")}
        assert fingerprints.take(db, "two", {"c": "another", "d": "id-of-d"}) == {"c": Holder("two", "id-of-c")}
        assert fingerprints.take(db, "two", wanted("c", "d")) == {}
        assert fingerprints.take(db, "two", {}) == {}
        assert {fp: who.job_id for fp, who in fingerprints.holders(db, ["a", "b", "c", "d"]).items()} == {
            "a": "one",
            "b": "one",
            "c": "two",
            "d": "two",
        }


def test_a_job_frees_only_its_own(ledger: Ledger) -> None:
    with ledger.begin() as db:
        fingerprints.take(db, "one", wanted("a", "b"))
        fingerprints.free(db, "two", ["a", "b"])
        assert set(fingerprints.holders(db, ["a", "b"])) == {"a", "b"}
        fingerprints.free(db, "one", ["a", "nobody's"])
        assert set(fingerprints.holders(db, ["a", "b"])) == {"b"}
        fingerprints.take(db, "two", wanted("c", "d"))
        fingerprints.free_all(db, "two")
        assert set(fingerprints.holders(db, ["a", "b", "c", "d"])) == {"b"}
        fingerprints.take(db, "zero", wanted("z"))
        fingerprints.free_all(db, "one")
        assert set(fingerprints.holders(db, ["a", "b", "z"])) == {"z"}
        fingerprints.free_all(db, "two")
        assert set(fingerprints.holders(db, ["z"])) == {"z"}
        fingerprints.free_all(db, "zero")
        assert fingerprints.holders(db, ["z"]) == {}


def take_all(url: str, _folder: Path, number: int) -> list[str]:
    """Each process wants all of them, in overlapping pieces; those that it got."""
    ledger, names = Ledger(url), [f"{n:03d}" for n in range(200)]
    mine: list[str] = []
    for start in range(0, 200, 20):
        chunk = [names[(start + n) % 200] for n in range(-number, 20)]
        with ledger.begin(alone=False) as db:
            held = fingerprints.take(db, f"job-{number}", {name: f"{name} at {start}" for name in chunk})
        mine += [name for name in chunk if name not in held]
    ledger.close()
    return mine


def test_processes_that_take_the_same_at_once_share_it_without_overlap(
    ledger_url: str, tmp_path: Path, ledger: Ledger
) -> None:
    taken = [name for mine in at_once(4, partial(take_all, ledger_url), tmp_path) for name in mine]
    assert sorted(taken) == [f"{n:03d}" for n in range(200)]
    with ledger.read() as db:
        assert len(fingerprints.holders(db, taken)) == 200


def test_more_at_once_than_a_statement_takes_parameters(ledger: Ledger) -> None:
    names = [f"{n:064d}" for n in range(MANY)]
    with ledger.begin() as db:
        assert fingerprints.take(db, "one", wanted(*names)) == {}
        assert len(fingerprints.take(db, "two", wanted(*names))) == MANY
        fingerprints.wait_for(db, "two", names)
        assert fingerprints.waited_for(db, "two") == ["one"]
        fingerprints.give_up(db, "one", "task", dict.fromkeys(names, ("failed", "why")))
        assert len(fingerprints.which_given_up(db, names)) == MANY
        fingerprints.forget_given_up(db, names)
        assert fingerprints.which_given_up(db, names) == set()
        fingerprints.free(db, "one", names)
        assert not fingerprints.still_waiting(db, "two")
        assert fingerprints.holders(db, names) == {}


def test_a_job_waits_for_as_long_as_another_has_it_in_flight(ledger: Ledger) -> None:
    with ledger.begin() as db:
        fingerprints.take(db, "one", wanted("a", "b"))
        fingerprints.wait_for(db, "two", ["a", "b", "a"])
        fingerprints.wait_for(db, "two", ["b", "a"])  # again is no more
        assert fingerprints.still_waiting(db, "two")
        assert not fingerprints.still_waiting(db, "one")
        fingerprints.free(db, "one", ["a"])
        assert fingerprints.still_waiting(db, "two")
        fingerprints.free(db, "one", ["b"])
        assert not fingerprints.still_waiting(db, "two")


def test_what_is_given_up_again_has_the_last_reason(ledger: Ledger) -> None:
    with ledger.begin() as db:
        fingerprints.give_up(db, "one", "task", {"a": ("failed", "first"), "b": ("refused", None)})
        fingerprints.give_up(db, "two", "task", {"a": ("failed", "second")})
        assert fingerprints.which_given_up(db, ["a", "b", "c"]) == {"a", "b"}
        fingerprints.forget_given_up(db, ["a"])
        assert fingerprints.which_given_up(db, ["a", "b", "c"]) == {"b"}
