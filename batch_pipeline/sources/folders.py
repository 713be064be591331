"""The files below a folder, in an order that stays, and what came of loading them."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Generator, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from batch_pipeline.errors import InvalidSelection

T = TypeVar("T")

NOT_ENTERED = frozenset({"__pycache__", "node_modules", "site-packages"})
"""Folders that hold what others wrote or programs made; so do those that begin with a dot."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file. `name` is its path within the folder, with `/` between."""

    path: Path
    name: str


@dataclass(frozen=True)
class Loaded:
    """What came of loading a folder; every file of it is in one of the counts.

    `added`, `changed` and `unchanged` are files whose rows are there now, `left_out` those that are nothing for this
    table, `removed` those that are no longer in the folder. `problems` names, in a sentence each, the files that can't
    be used.
    """

    folder: str
    records: int = 0
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    left_out: int = 0
    problems: tuple[str, ...] = ()

    @property
    def files(self) -> int:
        """Files whose rows are there now."""
        return self.added + self.changed + self.unchanged


def files_below(folder: Path) -> Generator[list[Found]]:
    """All files, folder by folder, each with its own in the order that a person counts in: 2 before 10.

    Hidden files and folders are not entered, and links to folders are not followed.

    Raises:
        InvalidSelection: There is no such folder.
    """
    if not folder.is_dir():
        raise InvalidSelection(f"There is no folder `{folder}`; nothing was loaded.")
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in NOT_ENTERED)
        shown = sorted((name for name in names if not name.startswith(".")), key=as_counted)
        paths = [Path(place) / name for name in shown]
        yield [Found(path, path.relative_to(folder).as_posix()) for path in paths if path.is_file()]


def of_kind(found: Iterable[Found], endings: Collection[str]) -> list[Found]:
    """Those whose name ends so, in whatever case."""
    return [each for each in found if each.path.suffix.lower() in endings]


def as_counted(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts numbers in names by their value."""
    parts = re.findall(r"\d{1,18}|\D+|\d+", name)
    return [(0, int(part), part) if part.isdigit() else (1, 0, part.casefold()) for part in parts]


def in_utf8(name: str) -> bool:
    """Whether a table can hold the name."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def chunked(items: Iterable[T], length: int) -> Generator[list[T]]:
    """The items in lists of that length."""
    rest = iter(items)
    while chunk := list(islice(rest, length)):
        yield chunk


class Tally:
    """Counts while a folder is loaded.

    Args:
        folder: As the person named it.
        before: Files that were known in it.
    """

    def __init__(self, folder: Path, before: int) -> None:
        self._folder = str(folder)
        self._before = before
        self.records = self.left_out = 0
        self._seen = {"added": 0, "changed": 0, "unchanged": 0}
        self.problems: list[str] = []

    def note(self, before: str | None, now: str, error: str | None = None) -> None:
        """Counts a file by its SHA-256 before and now, and keeps what is wrong with it."""
        self._seen["added" if before is None else "unchanged" if before == now else "changed"] += 1
        if error:
            self.problems.append(error)

    def nameless(self, found: Iterable[Found]) -> list[Found]:
        """The files whose names are text; the others are problems."""
        kept = list[Found]()
        for each in found:
            if in_utf8(str(each.path)):
                kept.append(each)
            else:
                self.left_out += 1
                self.problems.append(f"{str(each.path)!a} has a name that is no text in UTF-8; rename it.")
        return kept

    def loaded(self) -> Loaded:
        """What came of it."""
        return Loaded(
            folder=self._folder,
            records=self.records,
            removed=max(0, self._before - self._seen["changed"] - self._seen["unchanged"]),
            left_out=self.left_out,
            problems=tuple(self.problems),
            **self._seen,
        )
