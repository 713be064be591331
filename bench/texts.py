"""Rows to ask about: made-up texts of 700 characters, all different, of about 105 tokens; or real issues, repeated."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from random import Random

LENGTH = 700
"""Characters of a text."""

_VOCABULARY = """
application interface configuration database performance connection document response request function parameter
variable container directory environment exception framework generation hardware identity integration keyboard
language library machine message migration network notification operation operator package password permission
platform process processor production property protocol provider reference registry release repository resource
schedule security selection sequence service session settings software solution standard statement structure subject
support syntax system template terminal thread timeout transaction transfer version virtual warning window workspace
accept attempt behavior between breaking browser cannot complete contain continue correct current default depends
describe detect different disable display download during enable ensure expected export failing feature following
format handle however import include instead internal invalid latest loading locally matching memory missing multiple
nothing option output parsing perhaps please possible present prevent previous problem provide reading receive
recently remove replace report require result return running several should simple sometimes starting static storage
string suggest target testing through together trigger update upgrade usage using validate various whether without
working writing the and for when it is not on a with
"""


def made_up(count: int) -> Iterator[tuple[str, str]]:
    """`record_id` and text of so many rows; the same ones each time."""
    random = Random(7)  # noqa: S311 - texts, no secret
    words_of = list[str](_VOCABULARY.split())
    for number in range(count):
        words = random.choices(words_of, k=130)
        for place in range(4, 130, 9):
            words[place] += ".\n" if place % 2 else f" {random.randrange(10_000)},"
        yield f"row-{number:07}", f"Report {number}. {' '.join(words)}"[:LENGTH]


def issues(path: Path, count: int) -> Iterator[tuple[str, str]]:
    """So many rows out of a CSV of issues (columns `title` and `body`), from the start again where it ends."""
    csv.field_size_limit(sys.maxsize)  # a log that somebody pasted may be longer than 128 KiB
    with path.open(newline="", encoding="utf-8") as file:
        texts = [f"{row['title']}\n\n{row['body'][:3_000]}" for row in csv.DictReader(file)]
    for number, text in enumerate(islice(cycle(texts), count)):
        yield f"row-{number:07}", f"{text}\n\n{number}"


def write(path: Path, rows: Iterator[tuple[str, str]]) -> None:
    """Writes them as a CSV with a header."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["record_id", "text"])
        writer.writerows(rows)
