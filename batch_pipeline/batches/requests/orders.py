"""Named orders: which records come first where a limit cuts them off. A person names one; the SQL is ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from batch_pipeline.errors import InvalidSelection
from batch_pipeline.warehouse.names import text_literal

_ORDERS = {
    "age": ("created_at", "created_at ASC NULLS LAST"),
    "newest": ("created_at", "created_at DESC NULLS LAST"),
    "updated": ("updated_at", "updated_at DESC NULLS LAST"),
    "reactions": ("reactions", "reactions DESC NULLS LAST"),
    "comments": ("comment_count", "comment_count DESC NULLS LAST"),
    "label": ("labels", "len(labels) = 0, labels ASC NULLS LAST"),
}
"""By name: the column that the records must have, and the SQL. `age`: the oldest first; `label`: those that carry
labels first, by their labels."""
_WITH_LABEL = "label:"
"""`label:bug`: those that carry this label first."""

PATTERN = r"^{one}(,{one})*$".format(one=rf"({'|'.join(_ORDERS)}|{_WITH_LABEL}[^\s,\x00][^,\x00]{{0,99}})")
"""What `read_orders` takes, for whoever wants to know before."""

KNOWN = (*_ORDERS, f"{_WITH_LABEL}NAME")


def read_orders(text: str) -> tuple[str, ...]:
    """The orders that a person names, separated by commas; the later ones decide among equals.

    Raises:
        InvalidSelection: One of them is unknown.
    """
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if name not in _ORDERS and not (name.startswith(_WITH_LABEL) and name != _WITH_LABEL):
            raise InvalidSelection(f"There is no order `{name}`; there are: {', '.join(KNOWN)}.")
    if not names:
        raise InvalidSelection(f"The order is empty; there are: {', '.join(KNOWN)}.")
    return names


def order_by(names: Sequence[str], columns: Mapping[str, str]) -> str:
    """SQL of `ORDER BY` for these orders; among equals, by record id.

    Raises:
        InvalidSelection: The records have no such column.
    """
    return ", ".join([*(_sql(name, columns) for name in names), "record_id"])


def _sql(name: str, columns: Mapping[str, str]) -> str:
    column, sql = _ORDERS.get(name) or ("labels", "")
    if column not in columns:
        raise InvalidSelection(
            f"The records can't be put in the order `{name}`: they have no column `{column}`, "
            f"only {', '.join(columns)}."
        )
    label = text_literal(name.removeprefix(_WITH_LABEL).lower())
    return sql or f"list_contains(list_transform(labels, lambda label: lower(label)), {label}) DESC NULLS LAST"
