"""What goes to stdout: sentences, tables, JSON. No colour and no cut-off lines where nobody looks at a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from math import isfinite
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from rich.table import Table

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_PIPED_WIDTH = 1_000_000
_CELL = 200
"""Characters of a cell; a person who wants more than that takes another format."""


@dataclass(frozen=True)
class Column:
    """A column of a table; one that `shrinks` is cut off with an ellipsis where the terminal is too narrow."""

    head: str
    right: bool = False
    shrinks: bool = False


def say(text: str = "") -> None:
    """Prints a line; at once, so that whoever reads a pipe sees it while a verb goes on."""
    print(text, flush=True)


def say_wrapped(text: str, indent: int = 0) -> None:
    """Prints a paragraph: in a terminal as wide as that is, each of its lines indented; into a pipe in one line."""
    from shutil import get_terminal_size
    from textwrap import wrap

    room = max(40, get_terminal_size().columns) if sys.stdout.isatty() else _PIPED_WIDTH
    margin = " " * indent
    for line in wrap(text, room, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False):
        say(line)


def print_json(value: object) -> None:
    """Prints a value as JSON, at once; dates as ISO 8601."""
    print(as_json_text(value), end="", flush=True)


def as_json_text(value: object) -> str:
    """A value as JSON, to be read by a machine and by a person."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=_plain) + "\n"


def print_facts(facts: Sequence[tuple[str, str]]) -> None:
    """Prints names and what they are, in two columns; in a terminal, what is too long goes on below itself."""
    from shutil import get_terminal_size
    from textwrap import wrap

    width = max(len(name) for name, _ in facts)
    room = max(20, get_terminal_size().columns - width - 2) if sys.stdout.isatty() else _PIPED_WIDTH
    for name, value in facts:
        first, *further = wrap(value, room, break_long_words=False, break_on_hyphens=False) or [""]
        say(f"{name:<{width}}  {first}")
        for line in further:
            say(f"{'':<{width}}  {line}")


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[object]]) -> None:
    """Prints a table, as wide as the terminal at most; into a pipe, as wide as it is."""
    from rich.console import Console

    terminal = sys.stdout.isatty()
    console = Console(width=None if terminal else _PIPED_WIDTH, highlight=False)
    with console.capture() as captured:
        console.print(as_table(columns, rows))
    for line in captured.get().splitlines():
        say(line.rstrip())


def as_table(columns: Sequence[Column], rows: Iterable[Sequence[object]]) -> Table:
    """The same table, to be drawn where it is wanted."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    sides: list[Literal["left", "right"]] = ["right" if column.right else "left" for column in columns]
    for column, side in zip(columns, sides, strict=True):
        table.add_column(Text(column.head, no_wrap=True), justify=side, no_wrap=not column.shrinks)
    for row in rows:
        cells = zip(row, sides, strict=True)
        table.add_row(
            *[Text(one_line(value), no_wrap=True, overflow="ellipsis", justify=side) for value, side in cells]
        )
    return table


def one_line(value: object) -> str:
    """A value as text for a cell: its lines joined, and nothing in it that a terminal would obey."""
    text = "" if value is None else " ".join(str(value)[: 4 * _CELL].split())
    shown = text if len(text) <= _CELL else text[: _CELL - 1] + "…"
    return "".join(char if char.isprintable() else " " for char in shown)


def usd(amount: float) -> str:
    """Money: two decimals, or two digits that are not zero."""
    if amount == 0 or abs(amount) >= 0.1:
        return f"${amount:,.2f}"
    return f"${amount:.{_decimals(amount)}f}"


def finite_usd(amount: float | None) -> float | None:
    """An amount as it was given; nothing is more than NaN, so as a budget it would allow everything.

    Raises:
        BadParameter: It is no amount.
    """
    if amount is not None and not isfinite(amount):
        raise typer.BadParameter("--budget is an amount in USD, such as 2.50.")
    return amount


def plural(count: int, one: str, many: str | None = None) -> str:
    """`1 record`, `1,250 records`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def moment(seconds: float) -> str:
    """A time, to the minute, in UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def second(seconds: float) -> str:
    """A time, to the second, in UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"


def clock(seconds: float, now: float) -> str:
    """When something will be, to the minute, in UTC; with its day where that is not the day of `now`."""
    at, today = datetime.fromtimestamp(seconds, UTC), datetime.fromtimestamp(now, UTC)
    return f"{at:%H:%M}" if at.date() == today.date() else f"{at:%b %d %H:%M}"


def _decimals(amount: float) -> int:
    from math import floor, log10

    return min(8, 1 - floor(log10(abs(amount))))


def _plain(value: object) -> object:
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else str(value)
