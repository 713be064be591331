from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from batch_pipeline.local_server import validation
from batch_pipeline_tests.local_server.account import Account, Json, request_line


def _without(name: str) -> Json:
    return {key: value for key, value in request_line("x").items() if key != name}


def _with(**change: object) -> Json:
    return request_line("x") | change


def _body(**change: object) -> Json:
    line = request_line("x")
    return line | {"body": cast(Json, line["body"]) | change}


WRONG: list[tuple[str, Json | bytes, str, str | None, str]] = [
    ("json", b"{not json", "invalid_json_line", None, "This line is not parseable as valid JSON."),
    ("custom_id", _without("custom_id"), "missing_required_parameter", "custom_id", "Missing required parameter"),
    ("method", _without("method"), "missing_required_parameter", "method", "Missing required parameter: 'method'."),
    ("url", _without("url"), "missing_required_parameter", "url", "Missing required parameter: 'url'."),
    ("body", _without("body"), "missing_required_parameter", "body", "Missing required parameter: 'body'."),
    ("other url", _with(url="/v1/responses"), "invalid_url", "url", "The URL provided for this request does not"),
    ("twice", request_line("first"), "duplicate_custom_id", "custom_id", "The custom_id for this request is"),
    ("model", _body(model="other"), "mismatched_model", "body.model", "Each batch must contain requests for"),
    ("no model", _body(model=None), "invalid_request", "body.model", "Model parameter is required."),
    ("no messages", _body(messages=None), "invalid_request", "body.messages", "Messages parameter is required."),
    ("stream", _body(stream=True), "streaming_unsupported", "body.stream", "Chat Completions: Streaming is not"),
]


def _never_was(_: Account) -> str:
    return "file-none"


def _deleted(account: Account) -> str:
    file_id = account.upload([request_line("a")])
    account.client.files.delete(file_id)
    return file_id


def _of_no_batch(account: Account) -> str:
    return account.client.files.create(file=("in.jsonl", b"{}\n"), purpose="user_data").id


GONE: list[Callable[[Account], str]] = [_never_was, _deleted, _of_no_batch]


@pytest.mark.parametrize(("line", "code", "param", "message"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_a_wrong_line_is_named(account: Account, line: Json | bytes, code: str, param: str, message: str) -> None:
    batch = account.run([request_line("first"), line])
    assert (batch.status, batch.output_file_id, batch.error_file_id) == ("failed", None, None)
    assert batch.failed_at
    assert batch.request_counts
    assert batch.request_counts.total == 0
    assert batch.errors
    assert batch.errors.data
    (error,) = batch.errors.data
    assert (error.code, error.line, error.param) == (code, 2, param)
    assert str(error.message).startswith(message)
    assert account.booked(batch.id)["lines_executed"] == 0


def test_every_wrong_line_is_named_in_order(account: Account) -> None:
    lines = [request_line("a"), b"x", request_line("b"), _body(model="other"), b"y", request_line("a")]
    errors = account.run(lines).errors
    assert errors
    assert [(error.line, error.code) for error in errors.data or []] == [
        (2, "invalid_json_line"),
        (4, "mismatched_model"),
        (5, "invalid_json_line"),
        (6, "duplicate_custom_id"),
    ]


@pytest.mark.parametrize("make", GONE)
def test_a_batch_of_a_file_that_is_not_there_fails_and_executes_nothing(
    account: Account, make: Callable[[Account], str]
) -> None:
    """The fence of docs/how-it-works.md rests on this: a POST whose file was deleted is never executed."""
    file_id = make(account)
    batch = account.create(file_id)
    assert batch.status == "validating"
    ended = account.ended(batch.id)
    assert ended.status == "failed"
    assert ended.errors
    assert ended.errors.data
    (error,) = ended.errors.data
    assert (error.code, error.param, error.line) == ("invalid_request", "file_id", None)
    words = f"Cannot find file {file_id}, or organization org-local does not have access to it."
    assert error.message == words
    assert account.booked(batch.id)["lines_executed"] == 0


def test_files_beyond_the_limits_fail(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"{}\n" * 50_001)
    assert [e.code for e in validation.validate_input(path, "/v1/responses").errors] == ["too_many_tasks"]
    with path.open("ab") as file:
        file.truncate(209_715_201)
    (error,) = validation.validate_input(path, "/v1/responses").errors
    assert (error.code, error.line) == (None, None)
    assert str(error.message).startswith("The batch input file is larger than the 209715200 maximum")
