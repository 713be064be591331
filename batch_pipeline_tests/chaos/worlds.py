"""The worlds of a trial: what the server does, and what becomes of the ledger, the key and the clock meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from batch_pipeline.settings import ProviderName
from batch_pipeline_tests.chaos.points import Strike

WAIT = 0.6
"""Seconds; longer than any listing lags or DELETE takes here."""
LATE = 0.4
STOPPED = 4.5
"""How long a process stands: long enough for another to fence its POST, void it, and send again."""
STOPPED_WITHOUT_FENCE = 2.0
"""Longer than twice WAIT, and within what a wait without a fence allows for (6 times WAIT)."""
HOUR = 3600.0

Fault = dict[str, object]
LedgerLoss = Literal["replaced", "removed"]


@dataclass(frozen=True)
class World:
    """What a trial goes on in."""

    name: str
    faults: tuple[Fault, ...] = ()
    ledger: LedgerLoss | None = None
    """The ledger's files are replaced by an earlier copy, or removed, under whoever has them open."""
    two_keys: bool = False
    """Some processes have the key of another project."""
    clock: bool = False
    """Some processes live an hour ahead or behind."""
    stopped: float = STOPPED
    provider: ProviderName = "openai"
    postgres: bool = False
    """The ledger is there."""
    restarts: bool = False
    """Its server is restarted in the middle, or crashes."""
    submitters: int = 2
    """Processes that go on at once."""
    hosts: int = 0
    """So many, with a network each, that the submitters are spread over; none: all are on this one."""


def _always(kind: str, **of: object) -> Fault:
    return {"kind": kind, "times": None, **of}


WORLDS = (
    World("as it should be"),
    World("listing lags", (_always("listing_late", seconds=LATE),)),
    World("POST executed late", ({"kind": "request_late", "on": "batches.create", "seconds": 3.0, "times": 2},)),
    World("DELETE late", (_always("delete_late", seconds=LATE),)),
    World("metadata dropped", (_always("metadata_dropped"),)),
    World("listing 200 and empty", ({"kind": "listing_empty"}, {"kind": "listing_empty", "skip": 6})),
    World("another project's key", two_keys=True),
    World("no DELETE", (_always("status", on="files.delete", status=405),), stopped=STOPPED_WITHOUT_FENCE),
    World(
        "Anthropic, and a batch takes its time",
        (_always("slow", stage="in_progress", seconds=LATE),),
        stopped=STOPPED_WITHOUT_FENCE,
        provider="anthropic",
    ),
    World("clock an hour off", clock=True),
    World("ledger replaced", ledger="replaced"),
    World("ledger removed", ledger="removed"),
)

SERVER_WORLDS = (
    World("four submitters on two hosts, one Postgres", postgres=True, submitters=4, hosts=2),
    World("Postgres restarted", postgres=True, restarts=True),
    World("Postgres, and listing lags", (_always("listing_late", seconds=LATE),), postgres=True),
)
"""Those that need a server for the ledger."""

_REFUSED: Fault = {"kind": "status", "on": "batches.create", "status": 429, "message": "Too many batches."}
_REPLY_LOST: Fault = {"kind": "reply_lost", "on": "batches.create"}
_REQUEST_LOST: Fault = {"kind": "request_lost", "on": "batches.create"}
_ROWS_FAIL: Fault = {"kind": "rows", "status": 500, "code": "server_error", "every": 3, "times": 2}

_LEADS_TO: dict[str, tuple[Fault, ...]] = {
    "refuse": (_REFUSED,),
    "lookup": (_REPLY_LOST,),
    "adopt": (_REPLY_LOST,),
    "fence": (_REQUEST_LOST,),
}


def faults_for(world: World, strike: Strike) -> list[Fault]:
    """What is ordered of the server, so that a process comes to the point."""
    of_point = _LEADS_TO.get(strike.point.partition(".")[0], ())
    if world.clock and of_point == (_REFUSED,):
        of_point = ()  # an hour ahead, a process writes that the batch waits for an hour
    return [*world.faults, *of_point, _ROWS_FAIL]
