"""What is written stays where it belongs, whatever a record or a provider calls itself, and is its owner's alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_pipeline.batches.outcomes.export import export_answers, file_name
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.recover import recover_all
from batch_pipeline.batches.turn import submit_job
from batch_pipeline_tests.batches.chain import answers, planned, run, write_notes
from batch_pipeline_tests.books import Books

HOSTILE = (
    *("../../outside", "/etc/outside", "..", ".", "...", "~root/outside", "a/../../outside#1", "outside\\..\\..\\b"),
    *("C:\\outside", "new\nline", "-rf", "*", "$(touch outside)", "x" * 400, "ümläut/\u202e", "%2e%2e%2foutside", " "),
)


@pytest.fixture
def open_umask() -> Generator[None]:
    """Whatever is not closed on purpose is open to all."""
    before = os.umask(0)
    yield
    os.umask(before)


def files_in(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def test_record_ids_that_try_to_leave_their_folder_stay_in_it(pipeline: Pipeline, tmp_path: Path) -> None:
    write_notes(pipeline, {record_id: f"the note {n}" for n, record_id in enumerate(HOSTILE)})
    before = files_in(tmp_path)
    job = planned(pipeline)
    assert run(pipeline, job).outcomes == {"answered": len(HOSTILE)}
    out = tmp_path / "out" / "deep" / "er"
    assert export_answers(pipeline, job.job_id, out) == len(HOSTILE) == len(list(out.iterdir()))
    assert answers(pipeline).keys() == set(HOSTILE)
    places = (pipeline.data_dir, out, tmp_path / "server")
    assert [path for path in files_in(tmp_path) - before if not any(map(path.is_relative_to, places))] == []


@given(st.text(max_size=300))
def test_the_name_of_an_answers_file_is_a_name(record_id: str) -> None:
    name = file_name(record_id, "issue_kind")
    assert Path(name).name == name
    assert len(name.encode()) < 255
    assert name.isascii()


def test_a_batch_that_names_a_job_outside_of_the_folder_is_an_orphan(
    make_pipeline: Callable[..., Pipeline], tmp_path: Path
) -> None:
    """The listing is the provider's word: it chooses no path on this machine."""
    theirs = make_pipeline(data_dir=tmp_path / "theirs")
    write_notes(theirs, 2)
    job = planned(theirs)
    submit_job(theirs, job.job_id)
    ours = make_pipeline()
    write_notes(ours, 1)
    planned(ours)
    provider = ours.provider("local")
    path = theirs.folder(job.job_id).requests(0)
    outside = os.path.relpath(theirs.folder(job.job_id).path, ours.settings.batches_dir)
    told = {"pipeline": ours.pipeline_id, "job": outside, "batch": f"{outside}-0000", "claim": "c" * 16}
    provider.create(provider.upload(path, "x.jsonl").file_id, "/v1/chat/completions", told)
    recovered = recover_all(ours, "local")
    assert (recovered.jobs, recovered.adopted, len(recovered.orphans)) == ([], [], 1)


@pytest.mark.usefixtures("open_umask")
def test_all_that_a_job_leaves_behind_is_its_owners_alone(
    make_pipeline: Callable[..., Pipeline], books: Books, tmp_path: Path
) -> None:
    pipeline = make_pipeline(data_dir=tmp_path / "new" / "data", missing_recheck_seconds=0.0)
    books.order(
        {"kind": "rows", "status": 500, "every": 2},
        {"kind": "lines", "damage": "missing", "file": "output", "custom_id": "note-0"},
        {"kind": "reply_lost", "on": "batches.create"},
    )
    write_notes(pipeline, 4)
    job = planned(pipeline)
    waits = planned(pipeline)
    assert run(pipeline, job).outcomes == {"answered": 4}
    run(pipeline, waits)
    export_answers(pipeline, job.job_id, pipeline.data_dir / "out")
    kept = {path for path in pipeline.data_dir.rglob("*") if path.parent.name != "out"} | {pipeline.data_dir}
    assert len(files_in(pipeline.data_dir)) > 15
    open_to_others = {
        str(path.relative_to(tmp_path)): oct(mode)
        for path in kept
        if (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077
    }
    assert open_to_others == {"new/data/out": "0o777"}  # the folder that a person named; what is in it is not
    assert [path for path in (pipeline.data_dir / "out").iterdir() if path.stat().st_mode & 0o077] == []
