from __future__ import annotations

import time
from collections.abc import Callable
from typing import cast

import httpx2
import openai
import orjson
import pytest

from batch_pipeline.errors import UsageError
from batch_pipeline.local_server.faults import parse_faults
from batch_pipeline_tests.local_server.account import Account, Json, request_lines

ROUTES: list[tuple[str, Callable[[Account], object]]] = [
    ("files.create", lambda a: a.upload(request_lines(1))),
    ("files.list", lambda a: a.client.files.list()),
    ("files.get", lambda a: a.client.files.retrieve("x")),
    ("files.content", lambda a: a.client.files.content("x")),
    ("files.delete", lambda a: a.client.files.delete("x")),
    ("batches.list", lambda a: a.client.batches.list()),
    ("batches.get", lambda a: a.client.batches.retrieve("x")),
    ("batches.cancel", lambda a: a.client.batches.cancel("x")),
    ("chat.create", lambda a: a.client.chat.completions.create(model="m", messages=[])),
    ("responses.create", lambda a: a.client.responses.create(model="m", input="x")),
    ("embeddings.create", lambda a: a.client.embeddings.create(model="m", input="x")),
    ("models.list", lambda a: a.client.models.list()),
    ("models.get", lambda a: a.client.models.retrieve("x")),
]


def test_a_reply_to_create_is_lost_and_the_batch_exists(account: Account) -> None:
    file_id = account.upload(request_lines(1))
    account.order({"kind": "reply_lost", "times": 2})
    for _ in range(2):
        with pytest.raises(openai.APIConnectionError):
            account.create(file_id, {"claim": "c"})
    listed = account.client.batches.list().data
    assert [batch.metadata for batch in listed] == [{"claim": "c"}, {"claim": "c"}]
    assert account.create(file_id).id not in [batch.id for batch in listed]


def test_the_official_client_pays_twice_for_a_lost_reply(account: Account) -> None:
    """What the create protocol is there for: the client repeats a POST whose reply it did not get."""
    file_id = account.upload(request_lines(1))
    account.order({"kind": "reply_lost"})
    account.client.with_options(max_retries=1).batches.create(
        input_file_id=file_id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    assert len(account.client.batches.list().data) == 2


def test_a_lost_request_does_nothing(account: Account) -> None:
    file_id = account.upload(request_lines(1))
    account.order({"kind": "request_lost"})
    with pytest.raises(openai.APIConnectionError):
        account.create(file_id)
    assert account.client.batches.list().data == []


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ({"status": 429, "headers": {"retry-after": "7"}}, openai.RateLimitError, "Rate limit reached"),
        ({"status": 500}, openai.InternalServerError, "The server had an error"),
        ({"status": 401}, openai.AuthenticationError, "Incorrect API key provided"),
        ({"status": 400, "code": "billing_hard_limit_reached", "message": "No."}, openai.BadRequestError, "No."),
        ({"status": 502, "body": "<html>Bad gateway</html>"}, openai.InternalServerError, "<html>Bad gateway"),
        ({"status": 429, "body": {"detail": "slow down"}}, openai.RateLimitError, "slow down"),
    ],
)
def test_any_status_and_body_can_be_ordered(
    account: Account, fault: Json, kind: type[openai.APIStatusError], words: str
) -> None:
    account.order({"kind": "status", "on": "batches.create", **fault})
    with pytest.raises(kind) as refused:
        account.create("file-x")
    assert words in refused.value.response.text
    assert refused.value.response.headers.get("retry-after") == cast(Json, fault.get("headers", {})).get("retry-after")
    assert account.client.batches.list().data == []
    assert account.create("file-x").status == "validating"


@pytest.mark.parametrize(("route", "ask"), ROUTES)
def test_every_route_can_fail(account: Account, route: str, ask: Callable[[Account], object]) -> None:
    account.order({"kind": "status", "on": route, "status": 503})
    with pytest.raises(openai.InternalServerError):
        ask(account)


def test_a_server_without_delete(account: Account) -> None:
    account.order({"kind": "status", "on": "files.delete", "status": 405, "times": None})
    file_id = account.upload(request_lines(1))
    for _ in range(3):
        with pytest.raises(openai.APIStatusError) as refused:
            account.client.files.delete(file_id)
        assert refused.value.status_code == 405
    assert account.raw(file_id)


def test_a_late_request_is_done_although_its_client_has_gone(account: Account) -> None:
    file_id = account.upload(request_lines(1))
    account.order({"kind": "request_late", "seconds": 0.3})
    began = time.monotonic()
    with pytest.raises(openai.APITimeoutError):
        account.client.with_options(timeout=0.05).batches.create(
            input_file_id=file_id, endpoint="/v1/chat/completions", completion_window="24h"
        )
    assert account.client.batches.list().data == []
    while not account.client.batches.list().data:
        assert time.monotonic() < began + 10
    assert time.monotonic() > began + 0.3


def test_a_late_reply_is_of_a_batch_that_exists_already(account: Account) -> None:
    file_id = account.upload(request_lines(1))
    account.order({"kind": "reply_late", "seconds": 30})
    with pytest.raises(openai.APITimeoutError):
        account.client.with_options(timeout=0.05).batches.create(
            input_file_id=file_id, endpoint="/v1/chat/completions", completion_window="24h"
        )
    assert len(account.client.batches.list().data) == 1


def test_a_listing_that_is_empty_or_fails(account: Account) -> None:
    account.create("file-x")
    account.order({"kind": "listing_empty"}, {"kind": "status", "on": "batches.list", "status": 500, "skip": 1})
    assert account.client.batches.list().data == []
    with pytest.raises(openai.InternalServerError):
        account.client.batches.list()
    assert len(account.client.batches.list().data) == 1


def test_a_new_batch_is_listed_late(account: Account) -> None:
    account.order({"kind": "listing_late", "seconds": 0.2})
    batch = account.create("file-x")
    assert account.client.batches.list().data == []
    assert account.client.batches.retrieve(batch.id).id == batch.id
    while not account.client.batches.list().data:
        assert time.time() < batch.created_at + 20


def test_a_file_is_not_visible_at_first(account: Account) -> None:
    account.order({"kind": "file_late", "seconds": 1.5})
    file_id = account.upload(request_lines(1))
    with pytest.raises(openai.NotFoundError):
        account.client.files.retrieve(file_id)
    errors = account.ended(account.create(file_id).id).errors
    assert errors
    assert str((errors.data or [])[0].message).startswith("Cannot find file")


def test_a_delete_is_confirmed_at_once_and_done_late(account: Account) -> None:
    file_id = account.upload(request_lines(1))
    account.order({"kind": "delete_late", "seconds": 0.2})
    assert account.client.files.delete(file_id).deleted
    assert account.client.files.retrieve(file_id).id == file_id
    while account.client.files.list().data:
        pass
    with pytest.raises(openai.NotFoundError):
        account.client.files.retrieve(file_id)


def test_metadata_is_dropped_and_stays_in_the_books(account: Account) -> None:
    account.order({"kind": "metadata_dropped"})
    batch = account.create("file-x", {"claim": "c"})
    assert (batch.metadata, account.ended(batch.id).metadata) == (None, None)
    assert account.booked(batch.id)["metadata"] == {"claim": "c"}


def test_a_download_is_cut_off_without_an_error(account: Account) -> None:
    batch = account.run(request_lines(10))
    account.order({"kind": "content_cut", "share": 0.6})
    whole = account.client.files.retrieve(cast(str, batch.output_file_id)).bytes
    assert len(account.raw(batch.output_file_id)) == int(whole * 0.6)
    assert len(account.raw(batch.output_file_id)) == whole


@pytest.mark.parametrize(
    ("ordered", "message"),
    [
        ({"code": "model_not_found", "line": 2}, "The provided model is not supported by the Batch API."),
        ({"code": "anything", "message": "In its own words.", "param": "body.x", "line": 2}, "In its own words."),
    ],
)
def test_any_validation_error_can_be_ordered(account: Account, ordered: Json, message: str) -> None:
    account.order({"kind": "validation", "errors": [ordered]})
    batch = account.run(request_lines(2))
    assert batch.status == "failed"
    assert batch.errors
    (error,) = batch.errors.data or []
    assert (error.code, error.line, error.message) == (ordered["code"], 2, message)


def test_a_full_queue_fails_a_batch_in_the_recorded_words(account: Account) -> None:
    limit = 150
    account.order(
        {"kind": "token_limit", "limit": limit, "times": None},
        {"kind": "slow", "stage": "in_progress", "seconds": 30},
    )
    file_id = account.upload(request_lines(1))  # about 100 tokens
    first = account.create(file_id)
    account.until(first.id, "in_progress")
    second = account.ended(account.create(file_id).id)
    assert second.errors
    (error,) = second.errors.data or []
    assert (error.code, error.param, error.line) == ("token_limit_exceeded", None, None)
    assert error.message == (
        "Enqueued token limit reached for gpt-6-luna in organization org-local. Limit: 150 enqueued tokens. "
        "Please try again once some in_progress batches have been completed."
    )
    account.client.batches.cancel(first.id)
    account.ended(first.id)
    assert account.ended(account.create(file_id).id).status == "completed"


def test_an_expired_batch_keeps_what_it_answered(account: Account) -> None:
    account.order({"kind": "expire", "after": 90})
    batch = account.run(request_lines(100))
    assert batch.status == "expired"
    assert batch.expired_at
    assert len(account.rows(batch.output_file_id)) == 90
    assert [(row.status, row.code) for row in account.rows(batch.error_file_id)] == [(None, "batch_expired")] * 10
    assert len(account.outcome(batch)) == 100
    message = orjson.loads(account.raw(batch.error_file_id).splitlines()[0])["error"]["message"]
    assert message == "This request could not be executed before the completion window expired."
    assert account.booked(batch.id)["lines_executed"] == 90


def test_chosen_rows_fail_over_http(account: Account) -> None:
    account.order(
        {"kind": "rows", "custom_id": "r1?", "every": 5, "status": 429, "code": "rate_limit_exceeded"},
        {"kind": "rows", "custom_id": "r20", "status": 400, "code": "context_length_exceeded", "message": "Too long."},
    )
    batch = account.run(request_lines(20))
    assert batch.status == "completed"
    assert batch.request_counts
    assert batch.request_counts.to_dict() == {"total": 20, "completed": 17, "failed": 3}
    assert {row.custom_id: (row.status, row.code) for row in account.rows(batch.error_file_id)} == {
        "r10": (429, "rate_limit_exceeded"),
        "r15": (429, "rate_limit_exceeded"),
        "r20": (400, "context_length_exceeded"),
    }


def test_a_batch_whose_rows_all_fail_is_completed_without_output(account: Account) -> None:
    account.order({"kind": "rows", "status": 500, "code": None})
    batch = account.run(request_lines(4))
    assert (batch.status, batch.output_file_id) == ("completed", None)
    assert {row.status for row in account.rows(batch.error_file_id)} == {500}
    assert batch.usage
    assert batch.usage.total_tokens == 0


def test_rows_answer_in_prose_refuse_or_end_in_the_middle(account: Account) -> None:
    account.order(
        {"kind": "prose", "custom_id": "r1"},
        {"kind": "refusal", "custom_id": "r2"},
        {"kind": "truncated", "custom_id": "r3"},
    )
    batch = account.run(request_lines(4))
    choices = {
        line["custom_id"]: line["response"]["body"]["choices"][0]
        for line in map(orjson.loads, account.raw(batch.output_file_id).splitlines())
    }
    assert choices["r1"]["message"]["content"].startswith("Sure!")
    assert choices["r2"]["message"]["content"] is None
    assert choices["r2"]["message"]["refusal"].startswith("I'm sorry")
    assert choices["r3"]["finish_reason"] == "length"
    assert choices["r4"]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("damage", "lines"), [("garbled", 10), ("missing", 9), ("doubled", 11), ("foreign", 11), ("shuffled", 10)]
)
def test_lines_of_the_output_are_damaged(account: Account, damage: str, lines: int) -> None:
    account.order({"kind": "lines", "damage": damage, "custom_id": "r3"})
    batch = account.run(request_lines(10))
    raw = account.raw(batch.output_file_id).splitlines(keepends=True)
    assert len(raw) == lines
    good = [line for line in raw if b'"error":null' in line and b"nobody-asked" not in line]
    assert len(set(good)) == (9 if damage in ("garbled", "missing") else 10)
    assert len(good) == (11 if damage == "doubled" else len(set(good)))
    assert account.client.files.retrieve(cast(str, batch.output_file_id)).bytes == sum(map(len, raw))


def test_the_last_line_of_the_error_file_is_not_ended(account: Account) -> None:
    account.order({"kind": "rows"}, {"kind": "lines", "damage": "unended", "file": "errors"})
    raw = account.raw(account.run(request_lines(2)).error_file_id)
    assert (raw.count(b"\n"), raw[-1:]) == (1, b"}")


def test_counts_are_off_and_files_come_late(account: Account) -> None:
    account.order({"kind": "counts", "completed": 1}, {"kind": "files_late", "seconds": 0.2})
    batch = account.run(request_lines(3))
    assert batch.request_counts
    assert (batch.request_counts.completed, batch.output_file_id) == (4, None)
    while not (file_id := account.client.batches.retrieve(batch.id).output_file_id):
        assert time.time() < batch.created_at + 20
    assert len(account.rows(file_id)) == 3


def test_a_fault_can_be_for_files_of_a_name(account: Account) -> None:
    account.order({"kind": "expire", "after": 0, "filename": "*-b2.jsonl", "times": None})
    files = [account.upload(request_lines(1), name) for name in ("job-b1.jsonl", "job-b2.jsonl")]
    assert [account.ended(account.create(file_id).id).status for file_id in files] == ["completed", "expired"]


def test_orders_are_shown_counted_and_taken_away(account: Account) -> None:
    account.order({"kind": "listing_empty"}, {"kind": "metadata_dropped", "times": None})
    account.client.batches.list()
    first, second = cast("list[Json]", account.http.get("/faults").json())
    assert (first["kind"], first["fired"], second["kind"], second["fired"]) == (
        "listing_empty",
        1,
        "metadata_dropped",
        0,
    )
    assert account.http.delete(f"/faults/{first['id']}").json() == [second]
    assert account.http.delete("/faults/99999").status_code == 404
    assert account.http.delete("/faults").json() == []


@pytest.mark.parametrize("wrong", [b"{}", b'{"kind": "none"}', b'{"kind": "expire"}', b"[1", b'{"kind":"rows","no":1}'])
def test_a_wrong_order_is_refused(account: Account, wrong: bytes) -> None:
    with pytest.raises(UsageError, match="These faults can't be ordered"):
        parse_faults(wrong)
    assert account.http.post("/faults", content=wrong).status_code == httpx2.codes.BAD_REQUEST
    assert account.http.get("/faults").json() == []
