"""What the server remembers of a file and of a batch, beyond what it shows of them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from batch_pipeline.local_server.faults import BatchFault, CountsFault, chosen
from batch_pipeline.wire.batch import BatchObject, BatchStatus
from batch_pipeline.wire.file import FileObject


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file: whose it is, what is shown, and from when to when it can be seen (unix seconds)."""

    account: str
    object: FileObject
    sha256: str
    visible_at: float = 0.0
    deleted_at: float | None = None

    def visible(self, now: float) -> bool:
        """Whether a request for it is answered."""
        ends = min(self.deleted_at or float("inf"), self.object.expires_at or float("inf"))
        return self.visible_at <= now < ends


@dataclass(slots=True)
class BatchRecord:
    """A batch: whose it is, what is shown, and what was decided for it when it was created."""

    account: str
    object: BatchObject
    created: float
    """Unix seconds, with fractions: what `--seconds` counts from."""
    listed_at: float
    """From when on the listing has it."""
    output_seconds: int
    """Lifetime of its output and error files."""
    faults: list[BatchFault] = field(default_factory=list[BatchFault])
    tokens: int = 0
    """Input tokens that count against the queue until it ends."""
    files_at: float = 0.0
    """From when on its output and error file are shown."""

    @property
    def id(self) -> str:
        """The batch's id."""
        return self.object.id

    def move(self, status: BatchStatus) -> None:
        """The one place where a status changes; stamps of earlier ones stay set."""
        self.object.status = status
        setattr(self.object, f"{status}_at", int(time.time()))

    def seen(self, now: float) -> BatchObject:
        """The batch as a client gets to see it, its faults included."""
        hidden = {"output_file_id": None, "error_file_id": None} if now < self.files_at else {}
        shown = self.object.model_copy(update=hidden, deep=True)
        if shown.request_counts and shown.ended and (wrong := chosen(self.faults, CountsFault)):
            shown.request_counts.completed += wrong.completed
            shown.request_counts.failed += wrong.failed
        return shown
