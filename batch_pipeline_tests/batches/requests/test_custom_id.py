"""How a request is found again."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from batch_pipeline.batches.requests.custom_id import LONGEST, custom_id, custom_ids

OWNERS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9-]{0,20}", fullmatch=True)
NAMES = st.from_regex(r"[A-Za-z0-9._-]{1,25}", fullmatch=True)
ISSUES = st.builds("{}/{}#{}".format, OWNERS, NAMES, st.integers(0, 10**7))
# ids that are close to each other, to make the scheme show where it would let two meet
TRICKY = st.text(alphabet="ab_-/#.1issue", max_size=30)
RECORD_IDS = ISSUES | TRICKY | st.text(max_size=80)


@given(RECORD_IDS, st.integers(0, 3))
def test_it_fits_every_provider(record_id: str, part: int) -> None:
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", custom_id(record_id, part))
    assert len(custom_id(record_id, part)) <= LONGEST


@given(st.lists(st.tuples(RECORD_IDS, st.integers(0, 2)), unique=True, min_size=2, max_size=40))
def test_no_two_records_share_one(records: list[tuple[str, int]]) -> None:
    assert len({custom_id(record_id, part) for record_id, part in records}) == len(records)


@given(RECORD_IDS)
def test_it_may_be_made_of_its_own_output_and_still_tells_apart(record_id: str) -> None:
    made = custom_id(record_id)
    assert made == record_id or custom_id(made) != made


def test_an_issue_reads_like_one() -> None:
    assert custom_id("acme/web_app#123") == "acme_web_app_issue_123"
    assert custom_id("facebook/react#1") == "facebook_react_issue_1"


def test_a_hash_stands_where_something_would_be_lost() -> None:
    assert re.fullmatch(r"acme_web_app_7-[0-9a-f]{16}", custom_id("acme/web.app#7"))
    assert custom_id("acme/web.app#7") != custom_id("acme/web-app#7")
    assert custom_id("a/b#1", part=1) != custom_id("a/b#1")


PLAIN = st.from_regex(r"[a-z0-9_-]{1,20}", fullmatch=True)
ANOTHER_FORM = st.sampled_from(["", "a\nb", "\n", "a_issue_1", "a-0123456789abcdef", "a" * 55, "a" * 56])


@given(st.lists(PLAIN) | st.lists(PLAIN | ANOTHER_FORM) | st.lists(RECORD_IDS))
def test_those_of_many_are_those_of_each(record_ids: list[str]) -> None:
    assert custom_ids(record_ids) == [custom_id(record_id) for record_id in record_ids]
