from __future__ import annotations

import asyncio
import sqlite3
from base64 import b64decode
from pathlib import Path
from typing import cast

import numpy as np
import openai
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from openai.types import Batch

from batch_pipeline.local_server import LocalServerOptions, start, validation
from batch_pipeline.local_server.embeddings import EMBEDDINGS
from batch_pipeline.local_server.engines.base import Request, answer_one
from batch_pipeline.local_server.engines.counting import decoded
from batch_pipeline.local_server.engines.hashing import AT_ONCE, hashed_vectors
from batch_pipeline.local_server.engines.simulated import Simulated
from batch_pipeline.local_server.rows import InputLines, RowFiles
from batch_pipeline_tests.local_server.account import Account, Json

SMALL = "text-embedding-3-small"


def test_the_official_client_reads_the_embeddings_it_asks_for(account: Account) -> None:
    """It asks for base64 unless it is told otherwise."""
    texts = ["The rollback fails", "Colours of the legend"]
    by_base64 = account.client.embeddings.create(model=SMALL, input=texts)
    by_list = account.client.embeddings.create(model=SMALL, input=texts, encoding_format="float")
    assert [row.index for row in by_base64.data] == [0, 1]
    assert [len(row.embedding) for row in by_base64.data] == [1536, 1536]
    assert by_base64.model == "text-embedding-3-small-simulated"
    assert by_base64.usage.to_dict() == {"prompt_tokens": 8, "total_tokens": 8}
    for one, other in zip(by_base64.data, by_list.data, strict=True):
        assert one.embedding == pytest.approx(other.embedding, abs=1e-7)
        assert np.linalg.norm(one.embedding) == pytest.approx(1)


@pytest.mark.parametrize(
    ("given", "count"), [("A text", 1), (["A text"] * 3, 3), ([1820, 1495], 1), ([[1820, 1495], [1820]], 2)]
)
def test_inputs_are_texts_or_token_ids_one_or_many(account: Account, given: object, count: int) -> None:
    said = account.http.post(EMBEDDINGS, json={"model": SMALL, "input": given, "dimensions": 8}).json()
    assert [len(row["embedding"]) for row in said["data"]] == [8] * count
    assert said["object"] == "list"
    assert {row["object"] for row in said["data"]} == {"embedding"}


@pytest.mark.parametrize(
    ("model", "dimensions", "size"),
    [
        (SMALL, None, 1536),
        (SMALL, 512, 512),
        ("text-embedding-3-large", None, 3072),
        ("simulated", None, 256),
        ("simulated", 4096, 4096),
        ("smollm2-135m", None, 576),
        ("smollm2-135m", 576, 576),
    ],
)
def test_sizes_are_those_of_the_model(account: Account, model: str, dimensions: int | None, size: int) -> None:
    wanted = openai.omit if dimensions is None else dimensions
    said = account.client.embeddings.create(model=model, input="x", dimensions=wanted)
    assert len(said.data[0].embedding) == size


INVALID = "'$.input' is invalid. Please check the API reference"
REFUSED: list[tuple[Json, str]] = [
    ({"input": ""}, "Invalid 'input': input cannot be an empty string."),
    ({"input": ["a", ""]}, "Invalid 'input[1]': input cannot be an empty string."),
    ({"input": []}, INVALID),
    ({"input": [[]]}, INVALID),
    ({"input": [1, "a"]}, INVALID),
    ({"input": [-1]}, INVALID),
    ({"input": 5}, INVALID),
    ({}, "Missing required parameter: 'input'."),
    ({"input": "a", "model": ""}, "you must provide a model parameter"),
    ({"input": ["a"] * 2049}, "Invalid 'input': array length must be 2048 or less."),
    ({"input": ["a", "word " * 8193]}, "Invalid 'input[1]': maximum input length is 8192 tokens."),
    ({"input": [[1] * 8193]}, "Invalid 'input[0]': maximum input length is 8192 tokens."),
    ({"input": [[1] * 8000] * 38}, "Invalid 'input': maximum request size is 300000 tokens per request."),
    ({"input": "a", "dimensions": 1537}, "Must be less than or equal to 1536"),
    ({"input": "a", "dimensions": 0}, "Must be greater than 0"),
    ({"input": "a", "dimensions": "8"}, "Invalid type for 'dimensions': expected an integer, but got a string"),
    ({"input": "a", "model": "text-embedding-ada-002", "dimensions": 8}, "does not support specifying dimensions"),
    ({"input": "a", "encoding_format": "int8"}, "Invalid value: 'int8'. Supported values are: 'float' and 'base64'."),
]


@pytest.mark.parametrize(("change", "words"), REFUSED)
def test_what_the_provider_refuses_is_refused_in_its_words(account: Account, change: Json, words: str) -> None:
    answer = account.http.post(EMBEDDINGS, json={"model": SMALL, **change})
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_what_is_just_within_the_limits_is_embedded(account: Account) -> None:
    for body in ({"input": ["a"] * 2048, "dimensions": 8}, {"input": [[1] * 8192] * 36, "dimensions": 8}):
        assert account.http.post(EMBEDDINGS, json={"model": SMALL, **body}).status_code == 200


def test_a_batch_of_embeddings_is_answered_line_by_line_and_booked(account: Account) -> None:
    inputs: dict[str, object] = {"one": "A text", "three": ["A text", "Another", "One more"], "empty": ["a", ""]}
    batch = _run(account, inputs)
    assert (batch.status, batch.endpoint, batch.model) == ("completed", EMBEDDINGS, SMALL)
    bodies = _bodies(account, batch)
    assert {name: [row["index"] for row in _data(body)] for name, body in bodies.items()} == {
        "one": [0],
        "three": [0, 1, 2],
    }
    assert all(vector.shape == (8,) for body in bodies.values() for vector in _vectors(body))
    (error,) = [orjson.loads(line) for line in account.raw(batch.error_file_id).splitlines()]
    assert (error["custom_id"], error["response"]["status_code"]) == ("empty", 400)
    tokens = sum(cast("dict[str, int]", body["usage"])["prompt_tokens"] for body in bodies.values())
    assert batch.usage
    assert (batch.usage.input_tokens, batch.usage.output_tokens, batch.usage.total_tokens) == (tokens, 0, tokens)
    booked = account.booked(batch.id)
    assert (booked["lines_executed"], booked["inputs_embedded"], booked["input_tokens"]) == (3, 4, tokens)


@pytest.mark.parametrize(("count", "fails"), [(50_000, False), (50_001, True)])
def test_a_batch_of_more_inputs_than_50_000_fails(tmp_path: Path, count: int, fails: bool) -> None:
    path = tmp_path / "in.jsonl"
    inputs = [["a"] * 25_000, ["a"] * (count - 25_002), "a", [1, 2]]
    path.write_bytes(b"".join(orjson.dumps(_line(str(n), each)) + b"\n" for n, each in enumerate(inputs)))
    errors = validation.validate_input(path, EMBEDDINGS).errors
    words = "The batch input file contains more than 50000 embedding inputs."
    assert [(error.code, error.message, error.line) for error in errors] == [("too_many_tasks", words, None)] * fails


def test_a_line_without_an_input_fails_the_batch(account: Account) -> None:
    line = _line("a", "x")
    cast(Json, line["body"]).pop("input")
    errors = account.ended(_create(account, [line]).id).errors
    assert errors
    assert [(error.code, error.param) for error in errors.data or []] == [("invalid_request", "body.input")]


@pytest.mark.parametrize("form", ["float", "base64"])
def test_embeddings_of_chosen_rows_are_damaged(account: Account, form: str) -> None:
    inputs: dict[str, object] = {name: ["A text", "Another", name] for name in ("r1", "r2", "r3", "r4")}
    whole = _bodies(account, _run(account, inputs, form))
    account.order(
        {"kind": "embeddings", "damage": "size", "custom_id": "r1"},
        {"kind": "embeddings", "damage": "missing", "custom_id": "r2"},
        {"kind": "embeddings", "damage": "shuffled", "every": 3},
    )
    bodies = _bodies(account, _run(account, inputs, form))
    assert [vector.shape for vector in _vectors(bodies["r1"])] == [(8,), (8,), (7,)]
    assert [row["index"] for row in _data(bodies["r2"])] == [0, 1]
    assert [row["index"] for row in _data(bodies["r3"])] == [2, 1, 0]
    assert [v.tolist() for v in _vectors(bodies["r3"])] == [v.tolist() for v in _vectors(whole["r3"])][::-1]
    assert bodies["r4"] == whole["r4"]


def test_a_state_from_before_there_were_embeddings_is_taken_over(tmp_path: Path) -> None:
    with start(LocalServerOptions(port=0, state_dir=tmp_path)):
        pass
    database = sqlite3.connect(tmp_path / "server.db", isolation_level=None)
    database.execute("ALTER TABLE books DROP COLUMN inputs_embedded")
    database.close()
    with start(LocalServerOptions(port=0, state_dir=tmp_path)) as server, Account(server, "key") as account:
        assert account.booked(_run(account, {"a": ["x", "y"]}).id)["inputs_embedded"] == 2


def test_an_upstream_is_asked_and_its_inputs_are_counted(account: Account, tmp_path: Path) -> None:
    options = LocalServerOptions(
        engine="upstream", port=0, state_dir=tmp_path, upstream_url=account.server.url, upstream_key="key"
    )
    with start(options) as server, Account(server, "key") as front:
        batch = _run(front, {"a": ["x", "y"], "b": ""})
        assert [vector.shape for vector in _vectors(_bodies(front, batch)["a"])] == [(8,), (8,)]
        booked = front.booked(batch.id)
        assert (booked["lines_executed"], booked["inputs_embedded"]) == (2, 2)


def test_token_ids_that_are_none_are_left_out() -> None:
    """bpe-openai 0.1.4 ends the process when it is given one."""
    assert decoded([15339, 10**8, 1917], SMALL) == "hello world"
    assert decoded([9468], SMALL) == ""


def test_rows_that_are_there_after_a_restart_count_their_inputs(tmp_path: Path) -> None:
    paths = tmp_path / "output", tmp_path / "errors"
    lines = [Request(name, EMBEDDINGS, {"model": SMALL, "input": ["x", name]}) for name in "ab"]
    with RowFiles(*paths, EMBEDDINGS) as rows:
        rows.write([asyncio.run(answer_one(Simulated(), line)) for line in lines])
        before = rows.progress
    with RowFiles(*paths, EMBEDDINGS) as rows:
        assert rows.progress == before
        assert rows.progress.inputs == 4


def test_large_lines_are_read_a_few_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"".join(orjson.dumps(_line(str(n), "x" * 3_000_000)) + b"\n" for n in range(5)))
    lines = InputLines(path, without=set())
    assert [len(lines.next(100)) for _ in range(4)] == [2, 2, 1, 0]
    lines.close()


TEXTS = st.lists(st.text(min_size=1) | st.lists(st.integers(0, 200_000), min_size=1), min_size=1, max_size=AT_ONCE + 3)


@settings(deadline=None)
@given(TEXTS, st.sampled_from([1, 8, 256]))
def test_a_vector_follows_from_its_text_alone_and_has_length_1(inputs: list[str | list[int]], dimensions: int) -> None:
    vectors = hashed_vectors(inputs, dimensions)
    assert vectors.shape == (len(inputs), dimensions)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    for vector, each in zip(vectors, inputs, strict=True):
        assert vector.tolist() == hashed_vectors([each], dimensions)[0].tolist()


def test_texts_that_share_words_are_near_whatever_their_case_and_length() -> None:
    texts = [
        'Rollback fails with "not in state standby"',
        "ROLLBACK aborts: not in state standby. " + "The release is still draining, and nothing else is said. " * 3,
        "The colours of the legend can't be changed",
        "プロファイル名に日本語を使うと失敗する",
        "日本語のプロファイル名で失敗する",
    ]
    assert hashed_vectors([texts[0]], 64).tolist() == hashed_vectors([texts[0].upper()], 64).tolist()
    vectors = hashed_vectors(texts, 1536)
    cosines = vectors @ vectors.T - 2 * np.eye(5)
    assert cosines.argmax(axis=1)[[0, 1, 3, 4]].tolist() == [1, 0, 4, 3]
    assert cosines[0, 1] > 0.2
    assert cosines[0, 2] < 0.1


def _line(custom_id: str, given: object, form: str = "base64") -> Json:
    body = {"model": SMALL, "input": given, "dimensions": 8, "encoding_format": form}
    return {"custom_id": custom_id, "method": "POST", "url": EMBEDDINGS, "body": body}


def _create(account: Account, lines: list[Json]) -> Batch:
    return account.client.batches.create(
        input_file_id=account.upload(lines), endpoint="/v1/embeddings", completion_window="24h"
    )


def _run(account: Account, inputs: dict[str, object], form: str = "base64") -> Batch:
    return account.ended(_create(account, [_line(name, each, form) for name, each in inputs.items()]).id)


def _bodies(account: Account, batch: Batch) -> dict[str, Json]:
    rows = map(orjson.loads, account.raw(batch.output_file_id).splitlines())
    return {row["custom_id"]: row["response"]["body"] for row in rows}


def _data(body: Json) -> list[Json]:
    return cast("list[Json]", body["data"])


def _vectors(body: Json) -> list[NDArray[np.float32]]:
    return [
        np.frombuffer(b64decode(given), "<f4") if isinstance(given := row["embedding"], str) else np.array(given, "<f4")
        for row in _data(body)
    ]
