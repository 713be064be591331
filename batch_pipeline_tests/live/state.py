"""What a run made at the provider and saw there, on the disk before and after each step of it.

A file that was to be uploaded and a batch that was to be created stand here before the request leaves: whatever
happens to the process, the next run finds them by their names.
"""

from __future__ import annotations

import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ValidationError

from batch_pipeline.batches.files import sync_folder
from batch_pipeline.errors import PipelineError
from batch_pipeline.wire.batch import BatchObject

Trial = Literal["listing", "delete", "deleted_before", "deleted_after", "usage"]


class Entry(BaseModel):
    """What a listing and its headers said, where it showed a batch of ours first."""

    metadata: bool
    input_file_id: bool
    newest_first: bool
    request_id: bool
    organization: bool
    project: bool
    date: bool
    clock_off: float | None
    """The provider's clock less ours, in seconds; it is given in whole ones."""


class Rows(BaseModel):
    """Tokens of a batch's rows, summed here, and their price."""

    rows: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost_usd: float
    agrees: bool | None
    """Whether the batch's own `usage` says the same; None where it says nothing."""


class Sample(BaseModel):
    """One file, at most one batch of it, and what was seen of them. Times are seconds."""

    trial: Trial
    claim: str
    filename: str
    lines: int
    bound_usd: float
    """The most that a batch of this file can cost."""
    post_after: float = 0.0
    """How long after the reply to DELETE its batch is created."""
    file_id: str | None = None
    file_gone: bool = False
    posted_at: float | None = None
    refused: str | None = None
    """The provider's words, where it created no batch."""
    not_deleted: str | None = None
    """The provider's words, where it did not delete the file."""
    kept: bool = False
    """The provider knows no DELETE: its files stay until they expire."""
    lost: bool = False
    """No reply came, and the listing knows no batch of it."""
    batch: BatchObject | None = None
    """As it was seen last."""
    rows: Rows | None = None
    files_gone: bool = False
    """Its output and error file are deleted."""
    lag: float | None = None
    """None where nothing was seen as long as was looked."""
    flickers: int = 0
    """How often it was another way again, after it had been seen."""
    entry: Entry | None = None
    measured: bool = False
    interrupted: bool = False
    """Its batch was cancelled before its time, because the run was to end."""

    @property
    def running(self) -> bool:
        """Whether a batch of it may still do something, or has files that are not shown yet."""
        batch = self.batch
        if batch is None or not batch.ended:
            return batch is not None
        total = batch.request_counts.total if batch.request_counts else 0
        return batch.status == "completed" and total > 0 and not (batch.output_file_id or batch.error_file_id)

    @property
    def unknown(self) -> bool:
        """Whether its batch was asked for and no answer is known."""
        return self.posted_at is not None and self.batch is None and self.refused is None and not self.lost

    @property
    def executed(self) -> bool:
        """Whether anything of its batch was executed, as far as the batch says."""
        batch = self.batch
        if batch is None:
            return False
        counts, usage = batch.request_counts, batch.usage
        done = counts is not None and counts.completed + counts.failed > 0
        return done or batch.output_file_id is not None or (usage is not None and usage.total_tokens > 0)

    @property
    def stands(self) -> bool:
        """Whether it takes its place in its trial; else another one is made.

        A request whose reply was lost is never repeated. A batch that was cut short counts if it executed anything.
        """
        return self.lost or (self.measured and not (self.interrupted and not self.running and not self.executed))

    @property
    def tidy(self) -> bool:
        """Whether nothing of it is left at the provider that can be taken away."""
        file = self.file_gone or self.kept or self.file_id is None
        return file and not self.unknown and not self.running and (self.batch is None or self.files_gone)


class State(BaseModel):
    """One run, over all of its processes."""

    run: str
    account: str
    """Hash of base URL, key, organization and project."""
    base_url: str
    model: str
    report: str
    """The report's name, without its ending."""
    begun: datetime
    samples: list[Sample] = []

    def of(self, trial: Trial) -> list[Sample]:
        """The samples of one trial that count."""
        return [sample for sample in self.samples if sample.trial == trial and sample.stands]

    @property
    def bound_usd(self) -> float:
        """The most that all batches that were asked for can cost."""
        return sum(sample.bound_usd for sample in self.samples if sample.posted_at is not None)

    @property
    def cost_usd(self) -> float:
        """What the batches cost that have ended, by the usage of their rows."""
        return sum(sample.rows.cost_usd for sample in self.samples if sample.rows)


class StateFile:
    """`state.json` in the folder of live runs; it is gone when a run is through."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "state.json"
        self._written = ""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def read(self) -> State | None:
        """The run that was not through; None where there is none.

        Raises:
            PipelineError: The file is not one of ours.
        """
        try:
            return State.model_validate_json(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise PipelineError(
                f"{self.path} is damaged. Look at the provider for batches and files named `live-…`, delete them "
                "there, and remove it."
            ) from error

    def begin(self, account: str, base_url: str, model: str) -> State:
        """A new run."""
        now = datetime.now(UTC)
        return State(
            run=secrets.token_hex(4),
            account=account,
            base_url=base_url,
            model=model,
            report=self._free_name(now.date().isoformat()),
            begun=now,
        )

    def write(self, state: State) -> None:
        """Puts it on the disk, whole or not at all."""
        text = state.model_dump_json(indent=1)
        if text == self._written:
            return
        temporary = self.path.with_suffix(".half")
        with open(temporary, "wb", opener=_owner_only) as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.path)
        sync_folder(self.folder)
        self._written = text

    def remove(self) -> None:
        """The run is through."""
        self.path.unlink(missing_ok=True)

    def _free_name(self, day: str) -> str:
        taken = {path.stem for path in self.folder.glob("*.md")}
        names = [day, *(f"{day}-{number}" for number in range(2, len(taken) + 3))]
        return next(name for name in names if name not in taken)


def _owner_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
