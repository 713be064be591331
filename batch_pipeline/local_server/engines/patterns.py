"""Text that a regular expression matches, as short as it may be."""

from __future__ import annotations

import random
import re
import string
from collections.abc import Sequence
from importlib import import_module
from typing import Any, cast

Token = tuple[Any, Any]

_parse = import_module("re._parser").parse
"""Python's own parser of regular expressions: it has no public name, and has been the same since 2.0."""

_CATEGORIES = {
    "CATEGORY_DIGIT": string.digits,
    "CATEGORY_WORD": string.ascii_lowercase,
    "CATEGORY_SPACE": " ",
    "CATEGORY_NOT_DIGIT": string.ascii_lowercase,
    "CATEGORY_NOT_WORD": " -",
    "CATEGORY_NOT_SPACE": string.ascii_lowercase,
}
_LETTERS = string.ascii_lowercase + string.digits + string.ascii_uppercase + " -_."
MOST_REPEATS = 4
"""Beyond the fewest that a repeat asks for, while the text may still be short."""


def matching_text(pattern: str, draw: random.Random, least: int = 0, most: int = 1000) -> str:
    """A text of `least` to `most` characters that `pattern` matches, if one is found; else one that just matches.

    Look-arounds and back-references are not followed.
    """
    parsed = cast("Sequence[Token]", _parse(pattern))
    anchored = re.compile(pattern)
    text = ""
    for attempt in range(200):
        text = _all(parsed, draw, least if attempt % 2 else 0)
        if len(text) < least and not pattern.endswith("$"):
            text = text.ljust(least, "x")
        if least <= len(text) <= most and anchored.search(text):
            break
    return text


def _all(tokens: Sequence[Token], draw: random.Random, least: int) -> str:
    return "".join(_one(str(kind), value, draw, least) for kind, value in tokens)


def _one(kind: str, value: Any, draw: random.Random, least: int) -> str:  # noqa: ANN401, PLR0911 - a token's value is of its kind
    match kind:
        case "LITERAL":
            return chr(value)
        case "NOT_LITERAL":
            return draw.choice([letter for letter in _LETTERS if ord(letter) != value])
        case "ANY":
            return draw.choice(string.ascii_lowercase)
        case "IN":
            return draw.choice(_in(value))
        case "CATEGORY":
            return draw.choice(_CATEGORIES[str(value)])
        case "BRANCH":
            return _all(draw.choice(value[1]), draw, least)
        case "SUBPATTERN":
            return _all(value[-1], draw, least)
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            fewest, most, inner = value
            count = min(max(fewest, least), most) if least else draw.randint(fewest, min(most, fewest + MOST_REPEATS))
            return "".join(_all(inner, draw, 0) for _ in range(count))
        case _:  # AT, look-arounds and the like take no text
            return ""


def _in(items: Sequence[Token]) -> str:
    kinds = [(str(kind), value) for kind, value in items]
    letters = "".join(_letters(kind, value) for kind, value in kinds)
    if kinds[0][0] != "NEGATE":
        return letters
    return "".join(letter for letter in _LETTERS if letter not in letters)


def _letters(kind: str, value: Any) -> str:  # noqa: ANN401 - as above
    match kind:
        case "LITERAL":
            return chr(value)
        case "RANGE":
            low, high = value
            return "".join(map(chr, range(low, min(high, low + 1000) + 1)))
        case "CATEGORY":
            return _CATEGORIES[str(value)]
        case _:
            return ""
