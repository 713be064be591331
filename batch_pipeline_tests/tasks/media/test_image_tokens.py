from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_pipeline.tasks.content import Detail
from batch_pipeline.tasks.media.image_tokens import MOST_PATCHES, image_tokens, sent_size

MODELS = ("gpt-6-luna", "gpt-5.5", "gpt-5.4", "gpt-5.2", "gpt-5", "gpt-4o", "gpt-4o-mini", "o3", "claude-haiku-5-5")
DETAILS: tuple[Detail, ...] = ("low", "high", "original", "auto")

models, details = st.sampled_from(MODELS), st.sampled_from(DETAILS)
sides = st.one_of(st.integers(1, 3_000), st.integers(1, 100_000))


@pytest.mark.parametrize(
    ("model", "width", "height", "detail", "tokens"),
    [
        ("gpt-5.4", 1024, 1024, "high", 1229),  # these four are the guide's own
        ("gpt-5.4", 2048, 2048, "high", 3000),
        ("gpt-4o", 1024, 1024, "high", 765),
        ("gpt-4o", 2048, 4096, "high", 1105),
        ("gpt-6-astra", 4000, 3000, "low", 231),  # 512 by 384: 16 * 12 * 1.2
        ("gpt-6-luna", 1024, 1024, "high", 1229),
        ("gpt-4o", 9000, 9000, "low", 85),
        ("gpt-4o-mini", 512, 512, "high", 8500),
        ("gpt-5-2025-08-07", 512, 512, "auto", 210),
        ("gpt-5-mini", 1024, 1024, "high", 1229),
        ("o1", 512, 512, "high", 225),
        ("gpt-4.1-mini", 64, 64, "low", 7),
        ("claude-haiku-5-5", 1000, 1000, "auto", 1296),  # 36 * 36
    ],
)
def test_the_tokens_of_an_image(model: str, width: int, height: int, detail: Detail, tokens: int) -> None:
    assert image_tokens(model, width, height, detail) == tokens


@pytest.mark.parametrize(
    ("model", "size", "detail", "sent"),
    [
        ("gpt-6-luna", (4032, 3024), "low", (512, 384)),
        ("gpt-6-luna", (4032, 3024), "original", (4032, 3024)),
        ("gpt-6-luna", (4032, 3024), "auto", (4032, 3024)),
        ("gpt-5.4", (2048, 2048), "auto", (1600, 1600)),
        ("gpt-4o", (3000, 1500), "high", (1536, 768)),
        ("gpt-4o", (10, 100_000), "high", (1, 2048)),
        ("claude-sonnet-5", (1568, 100), "high", (1568, 100)),
        ("gpt-6-luna", (1, 1), "high", (1, 1)),
        ("gpt-6-luna", (10, 2_000_000), "original", (4, 960_000)),  # one patch wide
    ],
)
def test_the_size_that_is_sent(model: str, size: tuple[int, int], detail: Detail, sent: tuple[int, int]) -> None:
    assert sent_size(model, *size, detail) == sent


@given(models, sides, sides, details)
def test_nothing_is_enlarged_and_what_was_fitted_stays_as_it_is(
    model: str, width: int, height: int, detail: Detail
) -> None:
    sent = sent_size(model, width, height, detail)
    assert min(sent) >= 1
    assert sent[0] <= width
    assert sent[1] <= height
    assert sent_size(model, *sent, detail) == sent
    assert image_tokens(model, *sent, detail) == image_tokens(model, width, height, detail)


@given(models, sides, sides, details)
def test_no_image_costs_more_than_the_most_patches_do(model: str, width: int, height: int, detail: Detail) -> None:
    assert 0 < image_tokens(model, width, height, detail) <= max(1.2 * MOST_PATCHES, 2833 + 5667 * 8)


@given(models, st.integers(100, 5_000), st.integers(100, 5_000), details)
def test_the_shape_is_kept(model: str, width: int, height: int, detail: Detail) -> None:
    across, down = sent_size(model, width, height, detail)
    scale = max(across / width, down / height)
    assert abs(across - width * scale) < 2
    assert abs(down - height * scale) < 2
