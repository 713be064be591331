"""Named points between one step and the next, where a chaos run kills or stops the process.

Nothing happens here in production.
"""

from __future__ import annotations

from collections.abc import Callable

hook: Callable[[str], None] | None = None
"""Set by a chaos run; called with the name of each point that is reached."""


def reach(name: str) -> None:
    """Says that the process has come to the point `name`."""
    if hook is not None:
        hook(name)
