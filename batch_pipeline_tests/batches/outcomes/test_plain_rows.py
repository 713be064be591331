"""The quick way through a row comes to the same as the long one."""

from __future__ import annotations

import copy
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, cast

import duckdb
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batch_pipeline.batches.money.prices import Price, Rates
from batch_pipeline.batches.outcomes import plain_rows
from batch_pipeline.batches.outcomes.judging import judge, validator
from batch_pipeline.batches.outcomes.plain_rows import can_be_read, put_plain_rows, take_others
from batch_pipeline.batches.outcomes.rows import Row, row_of
from batch_pipeline.tasks.schema import strict_schema
from batch_pipeline.warehouse.collected_rows import make_collected_rows
from batch_pipeline.wire.lines import parse_output_line
from batch_pipeline_tests.batches.chain import Mood

CHAT = "/v1/chat/completions"
VALIDATE = validator(strict_schema(Mood))
PRICE = Price("m", "batch", "batch", Rates(3e-6, 1e-6, 5e-6, 4e-6), Rates(7e-6, 2e-6, 9e-6, 8e-6), threshold=300)

LINE: dict[str, Any] = {
    "id": "batch_req_1",
    "custom_id": "a",
    "response": {
        "status_code": 200,
        "body": {
            "choices": [{"message": {"content": '{"label": "glad"}', "refusal": None}, "finish_reason": "stop"}],
            "usage": {
                "prompt_tokens": 9,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
                "completion_tokens_details": {"reasoning_tokens": 1},
            },
        },
    },
    "error": None,
}


COLUMNS = ", ".join(Row._fields)


@pytest.fixture(scope="module")
def connection() -> Generator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as made:
        yield made


def quick_way(connection: duckdb.DuckDBPyConnection, file: Path, lines: Sequence[bytes]) -> tuple[list[Row], int]:
    """The plain ones of the lines as rows, and how many lines are no JSON; the others are taken out."""
    file.write_bytes(b"".join(line + b"\n" for line in lines))
    make_collected_rows(connection)
    garbled = put_plain_rows(connection, [file], PRICE, VALIDATE)
    others = [line for chunk in take_others(connection, most=2) for line in chunk]
    assert [lines[place - 1] for place, _ in others] == [raw for _, raw in others]
    rows = connection.execute(f"SELECT {COLUMNS} FROM _collected_rows ORDER BY place").fetchall()
    assert len(rows) + len(others) + garbled == len(lines)
    return [Row(*row) for row in rows], garbled


def long_way(place: int, raw: bytes) -> Row | None:
    line = parse_output_line(raw)
    return line and row_of(place, line.custom_id, judge(line, CHAT, VALIDATE))


def changed(path: Sequence[str | int], value: object, change: str = "set") -> bytes:
    line = copy.deepcopy(LINE)
    parent: Any = line
    for key in path[:-1]:
        parent = parent[key]
    if change == "remove":
        del parent[path[-1]]
    else:
        parent[path[-1]] = value if change == "set" else [value, parent[path[-1]]]
    return orjson.dumps(line)


RAW = orjson.dumps(LINE)
CHOICE = ("response", "body", "choices", 0)


def test_a_plain_row_is_taken_apart(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    row = Row(1, "a", "answered", 200, None, None, 9, 3, 2, 5, 1, '{"label": "glad"}')
    assert quick_way(connection, tmp_path / "lines", [RAW]) == ([row], 0)
    assert long_way(1, RAW) == row


def test_an_answer_that_does_not_fit_is_invalid(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    furious = changed((*CHOICE, "message", "content"), '{"label": "furious\\u0000"}')
    rows, _ = quick_way(connection, tmp_path / "lines", [RAW, furious, furious])
    assert [row.outcome for row in rows] == ["answered", "invalid", "invalid"]
    assert rows == [long_way(place, raw) for place, raw in enumerate([RAW, furious, furious], 1)]


@pytest.mark.parametrize("tokens", [0, 4, 300, 301, 999_999_999])
def test_it_costs_what_its_price_says(connection: duckdb.DuckDBPyConnection, tmp_path: Path, tokens: int) -> None:
    quick_way(connection, tmp_path / "lines", [changed(("response", "body", "usage", "prompt_tokens"), tokens)])
    assert connection.execute("SELECT cost_usd FROM _collected_rows").fetchall() == [(PRICE.cost(tokens, 3, 5, 2),)]


def paths(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    items: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        items = list(cast("dict[str | int, object]", value).items())
    elif isinstance(value, list):
        items = list(enumerate(cast("list[object]", value)))
    return [path, *(found for key, inner in items for found in paths(inner, (*path, key)))]


ODD = [200, 200.0, 2**31, "", "stop", "length", "content_filter", '{"label":"sad"}', "x", "\U0001f600"]
SCALARS = st.none() | st.booleans() | st.integers(-3, 2**53) | st.floats(-1e9, 1e9) | st.sampled_from(ODD)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=2)
)


CHANGES = st.builds(changed, st.sampled_from(paths(LINE)[1:]), JSON, st.sampled_from(["set", "remove", "wrap"]))


@given(lines=st.lists(CHANGES, min_size=1, max_size=50))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
def test_whatever_is_changed_in_a_row_it_comes_to_the_same(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, lines: list[bytes]
) -> None:
    rows, garbled = quick_way(connection, tmp_path / "lines", lines)
    assert rows == [long_way(row.place, lines[row.place - 1]) for row in rows]
    assert garbled == 0


@pytest.mark.parametrize("damaged", [RAW[:-9], RAW.replace(b"glad", b"\xff"), RAW + RAW, b"\x00", b"garbled"])
def test_a_line_that_is_no_json_is_counted(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, damaged: bytes
) -> None:
    rows, garbled = quick_way(connection, tmp_path / "lines", [RAW, damaged, RAW])
    assert ([row.place for row in rows], garbled) == ([1, 3], 1)


@pytest.mark.parametrize("other", [b"[" + RAW + b"]", b"null", b"5", b"{}"])
def test_json_of_another_kind_is_not_plain(connection: duckdb.DuckDBPyConnection, tmp_path: Path, other: bytes) -> None:
    assert quick_way(connection, tmp_path / "lines", [other]) == ([], 0)


@pytest.mark.parametrize(
    ("content", "readable"),
    [(b"", True), (b"x" * 8, True), (b"x" * 9, False), (b"1234567\n" * 4, True), (b"12\n" + b"x" * 9 + b"\n3", False)],
)
def test_a_line_that_is_too_long_is_seen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes, *, readable: bool
) -> None:
    monkeypatch.setattr(plain_rows, "LONGEST", 8)
    (tmp_path / "lines").write_bytes(content)
    assert can_be_read([tmp_path / "lines"]) is readable
