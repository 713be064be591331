"""Vectors of texts for `simulated`: words and pairs of words, hashed into as many dimensions as are asked for.

Texts that share words are near each other, and those that don't are nearly at right angles; no more than that is meant.
Each word falls on one dimension, with a sign, both from its hash ("the hashing trick"): inner products of what is
hashed are those of the word counts, but for collisions. All inputs of a request are hashed at once, byte by byte in
numpy.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Hashes = NDArray[np.uint64]
Numbers = NDArray[np.float64]

AT_ONCE = 16
"""Inputs hashed at once: what is made of them stays in the processor's cache."""

PAIR = 0.25
"""What a pair of words counts beside a word."""

BY_LENGTH = np.array([0.0, 0.05, 0.1, 0.2, 0.6, 0.8, 1.0])
"""What a word counts by its bytes, the last one for longer ones: short words are in every text."""

IDEOGRAPHS = 0xE3
"""From this first byte on, a character is a word: Chinese, Japanese and Korean set no spaces."""

_PRIME = np.uint64(0x100000001B3)
_MIXER = np.uint64(0x9E3779B97F4A7C15)


def _lowered() -> Bytes:
    table = np.zeros(256, np.uint8)
    for byte in range(256):
        letter = chr(byte).lower() if byte < 0x80 else ""
        table[byte] = byte if byte >= 0x80 else ord(letter) if letter.isalnum() else 0
    return table


_LOWERED = _lowered()
"""Small letters and digits as they are, 0 for what parts words; other bytes are parts of letters."""


def hashed_vectors(inputs: Sequence[str | list[int]], dimensions: int) -> NDArray[np.float32]:
    """A vector of length 1 for each input: texts, or token ids, which are words of a space of their own.

    The same input gives the same vector, whatever stands beside it.
    """
    parts = [_hashed(inputs[at : at + AT_ONCE], dimensions) for at in range(0, len(inputs), AT_ONCE)]
    return np.concatenate(parts)


def _hashed(inputs: Sequence[str | list[int]], dimensions: int) -> NDArray[np.float32]:
    hashes, weights, rows = _words(inputs)
    follows = rows[1:] == rows[:-1]
    pairs = (hashes[:-1] * _PRIME ^ hashes[1:])[follows]
    paired = (PAIR * np.minimum(weights[:-1], weights[1:]))[follows]
    hashes, rows = np.concatenate((hashes, pairs)), np.concatenate((rows, rows[:-1][follows]))
    weights = np.concatenate((weights, paired))
    mixed = hashes * _MIXER
    mixed ^= mixed >> np.uint64(29)
    signed = np.where(mixed >> np.uint64(63), weights, -weights)
    places = rows * dimensions + (mixed % np.uint64(dimensions)).astype(np.int64)
    sums = np.bincount(places, signed, len(inputs) * dimensions).astype(np.float32).reshape(-1, dimensions)
    vectors = np.copysign(np.sqrt(np.abs(sums)), sums)  # a word that comes ten times is not ten times as telling
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    vectors[:, 0] += lengths == 0  # no word in it, or none that counts
    vectors /= np.where(lengths == 0, 1, lengths)[:, None]
    return vectors


def _words(inputs: Sequence[str | list[int]]) -> tuple[Hashes, Numbers, NDArray[np.int64]]:
    """Of each word of all inputs: its hash, its weight, and the input that it is in."""
    texts = [b"" if isinstance(each, list) else each.encode(errors="surrogatepass") for each in inputs]
    parts = [_words_of_texts(texts)]
    for row, each in enumerate(inputs):
        if isinstance(each, list):
            hashes = (np.array(each, np.uint64) + np.uint64(1)) * _PRIME
            parts.append((hashes, np.ones(len(each)), np.full(len(each), row)))
    hashes, weights, rows = (np.concatenate(part) for part in zip(*parts, strict=True))
    return hashes, weights, rows


def _words_of_texts(texts: Sequence[bytes]) -> tuple[Hashes, Numbers, NDArray[np.int64]]:
    raw = np.frombuffer(b"\0" + b"\0".join(texts) + b"\0", np.uint8)
    lowered = _LOWERED[raw]
    inside = lowered != 0
    starts = inside & (~np.concatenate(([False], inside[:-1])) | (raw >= IDEOGRAPHS))
    at = np.flatnonzero(starts)
    if not len(at):
        return np.zeros(0, np.uint64), np.zeros(0), np.zeros(0, np.int64)
    letters = np.flatnonzero(inside)
    word = np.cumsum(starts)[letters] - 1
    place = letters - at[word]
    powers = np.cumprod(np.full(int(place.max()) + 1, _PRIME))
    first = np.flatnonzero(starts[letters])
    hashes = np.add.reduceat((lowered[letters].astype(np.uint64) + np.uint64(1)) * powers[place], first)
    lengths = np.diff(np.append(first, len(letters)))
    weights = np.where(raw[at] >= IDEOGRAPHS, 1.0, BY_LENGTH[np.minimum(lengths, len(BY_LENGTH) - 1)])
    ends = np.cumsum([len(text) + 1 for text in texts])
    return hashes, weights, np.searchsorted(ends, at, side="left")
