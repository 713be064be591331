"""Which requests a job sends, for which records, in which files."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.plan import Order, abandon_dead_plans, plan, planning
from batch_pipeline.batches.requests.selection import Selection
from batch_pipeline.batches.submit import submit
from batch_pipeline.errors import Disabled, InvalidSelection, InvalidTask, PipelineError, UnpricedModel
from batch_pipeline.ledger import jobs
from batch_pipeline.tasks import BatchTask, Record
from batch_pipeline_tests.batches.chain import Mood, answers, batches_of, mood, planned, query, run, write_notes
from batch_pipeline_tests.books import Books


def lines_of(pipeline: Pipeline, job: jobs.Job) -> list[dict[str, object]]:
    folder = pipeline.folder(job.job_id).path
    files = sorted(folder.glob("requests-*.jsonl"))
    return [orjson.loads(line) for path in files for line in path.read_bytes().splitlines()]


def inflight(pipeline: Pipeline) -> int:
    with pipeline.ledger.read() as db:
        return len(db.exec_driver_sql("SELECT * FROM inflight").all())


def test_each_record_becomes_one_line_that_the_provider_takes(pipeline: Pipeline) -> None:
    write_notes(pipeline, {"a": "hello", "b": 'quotes " and \n breaks — ü'})
    job = planned(pipeline)
    first, second = lines_of(pipeline, job)
    assert (first["custom_id"], first["method"], first["url"]) == ("a", "POST", "/v1/chat/completions")
    body = second["body"]
    assert isinstance(body, dict)
    assert body["messages"][1] == {"role": "user", "content": 'quotes " and \n breaks — ü'}
    assert body["max_completion_tokens"] == 20
    assert body["response_format"]["json_schema"]["strict"] is True


def test_identical_requests_are_one_and_all_their_records_are_answered(pipeline: Pipeline, books: Books) -> None:
    write_notes(pipeline, {"a": "same", "b": "same", "c": "other"})
    job = planned(pipeline)
    assert (job.records, job.requests) == (3, 2)
    state = run(pipeline, job)
    assert state.outcomes == {"answered": 3}
    assert books.lines_executed == 2
    assert answers(pipeline).keys() == {"a", "b", "c"}


def test_identical_requests_far_apart_are_one_too(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batch_pipeline.batches.requests.prepared.CHUNK", 2)
    write_notes(pipeline, {"a": "same", "b": "b", "c": "c", "d": "d", "e": "same"})
    job = planned(pipeline)
    assert (job.records, job.requests) == (5, 4)
    assert run(pipeline, job).outcomes == {"answered": 5}


@pytest.mark.parametrize("together", [1, 2, 5])
def test_what_becomes_of_a_record_does_not_depend_on_what_is_taken_with_it(
    make_pipeline: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch, together: int
) -> None:
    pipeline = make_pipeline(max_file_bytes=2_000)
    write_notes(pipeline, {"z": "known"})
    run(pipeline, planned(pipeline))
    monkeypatch.setattr("batch_pipeline.batches.requests.prepared.CHUNK", 2)
    monkeypatch.setattr("batch_pipeline.batches.requests.planner.TOGETHER", together)
    large = "x" * 3_000
    notes = {"a": "same", "b": "known", "c": large, "d": "same", "e": "e", "f": "known", "g": large, "h": "same"}
    write_notes(pipeline, notes)
    job = planned(pipeline)
    assert (job.records, job.requests, job.reused, job.unsendable) == (8, 2, 2, 2)
    assert inflight(pipeline) == 2
    assert run(pipeline, job).outcomes == {"answered": 6, "failed": 2}
    assert inflight(pipeline) == 0


def test_files_are_split_at_the_most_requests(make_pipeline: Callable[..., Pipeline]) -> None:
    pipeline = make_pipeline(max_requests=4)
    write_notes(pipeline, 10)
    job = planned(pipeline)
    assert [batch.requests for batch in batches_of(pipeline, job)] == [4, 4, 2]
    state = run(pipeline, job)
    assert state.outcomes == {"answered": 10}
    assert [batch.completed for batch in state.batches] == [4, 4, 2]


def test_files_are_split_at_the_most_bytes_and_are_what_the_ledger_says(make_pipeline: Callable[..., Pipeline]) -> None:
    pipeline = make_pipeline(max_file_bytes=2_000)
    write_notes(pipeline, 20)
    job = planned(pipeline)
    rows = batches_of(pipeline, job)
    assert len(rows) > 3
    for row in rows:
        content = pipeline.folder(job.job_id).requests(row.number).read_bytes()
        assert len(content) == row.bytes <= 2_000
        assert hashlib.sha256(content).hexdigest() == row.sha256


def test_a_record_too_large_for_any_file_is_an_outcome_of_that_record(make_pipeline: Callable[..., Pipeline]) -> None:
    pipeline = make_pipeline(max_file_bytes=2_000)
    write_notes(pipeline, {"small": "hello", "large": "x" * 3_000})
    job = planned(pipeline)
    assert run(pipeline, job).outcomes == {"answered": 1, "failed": 1}
    rows = query(pipeline, "SELECT record_id, error_message FROM batch_items WHERE status = 'failed'")
    assert rows[0][0] == "large"
    assert "3," in str(rows[0][1])
    assert "2,000" in str(rows[0][1])


def test_what_is_answered_is_skipped_and_an_empty_plan_leaves_nothing(pipeline: Pipeline) -> None:
    write_notes(pipeline, 3)
    run(pipeline, planned(pipeline))
    again = planned(pipeline)
    assert (again.records, again.selected, again.skipped) == (0, 3, 3)
    with pipeline.ledger.read() as db:
        assert len(jobs.newest(db)) == 1
    assert not pipeline.folder(again.job_id).path.exists()
    assert inflight(pipeline) == 0


def test_a_record_that_changed_is_asked_again_and_one_that_did_not_is_not(pipeline: Pipeline, books: Books) -> None:
    write_notes(pipeline, {"a": "one", "b": "two"})
    run(pipeline, planned(pipeline))
    write_notes(pipeline, {"a": "one", "b": "changed"})
    job = planned(pipeline)
    assert (job.records, job.requests, job.skipped) == (1, 1, 1)
    run(pipeline, job)
    assert books.lines_executed == 3


def test_a_new_record_with_a_known_text_takes_the_answer_that_was_bought(pipeline: Pipeline, books: Books) -> None:
    write_notes(pipeline, {"a": "hello"})
    run(pipeline, planned(pipeline))
    write_notes(pipeline, {"a": "hello", "b": "hello"})
    job = planned(pipeline)
    assert (job.records, job.requests, job.reused) == (1, 0, 1)
    assert run(pipeline, job).outcomes == {"answered": 1}
    assert books.lines_executed == 1
    got = answers(pipeline)
    assert got["a"] == got["b"]
    assert query(pipeline, "SELECT reused_from IS NOT NULL FROM mood WHERE record_id = 'b'") == [(True,)]


def test_another_prompt_asks_only_what_is_outdated_or_missing(pipeline: Pipeline) -> None:
    write_notes(pipeline, 2)
    run(pipeline, planned(pipeline))
    other = BatchTask(name="mood", records="FROM notes", prompt="Note: {text}", answer=Mood, partitions=None)
    assert planned(pipeline, other).records == 0
    assert planned(pipeline, other, Selection(which="missing")).records == 0
    job = planned(pipeline, other, Selection(which="outdated"))
    assert job.records == 2
    run(pipeline, job)
    assert planned(pipeline, other, Selection(which="outdated")).records == 0


def test_force_buys_again(pipeline: Pipeline, books: Books) -> None:
    write_notes(pipeline, 2)
    run(pipeline, planned(pipeline))
    job = planned(pipeline, mood, Selection(which="all"), force=True)
    assert job.requests == 2
    run(pipeline, job)
    assert books.lines_executed == 4


def test_a_call_that_is_repeated_finds_its_job(pipeline: Pipeline, books: Books) -> None:
    write_notes(pipeline, 2)
    first = planned(pipeline, key="tonight")
    second = planned(pipeline, key="tonight")
    assert first.job_id == second.job_id
    run(pipeline, second)
    assert books.lines_executed == 2


def test_what_another_job_has_in_flight_is_waited_for_and_not_sent(pipeline: Pipeline, books: Books) -> None:
    write_notes(pipeline, {"a": "one", "b": "two"})
    first = planned(pipeline)
    write_notes(pipeline, {"a": "one", "b": "two", "c": "two", "d": "four"})
    second = planned(pipeline)
    assert (second.waiting, second.requests) == (3, 1)
    run(pipeline, first)
    assert run(pipeline, second).outcomes == {"answered": 4}
    assert books.lines_executed == 3


def test_what_was_waited_for_goes_again_if_no_answer_came(pipeline: Pipeline, books: Books) -> None:
    books.order({"kind": "rows", "status": 500, "times": 1})
    write_notes(pipeline, {"a": "one"})
    first = planned(pipeline)
    write_notes(pipeline, {"b": "one"})
    second = planned(pipeline)
    assert second.waiting == 1
    states = [run(pipeline, first), run(pipeline, second)]
    assert [state.outcomes for state in states] == [{"answered": 1}, {"answered": 1}]
    assert books.lines_executed == 2


def test_two_plans_of_the_same_records_at_once_send_each_request_once(pipeline: Pipeline, books: Books) -> None:
    write_notes(pipeline, 50)
    made: list[jobs.Job] = []
    threads = [threading.Thread(target=lambda: made.append(planned(pipeline))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(job.requests for job in made) == 50
    submit(pipeline, "local")
    for job in made:
        assert run(pipeline, job).outcomes == {"answered": 50}
    assert books.lines_executed == 50


def test_a_plan_whose_process_died_holds_nothing(pipeline: Pipeline) -> None:
    write_notes(pipeline, 2)
    dead = jobs.Job("mood-dead", "k", "mood-dead", "mood", "local", "m", "{}", planner="gone")
    pipeline.folder("mood-dead").make()
    with pipeline.ledger.begin() as db:
        jobs.open_job(db, dead)
        db.exec_driver_sql("INSERT INTO inflight VALUES ('f', 'mood-dead', 'x')")
    abandon_dead_plans(pipeline)
    assert inflight(pipeline) == 0
    with pipeline.ledger.read() as db:
        assert jobs.newest(db) == []


def test_a_plan_that_is_under_way_is_not_abandoned(pipeline: Pipeline) -> None:
    wanted = jobs.Job("mood-live", "k", "mood-live", "mood", "local", "m", "{}")
    with planning(pipeline, wanted):
        abandon_dead_plans(pipeline)
        with pipeline.ledger.read() as db:
            assert [job.job_id for job in jobs.newest(db)] == ["mood-live"]


def test_a_full_disk_leaves_no_job_and_no_file(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    write_notes(pipeline, 3)
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(PipelineError, match="disk is full"):
        planned(pipeline)
    monkeypatch.undo()
    assert [path for path in (pipeline.data_dir / "batches").rglob("*") if path.is_file()] == []
    assert inflight(pipeline) == 0
    assert planned(pipeline).requests == 3


@pytest.mark.parametrize("last", range(0, 20, 3))
def test_a_prompt_that_fails_in_the_middle_leaves_nothing_taken(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, last: int
) -> None:
    """Whatever was being taken meanwhile, by another thread."""
    monkeypatch.setattr("batch_pipeline.batches.requests.prepared.CHUNK", 2)
    write_notes(pipeline, {f"{number:02}": f"note {number}" for number in range(20)})

    threads = threading.active_count()

    def text_until(record: Record) -> str:
        if str(record["record_id"]) > f"{last:02}":
            raise ZeroDivisionError
        return str(record["text"])

    with pytest.raises(ZeroDivisionError):
        planned(pipeline, replace(mood, prompt=text_until))
    assert inflight(pipeline) == 0
    assert threading.active_count() == threads
    with pipeline.ledger.read() as db:
        assert jobs.newest(db) == []
    assert planned(pipeline).requests == 20


def test_nothing_is_planned_where_the_pipeline_is_switched_off(make_pipeline: Callable[..., Pipeline]) -> None:
    pipeline = make_pipeline(enabled=False)
    write_notes(pipeline, 1)
    with pytest.raises(Disabled, match="ENABLED"):
        planned(pipeline)


def test_a_model_without_a_price_is_refused_by_name(make_pipeline: Callable[..., Pipeline]) -> None:
    pipeline = make_pipeline(OPENAI_API_KEY="k")
    write_notes(pipeline, 1)
    with pytest.raises(UnpricedModel, match="no-such-model"):
        planned(pipeline, provider="openai", model="no-such-model")


@pytest.mark.parametrize(
    ("records", "says"),
    [
        ("FROM nowhere", "nowhere"),
        ("SELECT record_id FROM notes", "no column `text`.*They have: record_id"),
        ("SELECT 'x' AS record_id, text FROM notes", "'x' more than once"),
        ("SELECT NULL AS record_id, text FROM notes", "not at all"),
    ],
)
def test_wrong_records_are_said_with_the_columns_that_are_there(pipeline: Pipeline, records: str, says: str) -> None:
    write_notes(pipeline, 2)
    task = BatchTask(name="mood", records=records, prompt="{text}", answer=Mood, partitions=None)
    with pytest.raises(InvalidTask, match=f"(?s){says}"):
        plan(pipeline, Order(task))
    with pipeline.ledger.read() as db:
        assert jobs.newest(db) == []


def test_a_filter_that_the_records_have_no_column_for_is_refused(pipeline: Pipeline) -> None:
    write_notes(pipeline, 1)
    with pytest.raises(InvalidSelection, match="no such column"):
        planned(pipeline, selection=Selection(repo="a/b"))


def test_files_and_folders_are_the_owners_alone(pipeline: Pipeline) -> None:
    write_notes(pipeline, 1)
    folder: Path = pipeline.folder(planned(pipeline).job_id).path
    assert folder.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())


def asks_for_more(record: Record) -> str:
    """Reads a column that the notes have not."""
    return f"{record['text']} {record['author']}"


def test_a_prompt_function_that_reads_a_column_that_is_not_there_is_named(pipeline: Pipeline) -> None:
    write_notes(pipeline, 1)
    with pytest.raises(InvalidTask, match="Task `mood`: its prompt reads a column 'author', and its records have: "):
        planned(pipeline, replace(mood, prompt=asks_for_more))
