"""What `Warehouse` needs of the place that it is in."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Mode = Literal["read", "write", "guarded"]

LOCKED = """
    SET enable_external_access = false;
    SET autoinstall_known_extensions = false;
    SET autoload_known_extensions = false;
    SET lock_configuration = true;
"""
"""What a guarded connection is told last."""


class Store(Protocol):
    """A place: it opens connections, and knows the lock of its writers. One for each place and process."""

    @property
    def name(self) -> str:
        """As people are told; without passwords."""
        ...

    def exists(self) -> bool:
        """Whether anything was ever written there."""
        ...

    def is_current(self) -> bool:
        """Whether this process has seen that the schema is up to date."""
        ...

    def seen_current(self, *, made: bool) -> None:
        """Is called when the schema is up to date; `made`: it was not before."""
        ...

    def use(self, mode: Mode, wait_seconds: float) -> AbstractContextManager[DuckDBPyConnection]:
        """A connection, closed or given back at the end of the block."""
        ...

    def lock(self, wait_seconds: float) -> AbstractContextManager[Callable[[], None]]:
        """The right to write; what it gives raises where that was lost."""
        ...

    def kept_open(self, wait_seconds: float) -> AbstractContextManager[None]:
        """Keeps open what would be closed after each use, for this thread, and the lock with it."""
        ...

    def version(self) -> int:
        """Another number after each write, told without waiting; 0 where nothing was ever written."""
        ...

    def close(self) -> None:
        """Gives back what is kept open between uses."""
        ...
