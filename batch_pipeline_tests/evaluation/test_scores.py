from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_pipeline.evaluation.scores import NO_ANSWER, macro_f1, score

metrics = cast(Any, sklearn.metrics)

Pairs = list[tuple[str, str]]

pairs = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd")), min_size=1, max_size=30)
several = st.frozensets(st.sampled_from("abc"))


def of_one(rows: Pairs) -> tuple[list[tuple[str, ...]], list[tuple[str, ...] | None]]:
    return [(gold,) for gold, _ in rows], [(answer,) for _, answer in rows]


@settings(max_examples=25, deadline=None)
@given(pairs)
def test_scores_are_those_of_scikit_learn_on_the_two_lists(rows: Pairs) -> None:
    gold, answers = [pair[0] for pair in rows], [pair[1] for pair in rows]
    found = score(*of_one(rows), several=False)
    assert found.accuracy == pytest.approx(metrics.accuracy_score(gold, answers))
    assert found.macro_f1 == pytest.approx(metrics.f1_score(gold, answers, average="macro", zero_division=0))
    if len({*gold, *answers}) > 1:  # it warns of a single one
        assert found.confusion.matrix == metrics.confusion_matrix(gold, answers).tolist()
    report = metrics.classification_report(gold, answers, output_dict=True, zero_division=0)
    assert [each.label for each in found.per_class] == sorted({*gold, *answers})
    for each in found.per_class:
        by_hand = report[each.label]
        assert (each.precision, each.recall, each.f1) == pytest.approx(
            (by_hand["precision"], by_hand["recall"], by_hand["f1-score"])
        )
        assert each.support == by_hand["support"]


@settings(max_examples=25, deadline=None)
@given(pairs)
def test_the_intervals_hold_the_score(rows: Pairs) -> None:
    found = score(*of_one(rows), several=False)
    assert found.accuracy_interval.low <= found.accuracy <= found.accuracy_interval.high
    assert 0 <= found.macro_f1_interval.low <= found.macro_f1_interval.high <= 1
    assert score(*of_one(rows), several=False) == found  # a fixed seed


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(st.booleans(), min_size=3, max_size=3), st.lists(st.booleans(), min_size=3, max_size=3)),
        min_size=1,
    )
)
def test_the_fast_macro_f1_is_scikit_learns(rows: list[tuple[list[bool], list[bool]]]) -> None:
    wanted, given_ = (np.array([row[side] for row in rows], dtype=np.int8) for side in (0, 1))
    occur = [column for column in range(3) if wanted[:, column].any() or given_[:, column].any()]
    by_hand = metrics.f1_score(wanted, given_, labels=occur, average="macro", zero_division=0) if occur else 0.0
    assert macro_f1(wanted, given_) == pytest.approx(by_hand)


def test_a_row_without_an_answer_is_wrong_and_told_apart() -> None:
    found = score([("a",), ("a",), ("b",)], [("a",), None, ("b",)], several=False)
    assert (found.rows, found.answered, found.accuracy) == (3, 2, pytest.approx(2 / 3))
    assert found.confusion.labels == ("a", "b", NO_ANSWER)
    assert found.confusion.matrix == [[1, 0, 1], [0, 1, 0], [0, 0, 0]]
    assert [(each.label, each.precision, each.recall) for each in found.per_class] == [("a", 1.0, 0.5), ("b", 1.0, 1.0)]


def test_one_class_alone_is_scored_as_one() -> None:
    right = score([("a",)] * 3, [("a",)] * 3, several=False)
    assert (right.accuracy, right.macro_f1, right.micro_f1) == (1.0, 1.0, 1.0)
    partly = score([("a",)] * 4, [("a",), ("a",), None, None], several=False)
    assert (partly.accuracy, partly.macro_f1) == (0.5, pytest.approx(2 / 3))


def test_nothing_answered_scores_nothing() -> None:
    found = score([("a",), ("b",)], [None, None], several=False)
    assert (found.answered, found.accuracy, found.macro_f1) == (0, 0.0, 0.0)
    assert found.accuracy_interval.low == 0


def test_no_rows_are_no_score() -> None:
    with pytest.raises(ValueError, match="no rows"):
        score([], [], several=False)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(several, several), min_size=2, max_size=20))
def test_several_labels_a_row_are_scored_label_by_label(rows: Sequence[tuple[frozenset[str], frozenset[str]]]) -> None:
    gold, answers = [tuple(sorted(row[0])) for row in rows], [tuple(sorted(row[1])) for row in rows]
    found = score(gold, answers, several=True)
    assert found.accuracy == pytest.approx(sum(a == b for a, b in rows) / len(rows))
    classes = sorted({label for row in rows for side in row for label in side})
    assert found.confusion.labels == tuple(classes)
    if len(classes) > 1:
        wanted, given_ = ([[label in row for label in classes] for row in side] for side in (gold, answers))
        for average in ("macro", "micro"):
            by_hand = metrics.f1_score(np.array(wanted), np.array(given_), average=average, zero_division=0)
            assert getattr(found, f"{average}_f1") == pytest.approx(by_hand)


def test_of_several_labels_no_answer_is_not_the_empty_answer() -> None:
    found = score([(), ("a",)], [None, ("a",)], several=True)
    assert (found.answered, found.accuracy) == (1, 0.5)
    assert score([(), ("a",)], [(), ("a",)], several=True).accuracy == 1.0
