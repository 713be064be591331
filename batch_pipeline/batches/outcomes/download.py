"""Download: a batch's output and error file, whole on the disk or not at all."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from filecmp import cmp
from pathlib import Path

from batch_pipeline.batches.files import JobFolder, half
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.points import reach
from batch_pipeline.errors import FileGone, ProviderError, ProviderUnreachable
from batch_pipeline.ledger import batches, jobs
from batch_pipeline.ledger.batches import Batch
from batch_pipeline.providers import Provider


@dataclass
class Garbled:
    """How many lines of a batch's files could not be read; they stay in the files."""

    count: int = 0


@dataclass
class Files:
    """The files of a batch, as far as there are any.

    `failed`: the batch failed validation and has none. `lost`: the provider no longer has one of them.
    """

    paths: list[Path] = field(default_factory=list[Path])
    failed: bool = False
    lost: bool = False
    garbled: Garbled = field(default_factory=Garbled)


def download_all(pipeline: Pipeline, job_ids: Iterable[str]) -> None:
    """Brings to the disk what is about to be collected, so that the warehouse is kept from nobody meanwhile.

    Where a file can't be had it stops: the batch's own collection tells why.
    """
    with pipeline.ledger.read() as db:
        ended = [batch for job_id in job_ids for batch in batches.of_job(db, job_id) if batch.ended_at]
    with suppress(ProviderError):
        for batch in ended:
            if batch.collected_at is None and batch.recheck_at is None:
                download(pipeline, batch)


def download(pipeline: Pipeline, batch: Batch, look: int = 1) -> Files:
    """Brings both files to the disk; those that are there already are not asked for again.

    Args:
        pipeline: The pipeline.
        batch: One that has ended.
        look: 2 where rows were in no file at the first look, and both are asked for anew.

    Raises:
        ProviderError: A file could not be had, or came cut off.
    """
    with pipeline.ledger.read() as db:
        provider = pipeline.provider(jobs.get(db, batch.job_id).provider)
    folder = pipeline.folder(batch.job_id)
    files = Files(
        failed=batch.remote_status == "failed" and not (batch.output_file_id or batch.error_file_id),
        lost=batch.remote_status == "gone",
    )
    wanted = [
        (batch.output_file_id, folder.output(batch.number, look), "collect.output_renamed"),
        (batch.error_file_id, folder.errors(batch.number, look), "collect.errors_renamed"),
    ]
    here = {folder.output(batch.number).name, folder.errors(batch.number).name}  # no provider has a file of such an id
    for file_id, path, point in wanted:
        if file_id is None:
            continue
        final = folder.path / file_id if file_id in here else path
        if folder.fetch(final) or (file_id not in here and _fetch(provider, file_id, folder, final)):
            files.paths.append(final)
        else:
            files.lost = True
        reach(point)
    return files


def _fetch(provider: Provider, file_id: str, folder: JobFolder, final: Path) -> bool:
    """False where the provider no longer has the file."""
    folder.make()
    with half(final) as temporary:
        try:
            told = provider.download(file_id, temporary)
        except FileGone:
            return False
        reach("collect.output_half")
        if not _whole(provider, file_id, temporary, told):
            size = f"{temporary.stat().st_size:,} of {told:,} bytes" if told is not None else "and differs each time"
            raise ProviderUnreachable(
                f"{final.name} came cut off ({size}). Nothing of it is used; it is asked for again."
            )
        folder.put(temporary, final)
    return True


def _whole(provider: Provider, file_id: str, path: Path, told: int | None) -> bool:
    """As long as the provider says, with its last line ended; where it says nothing, two equal downloads."""
    size = path.stat().st_size
    if told is not None:
        return size == told and _last_line_ended(path)
    with half(path) as second:
        provider.download(file_id, second)
        return cmp(second, path, shallow=False)


def _last_line_ended(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, 2) == 0:
            return True
        file.seek(-1, 2)
        return file.read(1) == b"\n"
