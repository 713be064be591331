"""From the rows of a running batch to files that can be downloaded, damaged where that was ordered."""

from __future__ import annotations

import hashlib
import os
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import orjson

from batch_pipeline.local_server.faults import Azure, DamagedLines, chosen
from batch_pipeline.local_server.ids import file_id
from batch_pipeline.local_server.records import BatchRecord, FileRecord
from batch_pipeline.local_server.store import Store, owner_only
from batch_pipeline.wire.file import FileObject


def publish(rows: Path, suffix: str, batch: BatchRecord, store: Store) -> FileRecord | None:
    """The file made of these rows, its content in place, but not taken into the store yet; None if there are none.

    Azure has an error file in any case.

    The rows stay where they are: whoever is killed before the batch's end is written down does this again.
    """
    empty_too = suffix == "errors" and chosen(batch.faults, Azure) is not None
    damages = [fault for fault in batch.faults if isinstance(fault, DamagedLines) and fault.file == suffix]
    if not rows.stat().st_size and not empty_too:
        return None
    name = file_id()
    content = store.path_of(name)
    if damages:
        _write_damaged(rows, content, damages)
    else:
        os.link(rows, content)
    now = int(time.time())
    shown = FileObject(
        id=name,
        bytes=content.stat().st_size,
        created_at=now,
        expires_at=now + batch.output_seconds,
        filename=f"{batch.id}_{suffix}.jsonl",
        purpose="batch_output",
    )
    with content.open("rb") as file:
        return FileRecord(batch.account, shown, hashlib.file_digest(file, "sha256").hexdigest())


def _write_damaged(rows: Path, content: Path, damages: Sequence[DamagedLines]) -> None:
    lines = rows.read_bytes().splitlines(keepends=True)
    for damage in damages:
        lines = list(_damaged(lines, damage))
    with open(content, "xb", opener=owner_only) as file:
        file.writelines(lines)


def _damaged(lines: list[bytes], damage: DamagedLines) -> Iterator[bytes]:
    if damage.damage == "shuffled":
        random.Random(0).shuffle(lines)  # noqa: S311 - an order, not a secret; the same one each time
    elif damage.damage == "unended" and lines:
        lines[-1] = lines[-1].rstrip(b"\n")
    for number, raw in enumerate(lines, 1):
        yield from _one(raw, damage) if damage.chooses(_custom_id(raw), number) else (raw,)


def _custom_id(raw: bytes) -> str:
    try:
        return cast(str, orjson.loads(raw)["custom_id"])
    except orjson.JSONDecodeError:  # an earlier damage was here
        return ""


def _one(raw: bytes, damage: DamagedLines) -> Sequence[bytes]:
    match damage.damage:
        case "garbled":
            return (raw[: len(raw) // 2] + b"\n",)
        case "missing":
            return ()
        case "doubled":
            return (raw, raw)
        case "foreign":
            return (raw, orjson.dumps({**orjson.loads(raw), "custom_id": "nobody-asked-for-this"}) + b"\n")
        case "shuffled" | "unended":
            return (raw,)
