"""Bodies of successful replies, as `/v1/chat/completions` and `/v1/responses` give them."""

from __future__ import annotations

import time

import orjson

from batch_pipeline.local_server.messages.translation import message_body
from batch_pipeline.wire.messages import MESSAGES
from batch_pipeline.wire.replies import Reply, Usage

_CHAT = (
    b'{"id":"chatcmpl-%b","object":"chat.completion","created":%d,"model":%b,"choices":[{"index":0,"message":'
    b'{"role":"assistant","content":%b,"refusal":%b,"annotations":[]},"logprobs":null,"finish_reason":"%b"}],'
    b'"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d,"prompt_tokens_details":'
    b'{"cached_tokens":%d,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":%d,"audio_tokens":0,'
    b'"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default",'
    b'"system_fingerprint":null}'
)
_RESPONSE = (
    b'{"id":"resp_%b","object":"response","created_at":%d,"status":"%b","background":false,"error":null,'
    b'"incomplete_details":%b,"instructions":null,"max_output_tokens":null,"model":%b,"output":[{"id":"msg_%b",'
    b'"type":"message","status":"%b","role":"assistant","content":[%b]}],"parallel_tool_calls":true,'
    b'"previous_response_id":null,"temperature":1.0,"tool_choice":"auto","tools":[],"top_p":1.0,'
    b'"truncation":"disabled","usage":{"input_tokens":%d,"input_tokens_details":{"cached_tokens":%d},'
    b'"output_tokens":%d,"output_tokens_details":{"reasoning_tokens":%d},"total_tokens":%d},"metadata":{}}'
)


def reply_body(url: str, model: str, reply: Reply, key: str) -> bytes:
    """The body that says `reply`, as JSON.

    Args:
        url: The endpoint.
        model: What the body names as the model.
        reply: What was said.
        key: What the ids in it are made of.
    """
    if url == MESSAGES:
        return message_body(model, reply, key)
    make = _response if url == "/v1/responses" else _chat
    return make(orjson.dumps(model), reply, key.encode())


def _chat(model: bytes, reply: Reply, key: bytes) -> bytes:
    said, usage = orjson.dumps(reply.text), reply.usage
    refused = reply.stop == "refusal"
    content, refusal = (b"null", said) if refused else (said, b"null")
    reason = b"length" if reply.stop == "length" else b"stop"
    return _CHAT % (
        *(key, int(time.time()), model, content, refusal, reason),
        *(usage.input_tokens, usage.output_tokens, usage.input_tokens + usage.output_tokens),
        *(usage.cached_tokens, usage.reasoning_tokens),
    )


def _response(model: bytes, reply: Reply, key: bytes) -> bytes:
    said, usage = orjson.dumps(reply.text), reply.usage
    whole = reply.stop != "length"
    status, details = (b"completed", b"null") if whole else (b"incomplete", b'{"reason":"max_output_tokens"}')
    refused = b'{"type":"refusal","refusal":%b}' % said
    part = refused if reply.stop == "refusal" else b'{"type":"output_text","annotations":[],"text":%b}' % said
    return _RESPONSE % (
        *(key, int(time.time()), status, details, model, key, status, part),
        *(usage.input_tokens, usage.cached_tokens, usage.output_tokens, usage.reasoning_tokens),
        usage.input_tokens + usage.output_tokens,
    )


def estimated_usage(asked: int, text: str) -> Usage:
    """Usage at four bytes a token: `asked` bytes of request, and what was said."""
    return Usage(input_tokens=max(1, asked // 4), output_tokens=max(1, len(text.encode()) // 4))
