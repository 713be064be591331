"""Rows that were ordered to fail are answered here and never reach the engine; embeddings are damaged after it."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import cast

import orjson

from batch_pipeline.local_server.engines.base import Answer, Json, Request
from batch_pipeline.local_server.envelope import error_body
from batch_pipeline.local_server.faults import (
    BatchFault,
    DamagedEmbeddings,
    Prose,
    Refusal,
    RowFault,
    RowStatus,
    Truncated,
)
from batch_pipeline.local_server.replies import estimated_usage, reply_body
from batch_pipeline.wire.replies import Reply, Stop, Usage


class RowFaults:
    """The row faults of one batch; false if it has none."""

    def __init__(self, faults: Iterable[BatchFault]) -> None:
        faults = list(faults)
        self._faults = [fault for fault in faults if isinstance(fault, RowStatus | Prose | Refusal | Truncated)]
        self._damages = [fault for fault in faults if isinstance(fault, DamagedEmbeddings)]
        self._damaged: dict[str, DamagedEmbeddings] = {}
        """By `custom_id`: what the answers of requests that are being answered will suffer."""

    def __bool__(self) -> bool:
        return bool(self._faults or self._damages)

    def divide(self, requests: Iterable[Request]) -> tuple[list[Request], list[Answer]]:
        """Requests that nothing was ordered for, and the answers of the others."""
        spared: list[Request] = []
        answers: list[Answer] = []
        for request in requests:
            if fault := self._of(request):
                answers.append(_answer(request, fault))
            else:
                spared.append(request)
                if damage := next((d for d in self._damages if d.chooses(request.custom_id, request.line)), None):
                    self._damaged[request.custom_id] = damage
        return spared, answers

    def damaged(self, answers: Sequence[Answer]) -> Sequence[Answer]:
        """The engine's answers, those damaged whose requests were chosen for it."""
        if not self._damaged:
            return answers
        return [_damaged(answer, self._damaged.pop(answer.custom_id, None)) for answer in answers]

    def _of(self, request: Request) -> RowFault | None:
        return next((fault for fault in self._faults if fault.chooses(request.custom_id, request.line)), None)


def _answer(request: Request, fault: RowFault) -> Answer:
    match fault:
        case RowStatus():
            body = error_body(fault.message, fault.param, fault.code, fault.type)
            return Answer(request.custom_id, fault.status, body, Usage())
        case Prose():
            return _said(request, fault.text, "end")
        case Refusal():
            return _said(request, fault.text, "refusal")
        case Truncated():
            return _said(request, fault.text, "length")


def _said(request: Request, text: str, stop: Stop) -> Answer:
    usage = estimated_usage(len(orjson.dumps(request.body)), text)
    body = reply_body(request.url, str(request.body.get("model")), Reply(text, stop, usage), f"{request.line:032x}")
    return Answer(request.custom_id, 200, body, usage)


def _damaged(answer: Answer, fault: DamagedEmbeddings | None) -> Answer:
    if fault is None or answer.status >= 300:
        return answer
    body: Json = orjson.loads(answer.body)
    data = body.get("data")
    if not isinstance(data, list) or not data:
        return answer
    rows = cast("list[Json]", data)
    match fault.damage:
        case "size":
            rows[-1]["embedding"] = _shortened(rows[-1].get("embedding"))
        case "missing":
            rows.pop()
        case "shuffled":
            rows.reverse()
    return replace(answer, body=orjson.dumps(body))


def _shortened(embedding: object) -> object:
    if isinstance(embedding, str):
        return b64encode(b64decode(embedding)[:-4]).decode()
    return cast("list[float]", embedding)[:-1]
