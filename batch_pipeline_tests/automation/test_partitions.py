"""Cells of the grid, and the few ranges that cover them."""

from __future__ import annotations

import dagster as dg
from hypothesis import given
from hypothesis import strategies as st

from batch_pipeline.automation.partitions import Range, ranges_over, repo_nights, row_of, rows_cells
from batch_pipeline.settings import Settings
from batch_pipeline_tests.project import ephemeral

ORDER = [f"cell-{number}" for number in range(60)]


def test_neighbours_are_one_range_and_far_ones_are_two() -> None:
    assert list(ranges_over(["a", "b", "d"], list("abcd"), gap=1)) == [Range("a", "d")]
    assert list(ranges_over(["a", "b", "d"], list("abcd"), gap=0)) == [Range("a", "b"), Range("d", "d")]


@given(st.lists(st.sampled_from([*ORDER, "gone"])), st.integers(0, 5), st.integers(1, 20))
def test_ranges_cover_what_is_wanted_and_little_else(wanted: list[str], gap: int, most: int) -> None:
    found = list(ranges_over(wanted, ORDER, gap=gap, most=most))
    covered = [cell for each in found for cell in ORDER[ORDER.index(each.start) : ORDER.index(each.end) + 1]]
    assert len(covered) == len(set(covered))
    assert set(wanted) - {"gone"} <= set(covered)
    assert all(ORDER.index(each.end) - ORDER.index(each.start) < most for each in found)
    assert len(covered) <= len(set(wanted)) * (gap + 1)


def test_a_row_is_a_night_in_the_order_in_which_repositories_were_added() -> None:
    grid = repo_nights(Settings())
    with ephemeral() as instance:
        instance.add_dynamic_partitions("repos", ["z/z", "a/a"])
        cells = rows_cells(grid, "2026-11-20", instance)
        assert cells == ["2026-11-20|z/z", "2026-11-20|a/a"]
        assert {row_of(grid, cell) for cell in cells} == {"2026-11-20"}
        assert rows_cells(grid, "1999-01-01", instance) == []


def test_partitions_of_one_dimension_are_a_row_each_by_night_and_one_row_otherwise() -> None:
    with ephemeral() as instance:
        days = dg.DailyPartitionsDefinition("2026-11-01", end_offset=0)
        assert rows_cells(days, row_of(days, "2026-11-05"), instance) == ["2026-11-05"]
        shelves = dg.StaticPartitionsDefinition(["a", "b"])
        assert rows_cells(shelves, row_of(shelves, "b"), instance) == ["a", "b"]
