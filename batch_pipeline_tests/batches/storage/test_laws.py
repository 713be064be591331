"""What holds wherever files are kept: they are created, never replaced, and read as they were put."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Barrier, Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_pipeline.batches.files import JobFolder
from batch_pipeline.batches.storage.disk import Disk, half, make_folder
from batch_pipeline.batches.storage.objects import PART_BYTES, ObjectStorage
from batch_pipeline.errors import DamagedFile
from batch_pipeline_tests.batches.storage.conftest import Kept, Shared
from batch_pipeline_tests.processes import at_once

Hosts = Callable[[int], Kept]
RACERS = 8


def put(kept: Kept, name: str, content: bytes) -> bool:
    """Writes a file of a job and puts it in its place."""
    final = kept.root / "job" / name
    make_folder(final.parent)
    with half(final) as temporary:
        temporary.write_bytes(content)
        return kept.files.put(temporary, final)


def read(kept: Kept, name: str) -> bytes | None:
    """What a host reads that has to fetch it first."""
    path = kept.root / "job" / name
    return path.read_bytes() if kept.files.fetch(path) else None


def at_the_same_time(count: int, work: Callable[[int], None]) -> None:
    """Each in a thread; all begin when the last of them is ready."""
    ready = Barrier(count)

    def run(number: int) -> None:
        ready.wait(30)
        work(number)

    threads = [Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("size", [1, 1_000, PART_BYTES + 1])
def test_of_many_that_put_a_file_at_once_one_wins_and_all_read_what_it_wrote(kept: Hosts, size: int) -> None:
    contents = [bytes([number]) * size for number in range(RACERS)]
    won: list[int] = []

    def race(number: int) -> None:
        if put(kept(number), "requests-0000.jsonl", contents[number]):
            won.append(number)

    at_the_same_time(RACERS, race)
    assert len(won) == 1
    assert {read(kept(number), "requests-0000.jsonl") for number in range(RACERS + 1)} == {contents[won[0]]}
    assert kept(0).files.names(kept(0).root / "job") == ["requests-0000.jsonl"]  # and nothing half-written


def test_of_many_that_create_a_small_file_at_once_one_wins(kept: Hosts) -> None:
    won: list[int] = []

    def race(number: int) -> None:
        if kept(number).files.create(kept(number).root / "sends" / "c.json", b"%d" % number):
            won.append(number)

    at_the_same_time(RACERS, race)
    assert {kept(number).files.read(kept(number).root / "sends" / "c.json") for number in range(RACERS)} == {
        b"%d" % number for number in won
    }
    assert len(won) == 1


def _race_of_processes(folder: Path, number: int) -> bool:
    url, *variables = (folder / "shared").read_text().splitlines()
    shared = Shared(url, dict(line.split("=", 1) for line in variables))
    shared.into_environment()
    root = folder / f"process-{number}"
    return put(Kept(shared.of_host(root), root), "output-0000.jsonl", b"%d" % number * 10_000)


def test_of_many_processes_that_put_a_file_at_once_one_wins(shared: Shared, tmp_path: Path) -> None:
    told = [shared.url, *(f"{name}={value}" for name, value in shared.variables.items())]
    (tmp_path / "shared").write_text("\n".join(told))
    won = at_once(4, _race_of_processes, tmp_path)
    assert won.count(True) == 1
    root = tmp_path / "another"
    assert read(Kept(shared.of_host(root), root), "output-0000.jsonl") == b"%d" % won.index(True) * 10_000


def test_who_puts_what_is_there_already_is_told_that_it_is_there(shared: Shared, tmp_path: Path) -> None:
    """So ends a put that is repeated since the reply to it was lost."""
    ours, theirs = (Kept(shared.of_host(tmp_path / name), tmp_path / name) for name in "ab")
    assert put(ours, "plan.json", b"the same")
    assert put(theirs, "plan.json", b"the same")
    assert not put(theirs, "plan.json", b"another")
    assert read(theirs, "plan.json") == b"the same"
    assert ours.files.create(tmp_path / "a" / "sends" / "1.json", b"mine")
    assert theirs.files.create(tmp_path / "b" / "sends" / "1.json", b"mine")
    assert not theirs.files.create(tmp_path / "b" / "sends" / "1.json", b"theirs")


def test_a_copy_of_another_version_is_fetched_anew(shared: Shared, tmp_path: Path) -> None:
    """A plan that was given up here, and made again under the same name by another host."""
    ours, theirs = (Kept(shared.of_host(tmp_path / name), tmp_path / name) for name in "ab")
    put(ours, "requests.parquet", b"one plan")
    theirs.files.remove_all(tmp_path / "b" / "job")
    put(theirs, "requests.parquet", b"another!")
    assert (tmp_path / "a" / "job" / "requests.parquet").read_bytes() == b"one plan"
    assert read(ours, "requests.parquet") == b"another!"


def test_a_copy_that_was_changed_here_is_fetched_anew_and_one_that_was_not_is_kept(
    shared: Shared, tmp_path: Path
) -> None:
    ours = Kept(shared.of_host(tmp_path / "a"), tmp_path / "a")
    path = tmp_path / "a" / "job" / "output-0000.jsonl"
    put(ours, path.name, b"as it came")
    before = path.stat().st_ino
    assert read(ours, path.name) == b"as it came"
    assert path.stat().st_ino == before
    path.write_bytes(b"was edited")
    assert read(ours, path.name) == b"as it came"


def test_what_another_host_removed_is_gone_whatever_lies_here(shared: Shared, tmp_path: Path) -> None:
    ours, theirs = (Kept(shared.of_host(tmp_path / name), tmp_path / name) for name in "ab")
    put(ours, "output-0000.jsonl", b"x")
    theirs.files.remove(tmp_path / "b" / "job" / "output-0000.jsonl")
    assert read(ours, "output-0000.jsonl") is None
    assert ours.files.folders(tmp_path / "a") == {"job"}  # so that whoever prunes here finds what is left


def test_requests_that_are_not_as_planned_are_not_sent(kept: Hosts) -> None:
    host = kept(0)
    folder = JobFolder(host.root, "job", host.files)
    with pytest.raises(DamagedFile, match="is gone"):
        folder.as_planned(0, "", 4)
    put(host, "requests-0000.jsonl", b"line")
    with pytest.raises(DamagedFile, match="is not as it was planned"):
        folder.as_planned(0, "0" * 64, 4)


@contextmanager
def both() -> Generator[tuple[Kept, Kept]]:
    with TemporaryDirectory() as name:
        disk, host = Path(name) / "disk", Path(name) / "host"
        yield Kept(Disk(), disk), Kept(ObjectStorage(f"file://{name}/storage", host), host)


_NAMES = st.sampled_from(["a.json", "b.jsonl", "c.orphan", ".lock"])
_STEPS = st.one_of(
    st.tuples(st.sampled_from(["create", "put"]), _NAMES, st.sampled_from([b"", b"1", b"2"])),
    st.tuples(st.sampled_from(["remove", "fetch", "read", "rename"]), _NAMES, st.just(b"")),
    st.tuples(st.sampled_from(["names", "folders", "size", "remove_all", "clear"]), st.just(""), st.just(b"")),
)


def outcome(kept: Kept, kind: str, name: str, content: bytes) -> object:
    """What one step tells whoever asked for it."""
    files, folder = kept.files, kept.root / "job"
    path = folder / name
    steps: dict[str, Callable[[], object]] = {
        "create": lambda: files.create(path, content) or files.read(path) == content,
        "put": lambda: put(kept, name, content) or read(kept, name) == content,
        "fetch": lambda: files.fetch(path) and path.read_bytes(),
        "read": lambda: files.read(path),
        "remove": lambda: files.remove(path),
        "rename": lambda: files.rename(path, folder / "c.orphan"),
        "names": lambda: sorted(files.names(folder)),
        "size": lambda: files.size(folder),
        "folders": lambda: bool(files.names(folder)) <= ("job" in files.folders(kept.root)),
        "clear": lambda: (make_folder(folder), files.remove_all(folder, but=folder / ".lock")),
        "remove_all": lambda: files.remove_all(folder),
    }
    return steps[kind]()


@given(st.lists(_STEPS, max_size=12))
@settings(max_examples=30, deadline=None)
def test_a_disk_and_an_object_storage_tell_the_same(steps: list[tuple[str, str, bytes]]) -> None:
    with both() as (disk, storage):
        for step in steps:
            assert outcome(disk, *step) == outcome(storage, *step), step


def test_files_are_their_owners_alone(kept: Hosts) -> None:
    before = os.umask(0)
    try:
        put(kept(0), "output-0000.jsonl", b"x")
        read(kept(1), "output-0000.jsonl")
    finally:
        os.umask(before)
    for number in (0, 1):
        root = kept(number).root
        assert [path for path in (root, *root.rglob("*")) if path.stat().st_mode & 0o077] == []
