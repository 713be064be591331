"""Every state that can be reached, breadth first: the first bad one comes with a shortest way to it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

S = TypeVar("S", bound=Hashable)


@dataclass(frozen=True)
class Explored:
    """How many states there are, and the shortest way to a bad one, if there is one."""

    states: int
    way: tuple[str, ...] | None = None

    @property
    def safe(self) -> bool:
        """Whether no bad state can be reached."""
        return self.way is None

    def told(self) -> str:
        """The way, steps that come several times in a row once."""
        steps = ((label, len(list(same))) for label, same in groupby(self.way or ()))
        return " > ".join(label if count == 1 else f"{label} x{count}" for label, count in steps)


def explore(start: S, moves: Callable[[S], Iterable[tuple[str, S]]], bad: Callable[[S], bool]) -> Explored:
    """Follows all `moves` (label and next state) from `start`, to the first state that is `bad`, or to the end."""
    came_from: dict[S, tuple[S, str] | None] = {start: None}
    queue = deque([start])
    while queue:
        state = queue.popleft()
        if bad(state):
            return Explored(len(came_from), _way(came_from, state))
        for label, following in moves(state):
            if following not in came_from:
                came_from[following] = (state, label)
                queue.append(following)
    return Explored(len(came_from))


def _way(came_from: dict[S, tuple[S, str] | None], state: S) -> tuple[str, ...]:
    labels: list[str] = []
    while step := came_from[state]:
        state, label = step
        labels.append(label)
    return tuple(reversed(labels))
