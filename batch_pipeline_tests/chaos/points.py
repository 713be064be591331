"""The named points at which a process is struck; those of the code, and those on the wire (`wire.py`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

How = Literal["kill", "stop"]

ANY = "any"
"""Whichever point comes as the n-th."""

STOPPED = (
    "upload.before",
    "upload.recorded",
    "send.marker_synced",
    "send.posted_recorded",
    "send.connected",
    "send.reply_unread",
    "lookup.row_read",
    "lookup.done",
    "collect.duckdb_committed",
)
"""Where a process is stopped, too: it holds no lock there that others must wait for."""

KILLED = (
    *("plan.inflight_taken", "plan.file_half", "plan.file_renamed", "plan.ledger_committed"),
    *("admit.sum_read", "claim.recorded"),
    *("upload.before", "upload.half", "upload.replied", "upload.recorded"),
    *("send.marker_synced", "send.posted_recorded", "send.connected", "send.bytes_out"),
    *("send.reply_unread", "send.replied", "send.remote_id_recorded"),
    *("refuse.replied", "refuse.recorded"),
    *("lookup.row_read", "lookup.page_1", "lookup.done", "adopt.recorded"),
    *("fence.deleted", "fence.recorded", "fence.void"),
    *("recover.row", "recover.page_1", "poll.page_1", "poll.recorded", "cancel.flagged", "cancel.posted"),
    *("collect.output_half", "collect.output_renamed", "collect.errors_renamed"),
    *("collect.duckdb_open", "collect.duckdb_committed", "collect.ledger_committed", "collect.remote_deleted"),
    *("retry.attempt_row", "retry.planned", "prune.half"),
)


@dataclass(frozen=True)
class Strike:
    """Where a process is to be struck: the `nth` time that it comes to the point."""

    point: str
    how: How = "kill"
    nth: int = 1


TARGETS = (*(Strike(point) for point in KILLED), *(Strike(point, "stop") for point in STOPPED))
"""Each point once, and those of `STOPPED` twice."""
