"""What is answered at once, line by line, on one host, and gone on with by another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.turn import submit_job
from batch_pipeline_tests.batches.chain import answers, planned, run, write_notes
from batch_pipeline_tests.batches.storage.conftest import Shared
from batch_pipeline_tests.endpoint import Said, endpoint, glad


def append(path: Path, *lines: bytes) -> None:
    with path.open("ab") as file:
        file.writelines(lines)


def test_lines_that_were_saved_come_to_the_host_that_goes_on_and_its_own_stay(shared: Shared, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "a" / "job" / "answers-0000.jsonl", tmp_path / "b" / "job" / "answers-0000.jsonl"
    here, there = shared.of_host(tmp_path / "a"), shared.of_host(tmp_path / "b")
    here.resume(ours)
    append(ours, b"1\n", b"2\n", b"torn")
    assert here.save(ours)
    assert here.save(ours)  # nothing came
    append(ours, b" no more\n", b"only here\n")
    there.resume(theirs)
    assert theirs.read_bytes() == b"1\n2\n"
    append(theirs, b"3\n")
    assert there.save(theirs)
    assert not here.save(ours)  # whoever was taken for dead is told to stop
    here.resume(ours)
    assert ours.read_bytes() == b"1\n2\n3\ntorn no more\nonly here\n"
    assert here.save(ours)
    there.remove_grown(theirs)
    assert here.names(ours.parent) == []
    assert not theirs.exists()


def test_another_host_asks_only_what_was_not_answered(make_host: Callable[..., Pipeline]) -> None:
    """The key is refused in the middle; with another one, another host goes on."""
    answered: list[dict[str, Any]] = []

    def say(body: dict[str, Any]) -> Said:
        if len(answered) == 4:
            return 401, {}, orjson.dumps({"error": {"message": "no", "type": "invalid_request_error", "code": "x"}})
        answered.append(body)
        return glad(body)

    with endpoint(say) as there:
        settings = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": there.url, "provider": "openai"}
        ours, theirs = (make_host(name, realtime_concurrency=1, **settings) for name in ("ours", "theirs"))
        write_notes(ours, 10)
        job = planned(ours, mode="realtime")
        assert submit_job(ours, job.job_id).stopped is not None
        answered.append({})  # from now on, the key is taken
        assert run(theirs, job).outcomes == {"answered": 10}
    assert len(answered) == 11
    assert len(answers(ours)) == 10
    folder = theirs.folder(job.job_id)
    assert [name for name in theirs.files.names(folder.path) if name.startswith("answers")] == []
