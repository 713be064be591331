"""Rows that were ordered to fail: they are answered here, and never reach the engine."""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from batch_pipeline.local_server.engines.base import Answer, Request
from batch_pipeline.local_server.envelope import error_body
from batch_pipeline.local_server.faults import BatchFault, Prose, Refusal, RowFault, RowStatus, Truncated
from batch_pipeline.local_server.replies import estimated_usage, reply_body
from batch_pipeline.wire.replies import Reply, Stop, Usage


class RowFaults:
    """The row faults of one batch; false if it has none."""

    def __init__(self, faults: Iterable[BatchFault]) -> None:
        self._faults = [fault for fault in faults if isinstance(fault, RowStatus | Prose | Refusal | Truncated)]

    def __bool__(self) -> bool:
        return bool(self._faults)

    def divide(self, requests: Iterable[Request]) -> tuple[list[Request], list[Answer]]:
        """Requests that nothing was ordered for, and the answers of the others."""
        spared: list[Request] = []
        answers: list[Answer] = []
        for request in requests:
            if fault := self._of(request):
                answers.append(_answer(request, fault))
            else:
                spared.append(request)
        return spared, answers

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
