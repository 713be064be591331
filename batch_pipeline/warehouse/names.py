"""Names and values inside SQL text, where they can't be bound."""

from __future__ import annotations


def quoted(name: str) -> str:
    """An identifier, quoted."""
    return '"' + name.replace('"', '""') + '"'


def text_literal(value: object) -> str:
    """A text, quoted; NULL for None."""
    return "NULL" if value is None else "'" + str(value).replace("'", "''") + "'"
