"""Pictures that the UI shows at once: a bar a row, in the table itself."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from batch_pipeline.assets.metadata import BAR_WIDTH, SHOWN, bar, bars


@given(st.lists(st.floats(0, 1), min_size=1))
def test_a_longer_bar_is_more_and_whatever_there_is_shows(shares: list[float]) -> None:
    drawn = [bar(share) for share in sorted(shares)]
    assert [len(each) for each in drawn] == sorted(len(each) for each in drawn)
    assert all(len(each) <= BAR_WIDTH for each in drawn)
    assert all(bool(bar(share)) == (share > 0) for share in shares)


def test_the_largest_number_has_the_whole_width() -> None:
    rows = [("answered", 1_000), ("failed", 500), ("refused", 0)]
    *_, answered, failed, refused = str(bars(["outcome", "records"], rows, 1).value).splitlines()
    assert answered == f"| answered | 1000 | {'█' * BAR_WIDTH} |"
    assert failed == f"| failed | 500 | {'█' * (BAR_WIDTH // 2)} |"
    assert refused == "| refused | 0 |  |"


def test_amounts_are_drawn_as_they_are_written_and_many_stay_readable_at_once() -> None:
    drawn = str(bars(["day", "USD"], [(f"2026-11-{day:02}", f"${day:,.2f}") for day in range(1, 31)], 1).value)
    assert len(drawn) < SHOWN + 50
    assert "more*" in drawn


def test_nothing_at_all_is_no_table() -> None:
    assert bars(["outcome", "records"], [], 1).value == "*none*"
