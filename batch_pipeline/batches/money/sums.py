"""Sums of what was counted and paid, field by field."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields, replace
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Counted = TypeVar("Counted", bound="DataclassInstance")


def summed(one: Counted, other: Counted, names: Collection[str]) -> Counted:
    """Both together: every field is added, but for those that name what was counted, which are the first one's.

    Args:
        one: A frozen dataclass.
        other: Of the same class.
        names: The fields that are not added.
    """
    amounts = [field.name for field in fields(one) if field.name not in names]
    return replace(one, **{name: getattr(one, name) + getattr(other, name) for name in amounts})
