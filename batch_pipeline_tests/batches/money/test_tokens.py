from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_pipeline.batches.money.tokens import TokenCounter, encoding_for, framing_tokens, headroom_tokens

AWKWARD = [
    *("a", "B", "word", " ", "  ", "\n", "\r\n", "\t", "1", "234", "'s", "'LL", "\u2019s", "/", "//", "...", "_", "\0"),
    *(
        "é",
        "\u0301",
        "ß",
        "ſ",  # noqa: RUF001 - is s in lower case
        "'ſ",  # noqa: RUF001 - the same
        "中文",
        "한국",
        "नम",
        "\u0e01\u0e33",
        "٣",
        "ﬁ",
        "ǅ",
        "\u200b",
        "\u3000",
        "\u2028",
        "\ufeff",
    ),
    *("🧠", "👨\u200d👩\u200d👧", "<|endoftext|>", "<|im_start|>", "a" * 500, " " * 300, "!" * 200, "中" * 200),
]
"""What a pattern that splits text into words can get wrong."""


@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        ("gpt-6-luna", "o200k_base"),
        ("gpt-5.4-mini", "o200k_base"),
        ("gpt-4o", "o200k_base"),
        ("gpt-4o-mini-2024-07-18", "o200k_base"),
        ("gpt-4.1", "o200k_base"),
        ("o3", "o200k_base"),
        ("claude-haiku-5-5", "o200k_base"),
        ("some-deployment", "o200k_base"),
        ("gpt-4", "cl100k_base"),
        ("GPT-4-Turbo", "cl100k_base"),
        ("gpt-3.5-turbo", "cl100k_base"),
        ("gpt-35-turbo", "cl100k_base"),
        ("ft:gpt-3.5-turbo:acme::1", "cl100k_base"),
        ("ft:gpt-4o:acme::1", "o200k_base"),
        ("text-embedding-3-small", "cl100k_base"),
    ],
)
def test_the_encoding_is_the_models_own_or_the_newest(model: str, encoding: str) -> None:
    assert encoding_for(model) == encoding


@pytest.mark.parametrize(
    ("model", "exact"),
    [
        ("gpt-5.4-mini", True),
        ("gpt-4.1", True),
        ("o4-mini", True),
        ("text-embedding-3-large", True),
        ("gpt-6-luna", False),  # no source names its encoding
        ("claude-haiku-5-5", False),
        ("smollm2-135m", False),
        ("qwen3-8b", False),
    ],
)
def test_a_count_is_exact_only_where_the_encoding_is_known_to_be_the_providers(model: str, exact: bool) -> None:
    assert TokenCounter(model).exact is exact


def test_counts_are_pinned_by_numbers() -> None:
    text = "Crash when opening a file > 2 GB: 'NoneType' object has no attribute 'read' 🐛\n\tat main.py:17"
    assert TokenCounter("gpt-4o").count(text) == 30
    assert TokenCounter("gpt-4").count(text) == 31
    assert TokenCounter("gpt-4o").count("hello world") == 2
    assert TokenCounter("gpt-4o").count("") == 0


def test_text_that_looks_like_a_special_token_is_text() -> None:
    counter = TokenCounter("gpt-4o")
    assert counter.count("<|endoftext|>") > 1
    texts = ["<|endoftext|>", "a", "<|im_start|>system<|think|>", "<|fim_prefix|> and <|endofprompt|>", "<|"]
    assert counter.count_many(texts) == counter.count_masses(texts) == [counter.count(text) for text in texts]


def test_half_a_surrogate_pair_is_counted_as_the_sign_for_it() -> None:
    counter = TokenCounter("gpt-4o")
    assert counter.count("a\ud800b") == counter.count("a\ufffdb")
    assert counter.count_many(["x", "a\ud800b"]) == [1, counter.count("a\ufffdb")]
    assert counter.count_masses(["x", "a\ud800b"]) == [1, counter.count("a\ufffdb")]


@settings(deadline=None)
@given(st.lists(st.text()))
def test_many_are_counted_as_one_by_one(texts: list[str]) -> None:
    counter = TokenCounter("gpt-6-luna")
    assert counter.count_many(texts) == counter.count_masses(texts) == [counter.count(text) for text in texts]


@settings(deadline=None)
@given(
    st.sampled_from(["gpt-4o", "gpt-4"]),
    st.lists(st.lists(st.sampled_from(AWKWARD), max_size=40).map("".join), max_size=50),
)
def test_both_tokenizers_count_the_same(model: str, texts: list[str]) -> None:
    counter = TokenCounter(model)
    assert counter.count_masses(texts) == [counter.count(text) for text in texts]


@settings(deadline=None)
@given(st.text(), st.text())
def test_two_texts_together_take_no_more_than_apart_but_for_the_seam(left: str, right: str) -> None:
    # a plan counts the constant part once and the record's own text per record
    counter = TokenCounter("gpt-4o")
    assert counter.count(left + right) <= counter.count(left) + counter.count(right) + headroom_tokens(1)


def test_the_headroom_is_above_what_is_expected_of_the_frame() -> None:
    assert all(headroom_tokens(n) > framing_tokens(n) for n in range(20))


def test_counting_does_not_load_the_package_that_unpacks_every_encoding_and_leaves_it_usable() -> None:
    program = """
import sys
from batch_pipeline.batches.money.tokens import TokenCounter
assert "bpe_openai._bindings" not in sys.modules
assert TokenCounter("gpt-4o").count("hello world") == 2
assert "bpe_openai" not in sys.modules
import bpe_openai
assert bpe_openai.get_encoding("o200k_base").encode("hello world") == [24912, 2375]
"""
    subprocess.run([sys.executable, "-c", program], check=True)
