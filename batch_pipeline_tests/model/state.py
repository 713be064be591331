"""What there is at a moment: ledgers, processes, what is on the wire, and what the provider has."""

from __future__ import annotations

from typing import Literal, NamedTuple

NOT_FENCED = -1

Step = Literal[
    "idle",
    "upload",
    "file_id",
    "marker",
    "markers_read",
    "posted",
    "send",
    "reply",
    "created",
    "refused",
    "list",
    "adopt",
    "dead",
    "absent",
    "deleted",
]


class Send(NamedTuple):
    """A row of `sends`; `fenced` is its age in ticks. `remote`: 1 if its batch lives, 2 if it executed nothing."""

    claim: int
    account: int
    file: int = 0
    posted: bool = False
    fenced: int = NOT_FENCED
    remote: int = 0
    ended: bool = False

    @property
    def open(self) -> bool:
        return not self.ended and not self.remote


class Process(NamedTuple):
    """A process before its next step, with the row that it read, and the ledger and key that it has."""

    step: Step = "idle"
    ledger: int = 0
    send: Send | None = None
    account: int = 0
    age: int = 0
    """Of the DELETE that was answered; of the way from `posted_at` to the POST."""
    late: bool = False
    """The listing began more than WAIT after the fence."""
    file: int = 0
    """What it has just uploaded."""

    @property
    def order(self) -> tuple[object, ...]:
        """What tells two processes apart; they are alike else."""
        return (self.step, self.ledger, self.send or (), self.account, self.age, self.late, self.file)


class Message(NamedTuple):
    """A POST on its way."""

    claim: int
    file: int
    age: int
    account: int


class Remote(NamedTuple):
    """A batch at the provider; `claim` 0 is another one's."""

    claim: int
    file: int
    age: int
    executes: bool
    account: int


class Marker(NamedTuple):
    """The second memory of one send."""

    claim: int
    file: int
    account: int


Ledger = tuple[Send, ...]


class State(NamedTuple):
    """Everything. Of several ledgers the last is the one that a process opens when it starts."""

    ledgers: tuple[Ledger, ...] = ((),)
    processes: tuple[Process, ...] = (Process(), Process())
    wire: tuple[Message, ...] = ()
    remotes: tuple[Remote, ...] = ()
    deleted: tuple[tuple[int, int], ...] = ()
    """Files, with how long ago."""
    markers: tuple[Marker, ...] = ()
    copy: Ledger | None = None
    """Of the ledger, taken at some time."""
    account: int = 0
    """What the key, or the gateway, now leads to."""
    restores: int = 0
    replaces: int = 0
    changes: int = 0
    claimed: int = 0


def paid_twice(state: State) -> bool:
    """Two batches execute the lines of the one that was planned."""
    return sum(remote.executes for remote in state.remotes if remote.claim) > 1
