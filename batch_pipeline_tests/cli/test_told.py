from __future__ import annotations

import pytest

from batch_pipeline.cli.told import duration, in_words, selection_in_words


@pytest.mark.parametrize(
    ("seconds", "told"), [(-1, "0 s"), (0.4, "0 s"), (119, "119 s"), (180, "3 min"), (7_500, "2 h 5 min")]
)
def test_a_duration_is_told_as_people_say_it(seconds: float, told: str) -> None:
    assert duration(seconds) == told


def test_a_selection_is_told_by_what_narrows_it() -> None:
    assert selection_in_words({"which": "all", "force": True}) == "answered or not; bought again"
    ids = [f"r{number}" for number in range(1_200)]
    assert selection_in_words({"ids": ids}) == "1,200 by id: r0, r1, r2, r3, r4 and 1,195 more"
    cell = {"night": "2026-11-20", "repo": "acme/orbit", "which": "new"}
    assert selection_in_words(cell, "2026-11-20|acme/orbit") == "partition 2026-11-20|acme/orbit; not answered yet"
    assert selection_in_words({"order": ["label:bug", "age"], "limit": 1_000}) == (
        "ordered by label:bug, then age; at most 1,000"
    )


def test_what_a_job_keeps_of_its_making_is_told_in_a_line() -> None:
    kept = {"code": "refusal", "failed": {"refusal": 2}, "jobs": [f"j{number}" for number in range(7)]}
    assert in_words(kept) == "code refusal; failed 2 refusal; jobs j0, j1, j2, j3, j4 and 2 more"
