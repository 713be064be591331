"""Tokens of texts, counted with OpenAI's published encodings, and read back from their ids."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from batch_pipeline.wire.encodings import Encoding, tokenizer

_IDS = {"cl100k_base": 100_256, "o200k_base": 199_998}
"""How many ids an encoding has; bpe-openai 0.1.4 ends the process when it is given a larger one."""


def token_counts(inputs: Sequence[str | list[int]], model: str) -> list[int]:
    """Tokens of each input, in the encoding of `model`."""
    count = tokenizer(_encoding(model)).count
    return [count(each) if isinstance(each, str) else len(each) for each in inputs]


def decoded(tokens: Sequence[int], model: str) -> str:
    """The text of token ids of `model`; ids that are none, and parts of a letter, are left out."""
    encoding = _encoding(model)
    known = [token for token in tokens if 0 <= token < _IDS[encoding]]
    decode = tokenizer(encoding).decode
    with suppress(ValueError):
        return decode(known)
    texts: list[str] = []
    for token in known:
        with suppress(ValueError):
            texts.append(decode([token]))
    return "".join(texts)


def _encoding(model: str) -> Encoding:
    return "cl100k_base" if model.startswith("text-embedding-") else "o200k_base"
