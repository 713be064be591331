"""Files in an object storage that several hosts share: it is the truth, and a host's disk a copy of what it needed.

A file is an object of the same name. It is created where there is none, in one request of the storage, and only then
gets its name on this host; so a host that dies in between has put a whole file or none. A copy carries the version of
its object in the time of its last change, and one that is of another version is fetched anew.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from filecmp import cmp
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from batch_pipeline.batches.storage.connection import connect, folders_in, objects_in, told
from batch_pipeline.batches.storage.disk import Disk, half, half_name, make_folder, sync_file, sync_folder
from batch_pipeline.batches.storage.growing import GrowingFile
from batch_pipeline.errors import FilesUnreachable

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ObjectStore

PART_BYTES = 8 * 1024 * 1024
"""A file that is larger goes up in parts of this size, and comes down in pieces of it."""
PARTS_AT_ONCE = 4


class ObjectStorage:
    """A `FileStore` for all hosts that have the same URL.

    Args:
        url: As `BATCH_PIPELINE_FILES_URL` has it.
        root: The folder on this host that it stands for.
    """

    def __init__(self, url: str, root: Path) -> None:
        self._url = url
        self._root = root
        self._disk = Disk()
        self._growing: dict[Path, GrowingFile] = {}

    @cached_property
    def _store(self) -> ObjectStore:
        return connect(self._url)

    def put(self, temporary: Path, final: Path) -> bool:
        """Syncs the file, creates its object, and only then gives the file its name here."""
        sync_file(temporary)
        created = self._create(temporary, self._key(final))
        meta = self._head(final)
        if created and meta is not None:
            _name(temporary, final, meta)
            return True
        return self._same(temporary, final)

    def create(self, path: Path, content: bytes) -> bool:
        """Creates the object; on this host there is none."""
        import obstore
        from obstore.exceptions import AlreadyExistsError

        with told(self._url):
            try:
                obstore.put(self._store, self._key(path), content, mode="create")
            except AlreadyExistsError:  # ours too, where the reply to a first try was lost
                return self.read(path) == content
        return True

    def fetch(self, path: Path) -> bool:
        """Copies the object to this host, unless the copy that is here is of its present version."""
        meta = self._head(path)
        if meta is None:
            return False
        if not _is_copy(path, meta):
            make_folder(path.parent)
            with half(path) as temporary:
                if (of := self._download(path, temporary)) is None:
                    return False
                sync_file(temporary)
                _name(temporary, path, of)
        return True

    def read(self, path: Path) -> bytes | None:
        """What the object holds."""
        import obstore

        with told(self._url):
            try:
                return obstore.get(self._store, self._key(path)).bytes().to_bytes()
            except FileNotFoundError:
                return None

    def resume(self, path: Path) -> None:
        """Begins to keep the file in pieces, after those that are there."""
        self._growing[path] = GrowingFile(self, path)
        self._growing[path].resume()

    def save(self, path: Path) -> bool:
        """Saves the next piece."""
        return self._growing[path].save()

    def remove_grown(self, path: Path) -> None:
        """Removes file and pieces."""
        self._growing.pop(path, GrowingFile(self, path)).remove()

    def names(self, folder: Path) -> list[str]:
        """The names of the objects of a folder."""
        return [name for name, _ in self._objects(folder) if not name.startswith(".")]

    def size(self, folder: Path) -> int:
        """The bytes of a folder's objects."""
        return sum(size for _, size in self._objects(folder))

    def folders(self, folder: Path) -> set[str]:
        """The names of the folders in a folder, in the storage and here."""
        with told(self._url):
            return folders_in(self._store, self._key(folder)) | self._disk.folders(folder)

    def rename(self, path: Path, to: Path) -> None:
        """Copies the object to its other name, and removes the first."""
        import obstore

        with told(self._url), suppress(FileNotFoundError):
            obstore.copy(self._store, self._key(path), self._key(to))
            self.remove(path)

    def remove(self, path: Path) -> None:
        """Removes the object, and then the copy here."""
        self._delete([self._key(path)])
        self._disk.remove(path)

    def remove_all(self, folder: Path, *, but: Path | None = None) -> None:
        """Removes the objects of a folder, and then the copies here."""
        found = [folder / name for name, _ in self._objects(folder)]
        self._delete([self._key(path) for path in found if path != but])
        self._disk.remove_all(folder, but=but)

    def _key(self, path: Path) -> str:
        return "/".join(path.relative_to(self._root).parts)

    def _head(self, path: Path) -> ObjectMeta | None:
        import obstore

        with told(self._url):
            try:
                return obstore.head(self._store, self._key(path))
            except FileNotFoundError:
                return None

    def _objects(self, folder: Path) -> Iterable[tuple[str, int]]:
        """Name and bytes of each object of a folder, hidden ones too."""
        with told(self._url):
            return [
                (meta["path"].rpartition("/")[2], meta["size"]) for meta in objects_in(self._store, self._key(folder))
            ]

    def _create(self, file: Path, key: str) -> bool:
        """Creates the object, unless there is one: a large file under another name first, since parts have no order."""
        import obstore
        from obstore.exceptions import AlreadyExistsError

        with told(self._url), suppress(AlreadyExistsError):
            if file.stat().st_size <= PART_BYTES:
                obstore.put(self._store, key, file.read_bytes(), mode="create")
                return True
            aside = half_name(Path(key)).as_posix()
            try:
                obstore.put(self._store, aside, file, chunk_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE)
                obstore.copy(self._store, aside, key, overwrite=False)
            finally:
                with suppress(FilesUnreachable):
                    self._delete([aside])
            return True
        return False

    def _same(self, temporary: Path, final: Path) -> bool:
        """Fetches what is there; whether it is what we have, as when the reply to a first try was lost."""
        if not self.fetch(final):
            raise FilesUnreachable(f"{final.name} was removed while it was written. Run this again.")
        return cmp(temporary, final, shallow=False)

    def _download(self, path: Path, temporary: Path) -> ObjectMeta | None:
        """Writes the object to `temporary`; what was written."""
        import obstore

        with told(self._url):
            try:
                found = obstore.get(self._store, self._key(path))
            except FileNotFoundError:
                return None
            with temporary.open("wb") as file:
                for piece in found.stream(min_chunk_size=PART_BYTES):
                    file.write(piece)
        if temporary.stat().st_size != found.meta["size"]:
            raise FilesUnreachable(f"{path.name} came cut off. Nothing of it is used; run this again.")
        return found.meta

    def _delete(self, keys: list[str]) -> None:
        import obstore

        with told(self._url):
            for key in keys:
                with suppress(FileNotFoundError):
                    obstore.delete(self._store, key)


def _name(temporary: Path, final: Path, meta: ObjectMeta) -> None:
    """Puts a synced copy in its place, in place of an older one."""
    os.utime(temporary, ns=(_time_of(meta), _time_of(meta)))
    temporary.replace(final)
    sync_folder(final.parent)


def _is_copy(path: Path, meta: ObjectMeta) -> bool:
    try:
        here = path.stat()
    except FileNotFoundError:
        return False
    return here.st_size == meta["size"] and here.st_mtime_ns == _time_of(meta)


def _time_of(meta: ObjectMeta) -> int:
    """The second in which the object was created, and in the nanoseconds below it its version."""
    version = hashlib.sha256((meta["e_tag"] or meta["version"] or "").encode()).digest()
    return int(meta["last_modified"].timestamp()) * 10**9 + int.from_bytes(version[:4], "big") % 10**9
