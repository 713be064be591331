"""Takes a reply of the embeddings endpoint apart: one line answers many inputs, and each has an outcome of its own."""

from __future__ import annotations

import binascii
import math
from array import array
from base64 import b64decode
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import cast

from batch_pipeline.batches.outcomes.judging import Outcome, Result, judge_status
from batch_pipeline.wire.lines import OutputLine
from batch_pipeline.wire.replies import Usage, read_embeddings

Inputs = Sequence[tuple[str, int]]
"""Of one line: custom_id and counted tokens of each input, in their order."""


class EmbeddingJudge:
    """Judges the lines of a batch of embeddings.

    Args:
        inputs: By a line's custom_id, what it asked for.
        dimensions: How many numbers each embedding must have; as many as most of the first line's where it is None.
    """

    def __init__(self, inputs: Mapping[str, Inputs], dimensions: int | None) -> None:
        self._inputs = inputs
        self._dimensions = dimensions

    def __call__(self, line: OutputLine) -> list[tuple[str, Result]]:
        """What became of each input of the line; a line that nobody asked for stays one row."""
        inputs = self._inputs.get(line.custom_id, [(line.custom_id, 1)])
        bad = judge_status(line)
        if bad is not None:
            # one bad input fails its whole request: the others go again, and each is alone then
            outcome: Outcome = "retryable" if bad.outcome == "failed" and len(inputs) > 1 else bad.outcome
            return [(name, replace(bad, outcome=outcome)) for name, _ in inputs]
        given, usage = read_embeddings(line.body)
        vectors = {position: _floats(vector) for position, vector in given.items()}
        if self._dimensions is None:
            self._dimensions = _most_common_size(vectors.values())
        shares = _shared(usage.input_tokens, [tokens for _, tokens in inputs])
        return [
            (name, self._judge(vectors.get(position), position, Usage(input_tokens=share)))
            for position, ((name, _), share) in enumerate(zip(inputs, shares, strict=True))
        ]

    def _judge(self, vector: array[float] | None, position: int, usage: Usage) -> Result:
        wrong = self._wrong(vector, position)
        if vector is None or wrong is not None:
            return Result("invalid", 200, "invalid_embedding", wrong, None, usage)
        return Result("answered", 200, None, None, None, usage, vector.tobytes())

    def _wrong(self, vector: array[float] | None, position: int) -> str | None:
        if vector is None:
            return f"the reply has no embedding of the input at index {position}"
        if self._dimensions is not None and len(vector) != self._dimensions:
            return f"the embedding has {len(vector):,} numbers, and {self._dimensions:,} are wanted"
        return None if all(map(math.isfinite, vector)) else "the embedding has a number that is not finite"


def _floats(given: object) -> array[float] | None:
    """Base64 of little-endian floats of 32 bits, or a list of numbers; None for anything else, or nothing."""
    try:
        if isinstance(given, str):
            floats = array("f", b64decode(given, validate=True))
        elif isinstance(given, list):
            floats = array("f", cast("list[float]", given))
        else:
            return None
    except (binascii.Error, ValueError, TypeError, OverflowError):
        return None
    return floats or None


def _most_common_size(vectors: Iterable[array[float] | None]) -> int | None:
    """One that is wrong must not make the others so."""
    sizes = Counter(len(vector) for vector in vectors if vector is not None)
    return sizes.most_common(1)[0][0] if sizes else None


def _shared(total: int, weights: Sequence[int]) -> list[int]:
    """`total`, shared out by weight; the shares add up to it."""
    weights = weights if any(weights) else [1] * len(weights)
    whole = sum(weights)
    upto = [total * weight // whole for weight in accumulate(weights)]
    return [end - start for start, end in pairwise([0, *upto])]
