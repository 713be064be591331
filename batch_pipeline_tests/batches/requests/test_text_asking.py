"""What is done for many texts in one go is what would be done for each."""

from __future__ import annotations

import orjson
from hypothesis import given
from hypothesis import strategies as st

from batch_pipeline.batches.requests.text_asking import JSON_AT_ONCE, json_strings, of_first

TEXTS = st.text() | st.text(alphabet='\n\r",\\ []\u2028\x00é')


@given(st.lists(TEXTS))
def test_each_text_is_the_json_that_it_would_be_alone(texts: list[str]) -> None:
    assert json_strings(texts) == [orjson.dumps(text) for text in texts]


def test_more_texts_than_become_json_at_a_time() -> None:
    texts = [f'a "{number}"\n' for number in range(2 * JSON_AT_ONCE + 1)]
    assert json_strings(texts) == [orjson.dumps(text) for text in texts]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers())))
def test_of_identical_ones_the_first_counts_and_keeps_its_place(pairs: list[tuple[int, int]]) -> None:
    expected: dict[str, int] = {}
    for key, value in pairs:
        expected.setdefault(str(key), value)
    made = of_first([str(key) for key, _ in pairs], [value for _, value in pairs])
    assert list(made.items()) == list(expected.items())
