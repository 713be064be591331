from __future__ import annotations

import stat
from pathlib import Path

import openai
import pytest

from batch_pipeline.local_server import LocalServerOptions, start
from batch_pipeline_tests.local_server.account import Account, request_line, request_lines


def test_a_file_is_kept_as_it_was_uploaded(account: Account) -> None:
    made = account.client.files.create(file=("in.jsonl", b'{"a": "\xc3\xbc\\r\\n--"}\r\n\r\n--x\n'), purpose="batch")
    assert (made.filename, made.purpose, made.bytes, made.status) == ("in.jsonl", "batch", 25, "processed")
    assert made.id.startswith("file-")
    assert len(made.id) == len("file-") + 24
    assert made.expires_at == made.created_at + 30 * 86400
    assert account.raw(made.id) == b'{"a": "\xc3\xbc\\r\\n--"}\r\n\r\n--x\n'
    assert account.client.files.retrieve(made.id) == made


def test_an_upload_says_when_it_expires(account: Account) -> None:
    made = account.client.files.create(
        file=("in.jsonl", b"{}\n"), purpose="batch", expires_after={"anchor": "created_at", "seconds": 3600}
    )
    assert made.expires_at == made.created_at + 3600
    with pytest.raises(openai.BadRequestError, match="expected a value >= 3600"):
        account.client.files.create(
            file=("in.jsonl", b"{}\n"), purpose="batch", expires_after={"anchor": "created_at", "seconds": 59}
        )


@pytest.mark.parametrize(
    ("name", "content"), [("in.txt", b"{}\n"), ("in.jsonl", b""), ("in.jsonl", b"not json\n"), ("in.jsonl", b"\n{}\n")]
)
def test_what_is_no_jsonl_is_refused_at_upload(account: Account, name: str, content: bytes) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        account.client.files.create(file=(name, content), purpose="batch")
    assert refused.value.body == {
        "message": "Invalid file format for Batch API. Must be .jsonl",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }


def test_a_deleted_file_is_gone(account: Account) -> None:
    file_id = account.upload(request_lines(1))
    deleted = account.client.files.delete(file_id)
    assert (deleted.id, deleted.object, deleted.deleted) == (file_id, "file", True)
    for ask in (account.client.files.retrieve, account.client.files.content, account.client.files.delete):
        with pytest.raises(openai.NotFoundError, match="No such File object: " + file_id):
            ask(file_id)


def test_files_are_listed_by_pages_purpose_and_order(account: Account) -> None:
    made = [account.upload([request_line("a")]) for _ in range(5)]
    other = account.client.files.create(file=("a.txt", b"text"), purpose="user_data").id
    listed = account.client.files.list(limit=2)
    assert (len(listed.data), listed.has_more, listed.data[0].id) == (2, True, other)
    assert [file.id for file in account.client.files.list(limit=2, order="asc")] == [*made, other]
    assert [file.id for file in account.client.files.list(purpose="batch", limit=3)] == made[::-1]
    with pytest.raises(openai.BadRequestError, match="expected a value <= 10000"):
        account.client.files.list(limit=10_001)


def test_a_large_upload_arrives_whole(account: Account) -> None:
    raw = b"".join(b'{"line": %d, "text": "%b"}\n' % (number, b"\r\n--" * 50) for number in range(20_000))
    made = account.client.files.create(file=("in.jsonl", raw), purpose="user_data")
    assert made.bytes == len(raw)
    assert account.raw(made.id) == raw


def test_all_that_is_kept_is_the_owners_alone(tmp_path: Path) -> None:
    with (
        start(LocalServerOptions(port=0, state_dir=tmp_path / "state")) as server,
        Account(server, "key") as account,
    ):
        account.run(request_lines(3))
        kept = [tmp_path / "state", *(tmp_path / "state").rglob("*")]
        assert len(kept) > 5
        assert [path for path in kept if stat.S_IMODE(path.stat().st_mode) & 0o077] == []
