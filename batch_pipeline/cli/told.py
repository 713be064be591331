"""What a job selected, and how long it took, in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

SHOWN_IDS = 5
"""Records that are named of those that were asked for by id."""

Words = Callable[[object], str]


def selection_in_words(selection: Mapping[str, object], partition_key: str | None = None) -> str:
    """What narrowed a job's records; its query is told as such only."""
    parts = [f"partition {partition_key}"] if partition_key else []
    for name, words in _WORDS.items():
        covered = partition_key is not None and name in ("night", "repo")
        if selection.get(name) is not None and not covered:
            parts.append(words(selection[name]))
    return "; ".join(parts)


def duration(seconds: float) -> str:
    """`12 s`, `3 min`, `2 h 5 min`."""
    whole = max(0, round(seconds))
    if whole < 120:
        return f"{whole} s"
    hours, minutes = divmod(round(whole / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def counted(counts: Mapping[str, int]) -> str:
    """`3 answered, 1 refused`."""
    return ", ".join(f"{count:,} {name}" for name, count in counts.items()) or "nothing yet"


def in_words(value: object) -> str:
    """What a job keeps of its making: names and lists in a line."""
    if isinstance(value, Mapping):
        parts = cast("Mapping[str, object]", value)
        if all(isinstance(part, int) for part in parts.values()):
            return counted(cast("Mapping[str, int]", parts))
        return "; ".join(f"{name.replace('_', ' ')} {in_words(part)}" for name, part in parts.items())
    if isinstance(value, list):
        items = [str(item) for item in cast("list[object]", value)]
        more = f" and {len(items) - SHOWN_IDS:,} more" if len(items) > SHOWN_IDS else ""
        return ", ".join(items[:SHOWN_IDS]) + more
    return str(value)


def _ids(value: object) -> str:
    ids = [str(one) for one in cast("Sequence[object]", value)]
    more = f" and {len(ids) - SHOWN_IDS:,} more" if len(ids) > SHOWN_IDS else ""
    return f"{len(ids):,} by id: {', '.join(ids[:SHOWN_IDS])}{more}"


def _order(value: object) -> str:
    return f"ordered by {', then '.join(str(one) for one in cast('Sequence[object]', value))}"


_WHICH = {
    "new": "not answered yet",
    "missing": "without any answer",
    "outdated": "not answered by this prompt yet",
    "all": "answered or not",
}
_WORDS: dict[str, Words] = {
    "sql": lambda _: "a query",
    "night": lambda value: f"night {value}",
    "org": lambda value: f"owner {value}",
    "repo": lambda value: f"repository {value}",
    "state": lambda value: f"state {value}",
    "ids": _ids,
    "variant": lambda value: f"variant {value}",
    "which": lambda value: _WHICH.get(str(value), str(value)),
    "order": _order,
    "limit": lambda value: f"at most {value:,}",
    "force": lambda _: "bought again",
}
