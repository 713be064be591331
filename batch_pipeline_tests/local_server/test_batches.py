from __future__ import annotations

from typing import cast

import openai
import orjson
import pytest

from batch_pipeline.wire.batch import BatchObject
from batch_pipeline.wire.replies import read_reply
from batch_pipeline_tests.local_server.account import LABEL, Account, Json, request_line, request_lines


def test_a_new_batch_is_validating_and_has_counted_nothing(account: Account) -> None:
    account.order({"kind": "slow", "stage": "validating", "seconds": 30})
    batch = account.create(account.upload(request_lines(2)), metadata={"claim": "c1"})
    assert batch.id.startswith("batch_")
    assert len(batch.id) == len("batch_") + 32
    assert (batch.status, batch.metadata, batch.completion_window) == ("validating", {"claim": "c1"}, "24h")
    assert batch.expires_at == batch.created_at + 86400
    assert batch.request_counts
    assert batch.request_counts.to_dict() == {"total": 0, "completed": 0, "failed": 0}
    assert (batch.output_file_id, batch.error_file_id, batch.errors, batch.usage) == (None, None, None, None)


def test_a_batch_answers_each_line_once(account: Account) -> None:
    batch = account.run(request_lines(300))
    assert (batch.status, batch.error_file_id, batch.model) == ("completed", None, "gpt-6-luna")
    assert batch.request_counts
    assert batch.request_counts.to_dict() == {"total": 300, "completed": 300, "failed": 0}
    outcome = account.outcome(batch)
    assert set(outcome) == {f"r{number}" for number in range(1, 301)}
    labels = {orjson.loads(cast(str, row.text))["label"] for row in outcome.values()}
    assert labels == {"bug", "feature", "question"}
    stamps = (batch.created_at, batch.in_progress_at, batch.finalizing_at, batch.completed_at)
    assert list(stamps) == sorted(cast("tuple[int, ...]", stamps))


def test_the_usage_of_a_batch_is_the_sum_of_its_rows(account: Account) -> None:
    account.order({"kind": "rows", "every": 3, "status": 500})
    batch = account.run(request_lines(30))
    rows = [orjson.loads(line)["response"]["body"]["usage"] for line in account.raw(batch.output_file_id).splitlines()]
    assert batch.usage
    assert len(rows) == 20
    assert batch.usage.input_tokens == sum(row["prompt_tokens"] for row in rows)
    assert batch.usage.output_tokens == sum(row["completion_tokens"] for row in rows)
    assert batch.usage.total_tokens == sum(row["total_tokens"] for row in rows)
    booked = account.booked(batch.id)
    assert booked["lines_executed"] == 30
    assert (booked["input_tokens"], booked["output_tokens"]) == (batch.usage.input_tokens, batch.usage.output_tokens)


def test_output_is_a_file_of_its_own_purpose_and_lifetime(account: Account) -> None:
    batch = account.client.batches.create(
        input_file_id=account.upload(request_lines(2)),
        endpoint="/v1/chat/completions",
        completion_window="24h",
        output_expires_after={"anchor": "created_at", "seconds": 7200},
    )
    file_id = cast(str, account.ended(batch.id).output_file_id)
    file = account.client.files.retrieve(file_id)
    assert file.purpose == "batch_output"
    assert cast(int, file.expires_at) == file.created_at + 7200
    assert file.bytes == len(account.raw(file_id))
    assert [file.id for file in account.client.files.list(purpose="batch_output")] == [file_id]


def test_any_custom_id_comes_back_byte_for_byte(account: Account) -> None:
    names = ["a b — ü/\\\"'", "x" * 500, "\u2028", "%s%b"]
    assert set(account.outcome(account.run([request_line(name) for name in names]))) == set(names)


def test_the_responses_endpoint_is_answered_too(account: Account) -> None:
    form = {"format": {"type": "json_schema", "name": "kind", "strict": True, "schema": LABEL}}
    body = {"model": "gpt-6-luna", "input": "It crashes", "text": form}
    line: Json = {"custom_id": "a", "method": "POST", "url": "/v1/responses", "body": body}
    batch = account.client.batches.create(
        input_file_id=account.upload([line]), endpoint="/v1/responses", completion_window="24h"
    )
    (row,) = account.raw(account.ended(batch.id).output_file_id).splitlines()
    reply = read_reply("/v1/responses", orjson.loads(row)["response"]["body"])
    assert orjson.loads(reply.text)["label"] in ("bug", "feature", "question")
    assert reply.stop == "end"


def test_the_same_request_gets_the_same_answer(account: Account) -> None:
    first, second = (account.outcome(account.run([request_line("a", "same"), request_line("b")])) for _ in range(2))
    assert first == second


def test_batches_are_listed_newest_first_by_pages(account: Account) -> None:
    file_id = account.upload(request_lines(1))
    made = [account.create(file_id).id for _ in range(5)]
    assert [batch.id for batch in account.client.batches.list(limit=2)] == made[::-1]
    page = account.client.batches.list(limit=2)
    assert (page.has_more, [batch.id for batch in page.data]) == (True, made[:2:-1])
    assert account.client.batches.list(limit=5).has_more is False


def test_another_key_sees_nothing_of_it(account: Account) -> None:
    batch = account.run(request_lines(1))
    with Account(account.server, "another") as other:
        assert other.client.batches.list().data == []
        assert other.client.files.list().data == []
        with pytest.raises(openai.NotFoundError, match=f"No batch found with id '{batch.id}'"):
            other.client.batches.retrieve(batch.id)
        with pytest.raises(openai.NotFoundError):
            other.client.files.content(cast(str, batch.output_file_id))
        assert other.ended(other.create(batch.input_file_id).id).status == "failed"


def test_an_unknown_batch_is_not_found(account: Account) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        account.client.batches.cancel("batch_none")
    assert cast(Json, refused.value.body)["message"] == "No batch found with id 'batch_none'."
    assert refused.value.request_id


@pytest.mark.parametrize(
    ("change", "param", "code", "message"),
    [
        ({"endpoint": "/v1/none"}, "endpoint", "invalid_value", "Invalid value: '/v1/none'. Supported values are: "),
        ({"completion_window": "1h"}, "completion_window", "invalid_value", "Invalid value: '1h'"),
        ({"input_file_id": None}, "input_file_id", "missing_required_parameter", "Missing required parameter"),
        (
            {"metadata": {"tags": ["a"]}},
            "metadata.tags",
            "invalid_type",
            "Invalid type for 'metadata.tags': expected a string, but got an array instead.",
        ),
        ({"metadata": {"a": "x" * 513}}, "metadata.a", "string_above_max_length", "Invalid 'metadata.a'"),
        ({"metadata": {"x" * 65: "a"}}, "metadata", "string_above_max_length", "Invalid 'metadata'"),
        ({"metadata": dict.fromkeys("abcdefghijklmnopq", "x")}, "metadata", "object_above_max_properties", "Invalid"),
    ],
)
def test_a_wrong_create_is_refused_at_once(account: Account, change: Json, param: str, code: str, message: str) -> None:
    good = {"input_file_id": "file-x", "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    with pytest.raises(openai.BadRequestError, match=message[:20]) as refused:
        account.client.post("/batches", body={**good, **change}, cast_to=object)
    body = cast(Json, refused.value.body)
    assert (body["param"], body["code"], body["type"]) == (param, code, "invalid_request_error")
    assert str(body["message"]).startswith(message)


def test_a_cancelled_batch_keeps_what_it_answered(account: Account) -> None:
    account.order({"kind": "slow", "stage": "in_progress", "seconds": 30})
    batch = account.create(account.upload(request_lines(5)))
    account.until(batch.id, "in_progress")
    while not (counts := account.client.batches.retrieve(batch.id).request_counts) or counts.completed < 5:
        pass
    assert account.client.batches.cancel(batch.id).status == "cancelling"
    ended = account.ended(batch.id)
    assert (ended.status, ended.error_file_id) == ("cancelled", None)
    assert len(account.rows(ended.output_file_id)) == 5
    assert account.client.batches.cancel(batch.id).status == "cancelled"


def test_a_batch_cancelled_while_it_is_validated_has_no_files(account: Account) -> None:
    account.order({"kind": "slow", "stage": "validating", "seconds": 30})
    batch = account.create(account.upload(request_lines(5)))
    account.client.batches.cancel(batch.id)
    ended = account.ended(batch.id)
    assert (ended.status, ended.output_file_id, ended.error_file_id) == ("cancelled", None, None)
    assert account.booked(batch.id)["lines_executed"] == 0


def test_a_batch_that_has_ended_cannot_be_cancelled(account: Account) -> None:
    batch = account.run(request_lines(1))
    with pytest.raises(openai.ConflictError) as refused:
        account.client.batches.cancel(batch.id)
    assert refused.value.body == {
        "message": "Cannot cancel a batch with status 'completed'.",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }


def test_a_batch_goes_on_when_its_input_is_deleted_after_validation(account: Account) -> None:
    account.order({"kind": "slow", "stage": "in_progress", "seconds": 0.05})
    batch = account.create(account.upload(request_lines(3)))
    account.until(batch.id, "in_progress")
    account.client.files.delete(batch.input_file_id)
    assert account.ended(batch.id).status == "completed"


def test_what_the_wire_says_is_what_our_types_say(account: Account) -> None:
    batch = account.run(request_lines(2))
    raw = account.http.get(f"/v1/batches/{batch.id}", headers={"authorization": f"Bearer {account.client.api_key}"})
    assert BatchObject.model_validate_json(raw.content).model_dump(mode="json") == raw.json()
    assert raw.headers["date"]
    assert raw.headers["x-request-id"].startswith("req_")


def test_realtime_answers_come_from_the_same_engine(account: Account) -> None:
    before = cast(Json, account.books()["realtime"])
    said = account.client.chat.completions.create(
        model="gpt-6-luna", messages=[{"role": "user", "content": "Hello"}], response_format={"type": "json_object"}
    )
    assert said.model == "gpt-6-luna-simulated"
    assert orjson.loads(cast(str, said.choices[0].message.content)) == {}
    assert account.client.responses.create(model="gpt-6-luna", input="Hello").output_text.startswith("A simulated")
    assert [model.id for model in account.client.models.list()] == ["simulated"]
    assert account.client.models.retrieve("simulated").owned_by == "local"
    after = cast(Json, account.books()["realtime"])
    assert cast(int, after["requests"]) == cast(int, before["requests"]) + 2


def test_an_unknown_path_or_method_is_refused_in_the_envelope(account: Account) -> None:
    with pytest.raises(openai.NotFoundError, match=r"Invalid URL \(GET /v1/none\)"):
        account.client.get("/none", cast_to=object)
    with pytest.raises(openai.APIStatusError, match="Not allowed to DELETE on /v1/batches"):
        account.client.delete("/batches", cast_to=object)
