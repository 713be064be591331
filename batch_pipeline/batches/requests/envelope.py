"""A task's requests: all that is constant is serialized once, per record only what is asked of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import orjson

from batch_pipeline.batches.requests.custom_id import LONGEST
from batch_pipeline.batches.requests.lines import Lines
from batch_pipeline.batches.requests.messages_form import message_line, message_params
from batch_pipeline.tasks.snapshot import EMBEDDINGS, TaskSnapshot
from batch_pipeline.wire.messages import MESSAGES

_PLACE = "\x00the record's content\x00"
_QUOTED_PLACE = orjson.dumps(_PLACE)
_MESSAGE = orjson.dumps({"role": "user", "content": _PLACE})
_ORDERED_MESSAGE = orjson.dumps({"role": "user", "content": _PLACE}, option=orjson.OPT_SORT_KEYS)
"""The one message that a conversation takes the place of, as it stands in a body."""


class Turns(bytes):
    """JSON of a conversation's messages, without the brackets around them; other content is that of one message."""


class Envelope:
    """Turns the content of a record into a request's body, line and fingerprint.

    A line keeps the order of the answer's fields, since a model writes them in the schema's order: reasoning that is
    to come before its label must stand before it. Only the fingerprint sorts them.

    Args:
        snapshot: The task as the job keeps it.
    """

    def __init__(self, snapshot: TaskSnapshot) -> None:
        self.endpoint = snapshot.endpoint
        body = request_body(snapshot, _PLACE)
        limit = LIMIT_KEYS.get(snapshot.endpoint)
        self._of_content, self._of_turns = (_around(orjson.dumps(body), place) for place in (_QUOTED_PLACE, _MESSAGE))
        unlimited = {key: value for key, value in body.items() if key != limit}
        ordered = orjson.dumps(unlimited, option=orjson.OPT_SORT_KEYS)
        who = f"{snapshot.provider}\n{snapshot.endpoint}\n{snapshot.model}\n".encode()
        around = (_around(ordered, place) for place in (_QUOTED_PLACE, _ORDERED_MESSAGE))
        self._hash_of_content, self._hash_of_turns = ((hashlib.sha256(who + head), tail) for head, tail in around)
        self._url = orjson.dumps(snapshot.url)
        self.constant_text = "\n".join([snapshot.system, _text_of(snapshot.answer_schema)])
        """What every request sends beside its record, for counting tokens."""
        self.around = max(len(self.line("x" * LONGEST, empty)) for empty in (b"", Turns()))
        """Bytes that a line has beside its content, at most."""

    def line(self, custom_id: str, content: bytes) -> bytes:
        """One line of an input file; `content` is the JSON of what is asked."""
        head, tail = self._of_turns if isinstance(content, Turns) else self._of_content
        if self.endpoint == MESSAGES:
            return message_line(custom_id.encode(), b"%b%b%b" % (head, content, tail))
        return b'{"custom_id":"%b","method":"POST","url":%b,"body":%b%b%b}\n' % (
            custom_id.encode(),
            self._url,
            head,
            content,
            tail,
        )

    def lines(self, custom_ids: Sequence[str], contents: Sequence[bytes]) -> Lines:
        """The same of many."""
        if self.endpoint == MESSAGES:
            return Lines.of([self.line(name, content) for name, content in zip(custom_ids, contents, strict=True)])
        head, tail = self._of_content
        between = b'","method":"POST","url":%b,"body":%b' % (self._url, head)
        names = [name.encode() for name in custom_ids]
        return Lines.alike(b'{"custom_id":"', names, between, contents, tail + b"}\n")

    def fingerprints(self, contents: Sequence[bytes]) -> list[str]:
        """The same of many."""
        start, tail = self._hash_of_content
        found: list[str] = []
        for content in contents:
            digest = start.copy()
            digest.update(content + tail)
            found.append(digest.hexdigest())
        return found

    def fingerprint(self, content: bytes) -> str:
        """SHA-256 of provider, endpoint, model and body without its output limit, keys sorted."""
        start, tail = self._hash_of_turns if isinstance(content, Turns) else self._hash_of_content
        digest = start.copy()
        digest.update(content)
        digest.update(tail)
        return digest.hexdigest()


LIMIT_KEYS = {
    "/v1/chat/completions": "max_completion_tokens",
    "/v1/responses": "max_output_tokens",
    MESSAGES: "max_tokens",
}
"""Where each endpoint has its output limit; embeddings have none."""


def request_body(snapshot: TaskSnapshot, content: object) -> dict[str, object]:
    """The body of a request, as the endpoint wants it."""
    key = LIMIT_KEYS.get(snapshot.endpoint)
    limit = {key: snapshot.max_output_tokens} if key else {}
    build = _BUILDERS.get(snapshot.endpoint, _chat_completion)
    return {"model": snapshot.model, **build(snapshot, content), **limit, **snapshot.parameters}


def doubled_limit(line: bytes, endpoint: str) -> bytes:
    """A request's line with twice its output limit: the answer had been cut off there."""
    if endpoint not in LIMIT_KEYS:
        return line
    request = cast("dict[str, dict[str, object]]", orjson.loads(line))
    body = request["params" if endpoint == MESSAGES else "body"]
    limit = body[LIMIT_KEYS[endpoint]]
    body[LIMIT_KEYS[endpoint]] = 2 * limit if isinstance(limit, int) else limit
    return orjson.dumps(request) + b"\n"


def _chat_completion(snapshot: TaskSnapshot, content: object) -> dict[str, object]:
    system = [{"role": "system", "content": snapshot.system}] if snapshot.system else []
    body: dict[str, object] = {"messages": [*system, {"role": "user", "content": content}]}
    if snapshot.answer_schema is not None:
        body["response_format"] = {"type": "json_schema", "json_schema": _named_schema(snapshot)}
    return body


def _response(snapshot: TaskSnapshot, content: object) -> dict[str, object]:
    body: dict[str, object] = {"input": [{"role": "user", "content": content}]}
    if snapshot.system:
        body["instructions"] = snapshot.system
    if snapshot.answer_schema is not None:
        body["text"] = {"format": {"type": "json_schema", **_named_schema(snapshot)}}
    return body


def _embedding(snapshot: TaskSnapshot, content: object) -> dict[str, object]:
    """Base64 is a third of the numbers' decimals on the wire and on the disk; a server may answer either."""
    size = {"dimensions": snapshot.dimensions} if snapshot.dimensions else {}
    return {"input": content, "encoding_format": "base64", **size}


_BUILDERS: dict[str, Callable[[TaskSnapshot, object], dict[str, object]]] = {
    "/v1/responses": _response,
    EMBEDDINGS: _embedding,
    MESSAGES: message_params,
}


def _named_schema(snapshot: TaskSnapshot) -> dict[str, object]:
    return {"name": snapshot.name, "strict": True, "schema": snapshot.answer_schema}


def _around(body: bytes, place: bytes) -> tuple[bytes, bytes]:
    head, _, tail = body.partition(place)
    return head, tail


def _text_of(schema: Mapping[str, object] | None) -> str:
    return orjson.dumps(schema).decode() if schema else ""
