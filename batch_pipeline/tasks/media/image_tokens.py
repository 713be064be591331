"""What an image costs in tokens, and the size that a model looks at: a larger one is only more to upload.

OpenAI: guide "Images and vision", October 2026. A model counts patches of 32 pixels, or tiles of 512; what it does to a
large image is the model's and the detail level's. Anthropic: guide "Vision", 2026: patches of 28 pixels, 1,568 pixels
and patches at most; models since claude-opus-4-7 take 2,576 pixels and 4,784 patches, which is used where a task asks
for `original`. A model that neither guide names counts as gpt-6-astra.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, floor, sqrt
from typing import Protocol

from batch_pipeline.tasks.content import Detail

MOST_PATCHES = 30_000
"""A request with a larger image is rejected."""


def sent_size(model: str, width: int, height: int, detail: Detail = "auto") -> tuple[int, int]:
    """The pixels that `model` uses of an image of `width` by `height`; never more than there are."""
    return _rules_of(model).size(width, height, detail)


def image_tokens(model: str, width: int, height: int, detail: Detail = "auto") -> int:
    """The input tokens of an image of that size; OpenAI says that its own count may differ by one."""
    rules = _rules_of(model)
    return rules.tokens(*rules.size(width, height, detail), detail)


class _Rules(Protocol):
    def size(self, width: int, height: int, detail: Detail) -> tuple[int, int]: ...

    def tokens(self, width: int, height: int, detail: Detail) -> int: ...


@dataclass(frozen=True, slots=True)
class _Limits:
    """The longest side in pixels, None for any, and the most patches."""

    longest: int | None
    patches: int


@dataclass(frozen=True)
class _Patches:
    """Counts squares of `side` pixels, times `multiplier`."""

    multiplier: float
    limits: Mapping[Detail, _Limits]
    side: int = 32

    def size(self, width: int, height: int, detail: Detail) -> tuple[int, int]:
        limits = self.limits[detail]
        width, height = _within(width, height, limits.longest, limits.longest)
        if self._count(width, height) <= limits.patches:
            return width, height
        scale = self._scale(width, height, limits.patches)
        return max(1, floor(width * scale)), max(1, floor(height * scale))

    def tokens(self, width: int, height: int, detail: Detail) -> int:
        return ceil(round(self._count(width, height) * self.multiplier, 6))

    def _count(self, width: int, height: int) -> int:
        return ceil(width / self.side) * ceil(height / self.side)

    def _scale(self, width: int, height: int, budget: int) -> float:
        """As the guide has it; a side of less than one patch counts as one all the same."""
        scale = sqrt(self.side**2 * budget / (width * height))
        across = [length * scale / self.side for length in (width, height)]
        if min(across) < 1:
            return self.side * budget / max(width, height)
        return scale * min(floor(patches) / patches for patches in across)


@dataclass(frozen=True)
class _Tiles:
    """Counts squares of 512 pixels, and a base; at `low` the base alone."""

    base: int
    tile: int

    def size(self, width: int, height: int, detail: Detail) -> tuple[int, int]:
        if detail == "low":
            return _within(width, height, 512, 512)
        width, height = _within(width, height, 2048, 2048)
        return _within(width, height, 768, None) if width < height else _within(width, height, None, 768)

    def tokens(self, width: int, height: int, detail: Detail) -> int:
        return self.base + (0 if detail == "low" else self.tile * ceil(width / 512) * ceil(height / 512))


def _within(width: int, height: int, widest: int | None, highest: int | None) -> tuple[int, int]:
    """The size in the same shape, within the limits."""
    scale = min(1.0, (widest or width) / width, (highest or height) / height)
    return _scaled(width, scale, widest), _scaled(height, scale, highest)


def _scaled(length: int, scale: float, most: int | None) -> int:
    return max(1, min(floor(round(length * scale, 6)), most or length))


def _levels(low: _Limits, high: _Limits, original: _Limits, auto: _Limits) -> dict[Detail, _Limits]:
    return {"low": low, "high": high, "original": original, "auto": auto}


_SMALL, _LARGE, _ALL = _Limits(512, 512 * 512 // 32**2), _Limits(2048, 2_500), _Limits(2048, 6_144)
_WHOLE, _WIDE = _Limits(None, MOST_PATCHES), _Limits(6_000, 10_000)
_NEWEST = _Patches(1.2, _levels(_SMALL, _LARGE, _WHOLE, _WHOLE))
_EVERY_LEVEL = _levels(_ALL, _ALL, _ALL, _ALL)
_CLAUDE, _CLAUDE_WHOLE = _Limits(1_568, 1_568), _Limits(2_576, 4_784)

_RULES: tuple[tuple[re.Pattern[str], _Rules], ...] = tuple(
    (re.compile(rf"(ft:)?({names})"), rules)
    for names, rules in (
        (r"claude", _Patches(1.0, _levels(_CLAUDE, _CLAUDE, _CLAUDE_WHOLE, _CLAUDE), side=28)),
        (r"gpt-4o-mini", _Tiles(2833, 5667)),
        (r"gpt-4\.1-mini", _Patches(1.62, _EVERY_LEVEL)),
        (r"gpt-4\.1-nano", _Patches(2.46, _EVERY_LEVEL)),
        (r"o4-mini", _Patches(1.72, _EVERY_LEVEL)),
        (r"gpt-4o|chatgpt-4o|gpt-4\.[15]", _Tiles(85, 170)),
        (r"o[13](-|$)", _Tiles(75, 150)),
        (r"gpt-5-mini|gpt-5\.2", _Patches(1.2, _EVERY_LEVEL)),
        (r"gpt-5-nano", _Patches(1.5, _EVERY_LEVEL)),
        (r"gpt-5\.4", _Patches(1.2, _levels(_ALL, _LARGE, _LARGE, _LARGE))),
        (r"gpt-5\.5", _Patches(1.2, _levels(_SMALL, _LARGE, _WIDE, _WIDE))),
        (r"gpt-5(\.1)?(-|$)", _Tiles(70, 140)),
    )
)
"""The first that matches counts. Levels that the guide does not give for a model are taken to be its largest."""


def _rules_of(model: str) -> _Rules:
    return next((rules for pattern, rules in _RULES if pattern.match(model.lower())), _NEWEST)
