"""The official `anthropic` client against the local server: every batch call, and what can be made to go wrong."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import cast
from uuid import uuid4

import anthropic
import pytest
from anthropic.types.messages.batch_create_params import Request

from batch_pipeline.local_server import LocalServerOptions, RunningServer, start
from batch_pipeline_tests.local_server.account import Account, request_lines
from batch_pipeline_tests.local_server.messages_account import (
    MessagesAccount,
    message_request,
    message_requests,
    said,
)


@pytest.fixture
def messages(server: RunningServer) -> Generator[MessagesAccount]:
    with MessagesAccount(server, key=uuid4().hex) as fresh:
        yield fresh
        fresh.order()


def test_a_new_batch_is_in_progress_and_shows_nothing_but_how_many_are_processed(messages: MessagesAccount) -> None:
    messages.order({"kind": "slow", "stage": "in_progress", "seconds": 30})
    batch = messages.batches.create(requests=message_requests(3))
    assert batch.id.startswith("msgbatch_01")
    assert (batch.type, batch.processing_status, batch.results_url) == ("message_batch", "in_progress", None)
    assert batch.request_counts.to_dict() == {
        "processing": 3, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0
    }  # fmt: skip
    assert (batch.expires_at - batch.created_at).total_seconds() == pytest.approx(86400, abs=1)
    with pytest.raises(anthropic.AnthropicError, match="No `results_url`"):
        messages.results(batch.id)


def test_a_batch_answers_each_request_once_in_the_form_that_was_asked_for(messages: MessagesAccount) -> None:
    batch = messages.run(message_requests(300))
    assert batch.request_counts.succeeded == 300
    assert batch.ended_at is not None
    found = messages.results(batch.id)
    assert set(found) == {f"r{number}" for number in range(1, 301)}
    assert {json.loads(said(row))["label"] for row in found.values()} == {"bug", "feature", "question"}
    row = found["r1"].result
    assert row.type == "succeeded"
    assert (row.message.stop_reason, row.message.usage.service_tier) == ("end_turn", "batch")
    booked = messages.booked(batch.id)
    tokens = sum(
        row.result.message.usage.input_tokens for row in found.values() if row.result.type == "succeeded"
    )  # nothing is cached here
    assert (booked["lines_executed"], booked["input_tokens"]) == (300, tokens)
    assert booked["metadata"] == {"custom_id": "r1"}


def test_listings_page_both_ways_and_show_their_own_account_alone(
    messages: MessagesAccount, server: RunningServer
) -> None:
    made = [messages.batches.create(requests=message_requests(1)).id for _ in range(5)]
    newest_first = made[::-1]
    page = messages.batches.list(limit=2)
    assert ([batch.id for batch in page.data], page.has_more) == (newest_first[:2], True)
    assert [batch.id for batch in messages.batches.list(limit=2)] == newest_first
    before = messages.batches.list(limit=2, before_id=newest_first[3])
    assert ([batch.id for batch in before.data], before.has_more) == (newest_first[1:3], True)
    assert [batch.id for batch in messages.batches.list(after_id=newest_first[3])] == newest_first[4:]
    with MessagesAccount(server, key="another") as other:
        assert made[0] not in [batch.id for batch in other.batches.list()]
        with pytest.raises(anthropic.NotFoundError):
            other.batches.retrieve(made[0])
    with pytest.raises(anthropic.BadRequestError, match="from 1 to 1000"):
        messages.batches.list(limit=1001)


def test_neither_protocol_sees_the_other_ones_batches(server: RunningServer) -> None:
    key = uuid4().hex
    with MessagesAccount(server, key) as messages, Account(server, key) as account:
        theirs, ours = messages.run(message_requests(1)), account.run(request_lines(1))
        assert [batch.id for batch in messages.batches.list()] == [theirs.id]
        assert [batch.id for batch in account.client.batches.list()] == [ours.id]
        with pytest.raises(anthropic.NotFoundError):
            messages.batches.retrieve(ours.id)
        assert account.http.get(f"/v1/batches/{theirs.id}", headers={"x-api-key": key}).status_code == 404


def test_a_cancelled_batch_gives_what_was_done(messages: MessagesAccount) -> None:
    messages.order(
        {"kind": "slow", "stage": "cancelling", "seconds": 0.1}, {"kind": "slow", "stage": "in_progress", "seconds": 30}
    )
    batch = messages.batches.create(requests=message_requests(6))
    asked = messages.batches.cancel(batch.id)
    assert asked.processing_status == "canceling"
    assert asked.cancel_initiated_at is not None
    ended = messages.ended(batch.id)
    counts = ended.request_counts
    assert counts.succeeded + counts.canceled == 6
    kinds = Counter(row.result.type for row in messages.results(batch.id).values())
    assert (kinds["succeeded"], kinds["canceled"]) == (counts.succeeded, counts.canceled)
    with pytest.raises(anthropic.BadRequestError, match="has ended"):
        messages.batches.cancel(batch.id)


def test_a_batch_that_expires_gives_what_was_done(messages: MessagesAccount) -> None:
    messages.order({"kind": "expire", "after": 4})
    batch = messages.run(message_requests(6))
    assert (batch.request_counts.succeeded, batch.request_counts.expired) == (4, 2)
    assert Counter(row.result.type for row in messages.results(batch.id).values()) == {"succeeded": 4, "expired": 2}
    assert messages.booked(batch.id)["lines_executed"] == 4


def test_a_batch_can_be_deleted_once_it_has_ended(messages: MessagesAccount) -> None:
    messages.order({"kind": "slow", "stage": "in_progress", "seconds": 0.2})
    batch = messages.batches.create(requests=message_requests(1))
    with pytest.raises(anthropic.BadRequestError, match="still processing"):
        messages.batches.delete(batch.id)
    messages.ended(batch.id)
    assert messages.batches.delete(batch.id).type == "message_batch_deleted"
    assert list(messages.batches.list()) == []
    with pytest.raises(anthropic.NotFoundError):
        messages.batches.retrieve(batch.id)
    assert messages.booked(batch.id)["lines_executed"] == 1


BAD_CREATES: list[tuple[list[Request], str]] = [
    ([], "at least 1 item"),
    ([message_request("a b")], r"requests\.0\.custom_id: String should match pattern '\^\[a-zA-Z0-9_-\]\{1,64\}\$'"),
    ([message_request("r1"), message_request("x" * 65)], r"requests\.1\.custom_id"),
    ([message_request("r1"), message_request("r1")], "unique"),
    ([cast(Request, {"custom_id": "r1"})], r"requests\.0\.params"),
]


@pytest.mark.parametrize(("requests", "words"), BAD_CREATES)
def test_a_create_with_a_bad_request_creates_nothing(
    messages: MessagesAccount, requests: list[Request], words: str
) -> None:
    with pytest.raises(anthropic.BadRequestError, match=words) as refused:
        messages.batches.create(requests=requests)
    assert cast("dict[str, object]", refused.value.body)["type"] == "error"
    assert list(messages.batches.list()) == []


def test_what_is_wrong_with_params_is_an_errored_row(messages: MessagesAccount) -> None:
    wrong = [
        message_request("no-messages", messages=[]),
        message_request("no-tokens", max_tokens=0),
        message_request("streams", stream=True),
        message_request("strange", messages=[{"role": "user", "content": [{"type": "tool_result"}]}]),
    ]
    batch = messages.run([*wrong, *message_requests(2)])
    assert (batch.request_counts.succeeded, batch.request_counts.errored) == (2, 4)
    rows = messages.results(batch.id)
    for request in wrong:
        row = rows[request["custom_id"]].result
        assert row.type == "errored"
        assert row.error.error.type == "invalid_request_error"


def test_rows_fail_as_they_are_ordered_to(messages: MessagesAccount) -> None:
    messages.order(
        {"kind": "rows", "status": 529, "every": 3},
        {"kind": "truncated", "custom_id": "r1"},
        {"kind": "refusal", "custom_id": "r2"},
        {"kind": "prose", "custom_id": "r4"},
    )
    rows = messages.results(messages.run(message_requests(6)).id)
    errored, cut, refused, prose = rows["r3"].result, rows["r1"].result, rows["r2"].result, rows["r4"].result
    assert errored.type == "errored"
    assert errored.error.error.type == "overloaded_error"
    assert cut.type == "succeeded"
    assert refused.type == "succeeded"
    assert prose.type == "succeeded"
    assert (cut.message.stop_reason, refused.message.stop_reason) == ("max_tokens", "refusal")
    assert said(rows["r4"]).startswith("Sure!")


@pytest.mark.parametrize("damage", ["garbled", "missing", "doubled", "foreign", "shuffled", "unended"])
def test_lines_of_results_are_damaged_as_ordered(messages: MessagesAccount, damage: str) -> None:
    messages.order({"kind": "lines", "damage": damage, "every": 2})
    batch = messages.run(message_requests(4))
    raw = messages.http.get(batch.results_url or "", headers={"x-api-key": messages.client.api_key or ""}).content
    whole = [line for line in raw.splitlines() if line.endswith(b"}")]
    expected = {"garbled": 2, "missing": 2, "doubled": 6, "foreign": 6, "shuffled": 4, "unended": 4}
    assert len(whole) == expected[damage]
    assert raw.endswith(b"\n") is (damage != "unended")
    if damage == "shuffled":
        assert [json.loads(line)["custom_id"] for line in whole] != ["r1", "r2", "r3", "r4"]


def test_a_reply_that_is_lost_has_made_a_batch_all_the_same(messages: MessagesAccount) -> None:
    messages.order({"kind": "reply_lost", "on": "batches.create"})
    with pytest.raises(anthropic.APIConnectionError):
        messages.batches.create(requests=message_requests(1))
    assert len(list(messages.batches.list())) == 1


@pytest.mark.parametrize(
    ("status", "kind"), [(429, "rate_limit_error"), (529, "overloaded_error"), (413, "request_too_large")]
)
def test_an_ordered_status_comes_in_the_providers_own_envelope(
    messages: MessagesAccount, status: int, kind: str
) -> None:
    messages.order({"kind": "status", "on": "batches.create", "status": status})
    with pytest.raises(anthropic.APIStatusError) as refused:
        messages.batches.create(requests=message_requests(1))
    body = cast("dict[str, dict[str, object]]", refused.value.body)
    assert (refused.value.status_code, body["error"]["type"]) == (status, kind)
    assert list(messages.batches.list()) == []


def test_a_new_batch_is_listed_late_where_that_was_ordered(messages: MessagesAccount) -> None:
    messages.order({"kind": "listing_late", "seconds": 0.3})
    batch = messages.batches.create(requests=message_requests(1))
    assert list(messages.batches.list()) == []
    deadline = time.monotonic() + 10
    while [each.id for each in messages.batches.list()] != [batch.id]:
        assert time.monotonic() < deadline


def test_an_ended_batch_shows_its_results_late_where_that_was_ordered(messages: MessagesAccount) -> None:
    messages.order({"kind": "files_late", "seconds": 0.3})
    batch = messages.run(message_requests(1))
    assert batch.results_url is None
    shown = messages.until(batch.id, lambda each: each.results_url is not None)
    assert len(messages.results(shown.id)) == 1


def test_a_batch_goes_on_after_the_server_was_restarted(tmp_path: Path) -> None:
    options = LocalServerOptions(port=0, state_dir=tmp_path, seconds=1.0)
    with start(options) as before, MessagesAccount(before, "key") as messages:
        batch = messages.batches.create(requests=message_requests(50))
    with start(options) as after, MessagesAccount(after, "key") as messages:
        ended = messages.ended(batch.id)
        assert ended.request_counts.succeeded == 50
        assert len(messages.results(batch.id)) == 50
        assert messages.booked(batch.id)["lines_executed"] == 50


def test_a_message_is_answered_at_once(messages: MessagesAccount) -> None:
    reply = messages.client.messages.create(
        model="claude-haiku-5-5",
        max_tokens=20,
        system=[{"type": "text", "text": "Be short."}],
        messages=[{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
    )
    (block,) = reply.content
    assert block.type == "text"
    assert block.text.startswith("A simulated answer")
    assert "simulated" in reply.model
    with pytest.raises(anthropic.BadRequestError, match="max_tokens"):
        messages.client.messages.create(model="m", max_tokens=0, messages=[{"role": "user", "content": "Hello"}])


def test_an_answer_cites_the_document_that_it_was_given(messages: MessagesAccount) -> None:
    document = {
        "type": "document",
        "title": "contract.pdf",
        "source": {"type": "base64", "media_type": "application/pdf", "data": b64encode(pdf()).decode()},
        "citations": {"enabled": True},
    }
    asked: list[object] = [{"role": "user", "content": [document, {"type": "text", "text": "How long?"}]}]
    requests = [
        message_request("cited", messages=asked, output_config={}),
        message_request("both", messages=asked),
    ]
    rows = messages.results(messages.run(requests).id)
    row = rows["cited"].result
    assert row.type == "succeeded"
    (block,) = row.message.content
    assert block.type == "text"
    assert block.citations is not None
    (citation,) = block.citations
    assert citation.type == "page_location"
    assert (citation.cited_text, citation.start_page_number) == ("one two three four five six seven eight", 1)
    assert (citation.document_index, citation.document_title) == (0, "contract.pdf")
    refused = rows["both"].result
    assert refused.type == "errored"
    assert "citations" in refused.error.error.message


def pdf(words: str = "one two three four five six seven eight nine ten") -> bytes:
    """A PDF of one page."""
    text = f"BT /F1 12 Tf 10 50 Td ({words}) Tj ET"
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 100]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        f"<</Length {len(text)}>>stream\n{text}\nendstream",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    made, places = b"%PDF-1.4\n", [0]
    for number, each in enumerate(objects, 1):
        places.append(len(made))
        made += f"{number} 0 obj\n{each}\nendobj\n".encode()
    table = "".join(f"{place:010} {65535 if not place else 0:05} {'n' if place else 'f'} \n" for place in places)
    return made + f"xref\n0 6\n{table}trailer\n<</Root 1 0 R/Size 6>>\nstartxref\n{len(made)}\n%%EOF\n".encode()
