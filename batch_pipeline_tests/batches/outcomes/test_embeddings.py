"""Embeddings: many inputs in a request, each bought once, and each with an outcome of its own."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from struct import pack

from hypothesis import given, settings
from hypothesis import strategies as st

from batch_pipeline.batches.outcomes.embeddings import EmbeddingJudge
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.requests.asking import PACK_INPUTS, PACK_TOKENS, packs
from batch_pipeline.batches.requests.request_files import Input
from batch_pipeline.tasks import BatchTask
from batch_pipeline.warehouse.neighbours import embedded, nearest
from batch_pipeline.wire.lines import parse_output_line
from batch_pipeline_tests.batches.chain import batches_of, planned, query, run, write_notes
from batch_pipeline_tests.books import Books

vectors = BatchTask(
    name="vectors",
    records="FROM notes",
    prompt="{text}",
    answer=list[float],
    endpoint="embeddings",
    partitions=None,
)


def test_many_inputs_go_in_one_request_and_each_has_its_row(pipeline: Pipeline, books: Books) -> None:
    write_notes(pipeline, 600)
    job = planned(pipeline, vectors)
    assert (job.records, job.requests) == (600, 3)
    now = run(pipeline, job)
    assert now.outcomes == {"answered": 600}
    assert books.lines_executed == 3
    assert query(pipeline, "SELECT count(DISTINCT record_id), min(len(embedding)) > 0 FROM vectors") == [(600, True)]
    rows = query(pipeline, "SELECT position, count(*) FROM request_records GROUP BY ALL HAVING count(*) > 3")
    assert rows == []
    # the provider counts a request's tokens, and they are shared out among its inputs
    (batch,) = batches_of(pipeline, job)
    assert batch.usage is not None
    total = query(pipeline, "SELECT sum(input_tokens) FROM batch_results")
    assert total == [(batch.usage["input_tokens"],)]


def test_equal_texts_are_bought_once_and_more_texts_buy_only_what_is_new(pipeline: Pipeline, books: Books) -> None:
    write_notes(pipeline, {"a": "same", "b": "same", "c": "other"})
    assert run(pipeline, planned(pipeline, vectors)).outcomes == {"answered": 3}
    write_notes(pipeline, {"z": "other", "y": "new", "x": "same"})
    job = planned(pipeline, vectors)
    assert (job.records, job.reused, job.requests) == (3, 2, 1)
    assert run(pipeline, job).outcomes == {"answered": 3}
    assert query(pipeline, "SELECT sum(input_tokens > 0) FROM batch_requests") == [(3,)]
    same = "SELECT count(DISTINCT embedding) FROM vectors WHERE record_id IN ('a', 'b', 'x')"
    assert query(pipeline, same) == [(1,)]


def test_what_is_in_flight_elsewhere_is_waited_for_input_by_input(pipeline: Pipeline, books: Books) -> None:
    write_notes(pipeline, {"a": "one", "b": "two"})
    first = planned(pipeline, vectors)
    write_notes(pipeline, {"b": "two", "c": "three"})
    second = planned(pipeline, vectors)
    assert (second.waiting, second.requests) == (1, 1)
    run(pipeline, first)
    assert run(pipeline, second).outcomes == {"answered": 2}
    assert query(pipeline, "SELECT count(*) FROM batch_requests") == [(3,)]


def test_an_input_that_is_refused_costs_itself_alone(pipeline: Pipeline, books: Books) -> None:
    write_notes(pipeline, {"a": "fine", "b": "long " * 9_000, "c": "fine too", "d": " "})
    job = planned(pipeline, vectors)
    assert job.requests == 2  # the long one goes alone
    assert run(pipeline, job).outcomes == {"answered": 2, "failed": 2}
    codes = query(pipeline, "SELECT error_code FROM batch_results WHERE outcome = 'failed' ORDER BY ALL")
    assert ("empty_input",) in codes


def test_a_request_that_fails_sends_its_inputs_again_one_by_one(pipeline: Pipeline, books: Books) -> None:
    write_notes(pipeline, 5)
    job = planned(pipeline, vectors)
    books.order({"kind": "rows", "status": 400, "code": "invalid_request", "message": "one of them is no text"})
    assert run(pipeline, job).outcomes == {"answered": 5}
    assert books.lines_executed == 1 + 5


def test_an_expired_batch_keeps_what_was_embedded(make_pipeline: Callable[..., Pipeline], books: Books) -> None:
    pipeline = make_pipeline()
    write_notes(pipeline, PACK_INPUTS + 10)
    job = planned(pipeline, vectors)
    books.order({"kind": "expire", "after": 1})
    assert run(pipeline, job).outcomes == {"answered": PACK_INPUTS + 10}
    assert books.lines_executed == 1 + 10


def test_a_file_holds_no_more_inputs_than_the_provider_takes(make_pipeline: Callable[..., Pipeline]) -> None:
    pipeline = make_pipeline(max_requests=300)
    write_notes(pipeline, 1_000)
    job = planned(pipeline, vectors)
    index = pipeline.folder(job.job_id).request_index
    batches = f"SELECT count(*) AS inputs FROM read_parquet('{index}') GROUP BY batch"
    assert query(pipeline, f"SELECT sum(inputs), max(inputs) <= 300 FROM ({batches})") == [(1_000, True)]
    assert run(pipeline, job).outcomes == {"answered": 1_000}


def test_an_embedding_of_the_wrong_size_is_invalid_and_goes_again(pipeline: Pipeline, books: Books) -> None:
    write_notes(pipeline, {"a": "one", "b": "two"})
    job = planned(pipeline, vectors)
    books.order({"kind": "embeddings", "damage": "size"})
    assert run(pipeline, job).outcomes == {"answered": 2}
    said = query(pipeline, "SELECT record_id, error_message FROM batch_items WHERE status = 'invalid'")
    assert len(said) == 1
    assert "numbers, and" in str(said[0][1])
    # what is there already says what is wanted, whatever comes first
    write_notes(pipeline, {"c": "three"})
    third = planned(pipeline, vectors)
    books.order({"kind": "embeddings", "damage": "size", "times": None})
    assert run(pipeline, third).outcomes == {"invalid": 1}


def test_an_embedding_that_is_missing_from_its_reply_goes_again(pipeline: Pipeline, books: Books) -> None:
    write_notes(pipeline, {"a": "one", "b": "two"})
    job = planned(pipeline, vectors)
    books.order({"kind": "embeddings", "damage": "missing"})
    assert run(pipeline, job).outcomes == {"answered": 2}
    assert books.lines_executed == 2


def test_shuffled_embeddings_reach_the_inputs_they_are_of(pipeline: Pipeline, books: Books) -> None:
    write_notes(pipeline, 20)
    books.order({"kind": "embeddings", "damage": "shuffled"})
    run(pipeline, planned(pipeline, vectors))
    shuffled = query(pipeline, "SELECT record_id, embedding FROM vectors_latest ORDER BY record_id")
    run(pipeline, planned(pipeline, vectors, force=True))
    assert query(pipeline, "SELECT record_id, embedding FROM vectors_latest ORDER BY record_id") == shuffled


def test_neighbours_are_of_one_model_and_the_nearest_first(pipeline: Pipeline) -> None:
    notes = {"a": "the server crashes on start", "b": "the server crashes on start up", "c": "please add a dark theme"}
    write_notes(pipeline, notes)
    run(pipeline, planned(pipeline, vectors))
    with pipeline.warehouse.read() as connection:
        found = embedded(connection, "vectors", "a")
        assert found is not None
        near = nearest(connection, "vectors", found, limit=5, everywhere=False)
        assert embedded(connection, "vectors", "nobody") is None
    assert [each.record_id for each in near] == ["b", "c"]
    assert near[0].similarity > near[1].similarity
    assert query(pipeline, "SELECT record_id, duplicate_of FROM vectors_duplicates WHERE similarity > 1.1") == []


def reply(*vectors_: object, tokens: int = 10) -> bytes:
    data = [{"index": n, "embedding": vector} for n, vector in enumerate(vectors_)]
    body = {"data": data, "usage": {"prompt_tokens": tokens}}
    return json.dumps({"custom_id": "a", "response": {"status_code": 200, "body": body}, "error": None}).encode()


def judged(raw: bytes, inputs: list[tuple[str, int]], dimensions: int | None = None) -> list[tuple[str, str, int]]:
    line = parse_output_line(raw)
    assert line is not None
    return [
        (name, result.outcome, result.usage.input_tokens)
        for name, result in EmbeddingJudge({"a": inputs}, dimensions)(line)
    ]


def test_base64_and_lists_are_the_same_and_what_is_wrong_is_that_input_s() -> None:
    asked = [("a", 1), ("b", 1), ("c", 2), ("d", 1)]
    base64 = b64encode(pack("<2f", 0.5, 1.0)).decode()
    outcomes = judged(reply(base64, [0.5, 1.0], [0.5], tokens=10), asked)
    assert [(name, outcome) for name, outcome, _ in outcomes] == [
        ("a", "answered"),
        ("b", "answered"),
        ("c", "invalid"),
        ("d", "invalid"),
    ]
    not_finite = b64encode(pack("<2f", float("nan"), 1.0)).decode()
    assert [outcome for _, outcome, _ in judged(reply("no base64!", not_finite), asked[:2])] == ["invalid", "invalid"]
    assert judged(reply([0.1] * 3), asked[:1], dimensions=4)[0][1] == "invalid"
    first_is_wrong = judged(reply([0.1], [0.1] * 3, [0.1] * 3), asked[:3])
    assert [outcome for _, outcome, _ in first_is_wrong] == ["invalid", "answered", "answered"]


@given(total=st.integers(0, 10_000), weights=st.lists(st.integers(0, 500), min_size=1, max_size=50))
@settings(max_examples=60, deadline=None)
def test_the_tokens_of_a_request_are_shared_out_whole(total: int, weights: list[int]) -> None:
    inputs = [("a" if n == 0 else f"i{n}", weight) for n, weight in enumerate(weights)]
    shares = [share for _, _, share in judged(reply(*[[1.0]] * len(weights), tokens=total), inputs)]
    assert sum(shares) == total
    assert min(shares) >= 0


@given(st.lists(st.integers(0, 9_000), max_size=600))
@settings(max_examples=60, deadline=None)
def test_packs_hold_every_input_once_in_order_within_the_limits(tokens: list[int]) -> None:
    inputs = [Input(f"i{n}", f"f{n}", count) for n, count in enumerate(tokens)]
    groups = list(packs(inputs))
    assert sorted(each.custom_id for group in groups for each in group) == sorted(each.custom_id for each in inputs)
    for group in groups:
        assert 0 < len(group) <= PACK_INPUTS
        assert sum(each.input_tokens for each in group) <= PACK_TOKENS or len(group) == 1
