"""Images of a folder, in posts: a subfolder is one, and so are files whose names differ in their last number."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from batch_pipeline.sources.folders import Found, Loaded, Tally, chunked, files_below, of_kind
from batch_pipeline.tasks.content import UnusableRecord
from batch_pipeline.tasks.media.files import read_bytes
from batch_pipeline.tasks.media.images import MAX_BYTES, UNREADABLE, image_size
from batch_pipeline.warehouse import media
from batch_pipeline.warehouse.connection import Warehouse
from batch_pipeline.warehouse.media import ImageRow

ENDINGS = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".heic", ".avif"})
"""What is taken for an image by its name; other files are left out."""
CHUNK = 200
"""Files whose rows are written at once."""


def load_images(warehouse: Warehouse, folder: Path) -> Loaded:
    """Writes a row of `images` for each image below a folder; one that can't be used has its `error` there.

    The images of a subfolder are one post, named by its path. Those in the folder itself belong together where their
    names differ in the number after the last `_` only: `shoes_1.jpg` and `shoes_2.jpg` are the post `shoes`. Position
    counts from 0. Posts are told apart by name: of two folders with one post of the same name, the later counts.

    Raises:
        InvalidSelection: There is no such folder.
    """
    place, at = folder.expanduser().absolute(), datetime.now(UTC)
    with warehouse.read() as connection:
        tally = Tally(folder, media.count_below(connection, media.IMAGES, place)[0])
    for found in chunked(_placed(place, tally), CHUNK):
        with warehouse.read() as connection:
            known = media.known_images(connection, [str(each.path) for _, _, each in found])
        rows = [_row(known.get(str(each.path)), post, position, each, tally) for post, position, each in found]
        with warehouse.write() as connection:
            media.put(connection, media.IMAGES, rows, at)
    with warehouse.write() as connection:
        media.forget(connection, media.IMAGES, place, at)
    return tally.loaded()


def post_of(found: Found) -> str:
    """The post that an image belongs to."""
    folder, _, _ = found.name.rpartition("/")
    return folder or re.sub(r"_\d+$", "", found.path.stem)


def _placed(place: Path, tally: Tally) -> Generator[tuple[str, int, Found]]:
    for found in files_below(place):
        images = tally.nameless(of_kind(found, ENDINGS))
        tally.left_out += len(found) - len(of_kind(found, ENDINGS))
        posts: dict[str, list[Found]] = {}
        for each in images:
            posts.setdefault(post_of(each), []).append(each)
        tally.records += len(posts)
        for post, members in posts.items():
            yield from _numbered(post, members)


def _numbered(post: str, members: Sequence[Found]) -> Generator[tuple[str, int, Found]]:
    for position, each in enumerate(members):
        yield post, position, each


def _row(known: ImageRow | None, post: str, position: int, found: Found, tally: Tally) -> ImageRow:
    path, digest, size = str(found.path), "", 0
    width = height = error = None
    try:
        data = read_bytes(found.path, UNREADABLE, MAX_BYTES)
        digest, size = sha256(data).hexdigest(), len(data)
        if known is not None and known.sha256 == digest:
            width, height, error = known.width, known.height, known.error
        else:
            width, height = image_size(found.path, data)
    except UnusableRecord as unusable:
        error = unusable.message
    tally.note(known and known.sha256, digest, error)
    return ImageRow(post, position, path, digest, size, width, height, error)
