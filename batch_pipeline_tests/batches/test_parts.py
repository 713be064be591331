"""Records of several parts: a request for each, one row for all, and what can't be asked about named."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import cast

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.requests.custom_id import custom_id
from batch_pipeline.batches.retry import retry
from batch_pipeline.batches.turn import submit_job, take_turn
from batch_pipeline.tasks import BatchTask, Record, Text, UnusableRecord
from batch_pipeline_tests.batches.chain import Mood, planned, query, run
from batch_pipeline_tests.books import Books


def of_line(record: Record) -> list[Text]:
    """Asks about one line of a letter."""
    line = cast(str, record["lines"])
    if line == "illegible":
        raise UnusableRecord("illegible", f"line {record['part']} of `{record['record_id']}` can't be read")
    return [Text("Is this line glad or sad?"), Text(line)]


letters = BatchTask(
    name="letters",
    records="FROM letters_in",
    prompt=of_line,
    uses=("lines",),
    each="lines",
    answer=Mood,
    max_output_tokens=20,
    partitions=None,
)


def write_letters(pipeline: Pipeline, letters: Mapping[str, Sequence[str]]) -> None:
    with pipeline.warehouse.write() as connection:
        connection.execute("CREATE OR REPLACE TABLE letters_in (record_id VARCHAR, lines VARCHAR[])")
        for name, lines in letters.items():
            connection.execute("INSERT INTO letters_in VALUES (?, ?)", [name, list(lines)])


def parts_of(pipeline: Pipeline) -> dict[str, list[int]]:
    """The parts that each row has answers of; there is one row a letter."""
    rows = query(pipeline, "SELECT record_id, list_transform(answers, a -> a.part) FROM letters")
    found = cast("list[tuple[str, list[int]]]", rows)
    assert len(dict(found)) == len(found)
    return dict(found)


def test_each_part_is_a_request_and_the_answers_stand_in_one_row(pipeline: Pipeline, books: Books) -> None:
    write_letters(pipeline, {"one": ["hello", "goodbye", "thanks"], "two": ["hello again"]})
    job = planned(pipeline, letters)
    assert (job.selected, job.records, job.requests) == (2, 4, 4)
    now = run(pipeline, job)
    assert now.outcomes == {"answered": 4}
    assert parts_of(pipeline) == {"one": [0, 1, 2], "two": [0]}
    assert query(pipeline, "SELECT DISTINCT answers[1].label IN ('glad', 'sad') FROM letters") == [(True,)]
    assert books.lines_executed == 4
    again = planned(pipeline, letters)
    assert (again.records, again.skipped) == (0, 2)


def test_parts_that_lie_in_several_files_meet_in_one_row(make_pipeline: Callable[..., Pipeline]) -> None:
    pipeline = make_pipeline(max_requests=2)
    write_letters(pipeline, {"one": ["a", "b", "c", "d", "e"], "two": ["f", "g"]})
    job = planned(pipeline, letters)
    assert run(pipeline, job).outcomes == {"answered": 7}
    assert parts_of(pipeline) == {"one": [0, 1, 2, 3, 4], "two": [0, 1]}
    assert query(pipeline, "SELECT count(*) FROM request_records") == [(7,)]


def test_equal_parts_are_bought_once(pipeline: Pipeline, books: Books) -> None:
    write_letters(pipeline, {"one": ["same", "same"], "two": ["same", "other"]})
    assert run(pipeline, planned(pipeline, letters)).outcomes == {"answered": 4}
    assert books.lines_executed == 2
    assert parts_of(pipeline) == {"one": [0, 1], "two": [0, 1]}
    write_letters(pipeline, {"three": ["other", "new", "same"]})
    assert run(pipeline, planned(pipeline, letters)).outcomes == {"answered": 3}
    assert books.lines_executed == 3
    assert parts_of(pipeline)["three"] == [0, 1, 2]


def test_a_part_that_is_answered_later_joins_the_others(pipeline: Pipeline, books: Books) -> None:
    write_letters(pipeline, {"one": ["a", "b", "c"]})
    job = planned(pipeline, letters)
    books.order({"kind": "rows", "status": 500, "code": "server_error", "custom_id": custom_id("one", 1)})
    submit_job(pipeline, job.job_id)
    while not parts_of_or_none(pipeline):
        take_turn(pipeline, job.job_id)
    assert len(parts_of(pipeline)["one"]) == 2
    run(pipeline, job)
    assert parts_of(pipeline) == {"one": [0, 1, 2]}
    assert query(pipeline, "SELECT count(*) FROM letters_latest") == [(1,)]


def parts_of_or_none(pipeline: Pipeline) -> dict[str, list[int]]:
    known = query(pipeline, "SELECT 1 FROM duckdb_tables() WHERE table_name = 'letters'")
    return parts_of(pipeline) if known else {}


def test_what_cant_be_asked_about_is_an_outcome_and_is_not_asked_again(pipeline: Pipeline, books: Books) -> None:
    write_letters(pipeline, {"one": ["a", "illegible"], "two": ["illegible"], "three": [], "four": ["d"]})
    job = planned(pipeline, letters)
    now = run(pipeline, job)
    assert now.outcomes == {"answered": 2, "failed": 3}
    assert parts_of(pipeline) == {"one": [0], "four": [0]}
    accounted_parts = query(pipeline, "SELECT count(*) FROM batch_items")
    assert accounted_parts == [(5,)]
    said = query(pipeline, "SELECT error_code, error_message FROM batch_results WHERE outcome = 'failed' ORDER BY ALL")
    assert said == [
        ("illegible", "line 0 of `two` can't be read"),
        ("illegible", "line 1 of `one` can't be read"),
        ("no_parts", "its column `lines` holds nothing to ask about"),
    ]
    assert retry(pipeline, job.job_id) is None
    assert planned(pipeline, letters).records == 0
    write_letters(pipeline, {"two": ["legible now"]})
    assert run(pipeline, planned(pipeline, letters)).outcomes == {"answered": 1}


def test_force_asks_for_every_part_again(pipeline: Pipeline, books: Books) -> None:
    write_letters(pipeline, {"one": ["a", "b"]})
    run(pipeline, planned(pipeline, letters))
    assert run(pipeline, planned(pipeline, letters, force=True)).outcomes == {"answered": 2}
    assert books.lines_executed == 4
    assert query(pipeline, "SELECT len(answers) FROM letters_latest") == [(2,)]


def test_answers_of_text_stand_in_parts_too(pipeline: Pipeline) -> None:
    write_letters(pipeline, {"one": ["a", "b"]})
    run(pipeline, planned(pipeline, replace(letters, answer=str)))
    assert query(pipeline, "SELECT len(answers), length(answers[2].text) > 0 FROM letters") == [(2, True)]


def test_every_part_has_one_result(pipeline: Pipeline) -> None:
    write_letters(pipeline, {f"letter-{n}": [f"line {n} {m}" for m in range(n)] for n in range(1, 6)})
    run(pipeline, planned(pipeline, letters))
    assert query(pipeline, "SELECT count(*), count(DISTINCT (record_id, custom_id)) FROM batch_items") == [(15, 15)]
