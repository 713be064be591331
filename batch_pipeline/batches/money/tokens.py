"""Tokens of a text, counted offline with OpenAI's published encodings.

What a provider bills is the rendered prompt: the texts, and a frame around each message that no provider publishes.
So a count has two additions: `framing_tokens`, what is expected of the frame, and `headroom_tokens`, what the bound
allows for it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from batch_pipeline.wire.encodings import Encoding, count_many, tokenizer

MESSAGE_FRAME = 3
REPLY_FRAME = 3
"""Tokens around each message, and before the reply: OpenAI's own cookbook, for the chat models up to gpt-4o."""

MESSAGE_HEADROOM = 16
REQUEST_HEADROOM = 32
"""What the bound allows on top: names, roles, and how a JSON schema is rendered, which OpenAI doesn't publish."""

_CL100K = re.compile(r"(ft:)?(gpt-4(-|$)|gpt-3\.?5|text-embedding-|davinci-002|babbage-002)")
_PUBLISHED = re.compile(
    r"(ft:)?(gpt-[345]|gpt-oss|chatgpt-4o|codex-mini|o[134](-|$)|text-embedding-3|davinci-|babbage-)"
)
"""Models whose encoding tiktoken 0.14.0 names. It names none for gpt-6: counts for that are not known to be exact."""


class TokenCounter:
    """Counts what `model` would read.

    Args:
        model: A provider's model name, such as `gpt-6-luna`; for a deployment, the model behind it (`Price.model`).
    """

    def __init__(self, model: str) -> None:
        self.model = model
        self.encoding: Encoding = encoding_for(model)
        self.exact: bool = _PUBLISHED.match(model.lower()) is not None
        """Whether this is known to be the provider's own encoding; if not, the bound takes half as much again."""

    def count(self, text: str) -> int:
        """Tokens of `text`. Special tokens in it, such as `<|endoftext|>`, are text like any other, as in a request."""
        try:
            return tokenizer(self.encoding).count(text)
        except UnicodeEncodeError:
            return tokenizer(self.encoding).count(_without_lone_surrogates(text))

    def count_many(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, in their order.

        One after the other: the tokenizer holds Python's lock while it counts, and two threads were slower than one
        (22 against 27 MB/s, bpe-openai 0.1.4).
        """
        count = tokenizer(self.encoding).count
        try:
            return [count(text) for text in texts]
        except UnicodeEncodeError:
            return [self.count(text) for text in texts]

    def count_masses(self, texts: Sequence[str]) -> list[int]:
        """The same of very many (`encodings.count_many`)."""
        try:
            return count_many(self.encoding, texts)
        except UnicodeEncodeError:
            return self.count_many(texts)


def encoding_for(model: str) -> Encoding:
    """`cl100k_base` for gpt-4, gpt-3.5 and embeddings, as in tiktoken; `o200k_base` for what is newer or unknown."""
    return "cl100k_base" if _CL100K.match(model.lower()) else "o200k_base"


def framing_tokens(messages: int = 2) -> int:
    """Tokens that are expected around `messages` messages of one request, beyond their texts."""
    return MESSAGE_FRAME * messages + REPLY_FRAME


def headroom_tokens(messages: int = 2) -> int:
    """Tokens that the bound allows for one request of `messages` messages, beyond what was counted."""
    return MESSAGE_HEADROOM * messages + REQUEST_HEADROOM


def _without_lone_surrogates(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
