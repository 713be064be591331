"""Tokens counted in another thread are those that are counted here, in the same order, and don't hold up anybody."""

from __future__ import annotations

import threading
from multiprocessing import get_context

import pytest

from batch_pipeline.batches.money.tokens import TokenCounter
from batch_pipeline.batches.requests.counting import FROM, counting

COUNTER = TokenCounter("gpt-6-luna")
TEXTS = ["", "a b c", "Größe 😀 <|endoftext|>", "half \ud800 a pair", "word " * 5_000, '"quoted"\n\\']
COUNTS = [COUNTER.count(text) for text in TEXTS]


def test_both_count_the_same_and_keep_the_order() -> None:
    with counting(COUNTER, FROM) as beside, counting(COUNTER, FROM - 1) as here:
        assert (beside.beside, here.beside) == (True, False)
        begun = [beside.begin(TEXTS), beside.begin(TEXTS[::-1]), beside.begin([]), here.begin(TEXTS)]
        assert [counts() for counts in begun] == [COUNTS, COUNTS[::-1], [], COUNTS]


def test_this_thread_goes_on_meanwhile() -> None:
    """The tokenizer lets go of Python's lock: what is done here in turns with it would wait for its end otherwise."""
    with counting(COUNTER, FROM) as beside:
        assert beside.begin(["a"])() == [1]  # what it takes to load is over
        counts, steps = beside.begin(TEXTS * 20_000), 0
        done = threading.Event()
        threading.Thread(target=lambda: (counts(), done.set())).start()
        while not done.is_set():
            steps += 1
        assert steps > 1_000


def test_what_was_begun_and_is_not_wanted_any_more_is_left() -> None:
    def in_the_middle() -> None:
        with counting(COUNTER, FROM) as beside:
            begun = [beside.begin(TEXTS * 1_000) for _ in range(100)]
            assert len(begun[0]()) == len(TEXTS) * 1_000
            raise KeyError

    threads = threading.active_count()
    with pytest.raises(KeyError):
        in_the_middle()
    assert threading.active_count() == threads


def test_a_process_that_was_forked_counts_too() -> None:
    """Without the threads that the tokenizer had made."""
    assert COUNTER.count_masses(TEXTS) == COUNTS
    with get_context("fork").Pool(1) as pool:
        assert pool.apply_async(COUNTER.count_masses, [TEXTS]).get(timeout=60) == COUNTS
