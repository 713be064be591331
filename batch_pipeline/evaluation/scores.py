"""Answers against gold answers, by scikit-learn.

A row without an answer is wrong, and stays told apart: it is none of any class's answers, and has a column of its own
in the confusion matrix. The classes are those that occur, in gold or in answers, as scikit-learn has them by default;
so where every row is answered, its functions give the same on the two lists of labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from batch_pipeline.evaluation.fields import Labels
from batch_pipeline.evaluation.intervals import Interval, bootstrap, wilson

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Marks = NDArray[np.int8]

NO_ANSWER = "(no answer)"
"""In the confusion matrix: what a row without an answer was answered."""


@dataclass(frozen=True)
class ClassScore:
    """One class: `support` is its gold rows."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Confusion:
    """Rows are gold, columns are answers, both in the order of `labels`.

    Of a field with several labels a row: for each label its own two by two, `[[neither, answered only], [gold only,
    both]]`.
    """

    labels: Labels
    matrix: Sequence[Sequence[int]] | Sequence[Sequence[Sequence[int]]]


@dataclass(frozen=True)
class Scores:
    """What the answers of one field come to. `accuracy` of several labels: all of them right, and no other."""

    rows: int
    answered: int
    accuracy: float
    accuracy_interval: Interval
    macro_f1: float
    macro_f1_interval: Interval
    micro_f1: float
    per_class: Sequence[ClassScore]
    confusion: Confusion


def score(gold: Sequence[Labels], answers: Sequence[Labels | None], *, several: bool) -> Scores:
    """Scores answers against gold answers, row by row; None is a row without an answer.

    Raises:
        ValueError: There are no rows.
    """
    if not gold:
        raise ValueError("no rows to score")
    right = [given == wanted for wanted, given in zip(gold, answers, strict=True)]
    classes = sorted({label for row in (*gold, *answers) for label in row or ()})
    wanted, given = _indicators(gold, classes), _indicators([row or () for row in answers], classes)
    return Scores(
        rows=len(gold),
        answered=sum(row is not None for row in answers),
        accuracy=sum(right) / len(right),
        accuracy_interval=wilson(sum(right), len(right)),
        macro_f1=_f1(classes, wanted, given, "macro"),
        macro_f1_interval=bootstrap(len(gold), lambda rows: macro_f1(wanted[rows], given[rows])),
        micro_f1=_f1(classes, wanted, given, "micro"),
        per_class=_per_class(classes, wanted, given),
        confusion=_confusion(classes, wanted, given) if several else _square(classes, gold, answers),
    )


def macro_f1(wanted: Marks, given: Marks) -> float:
    """The mean F1 of the classes that occur: as scikit-learn has it, a hundred times as fast.

    Args:
        wanted: Rows by classes, 1 where the gold answer has the class.
        given: The same of the answers.
    """
    both, either = (wanted * given).sum(axis=0), wanted.sum(axis=0) + given.sum(axis=0)
    occur = either > 0
    return float((2 * both[occur] / either[occur]).mean()) if occur.any() else 0.0


def _indicators(rows: Sequence[Labels], classes: Sequence[str]) -> Marks:
    """Two columns at least, for scikit-learn takes a single one for something else; the further ones are empty."""
    import numpy as np

    marks = np.zeros((len(rows), max(2, len(classes))), dtype=np.int8)
    if classes:
        import sklearn.preprocessing

        binarizer = cast(Any, sklearn.preprocessing.MultiLabelBinarizer(classes=list(classes)))
        marks[:, : len(classes)] = binarizer.fit_transform(rows)
    return marks


def _f1(classes: Sequence[str], wanted: Marks, given: Marks, average: str) -> float:
    if not classes:
        return 0.0
    columns = list(range(len(classes)))
    return float(_metrics().f1_score(wanted, given, labels=columns, average=average, zero_division=0))


def _per_class(classes: Sequence[str], wanted: Marks, given: Marks) -> tuple[ClassScore, ...]:
    figures = _metrics().precision_recall_fscore_support(wanted, given, zero_division=0)
    precision, recall, f1, support = (list(map(float, column)) for column in figures)
    found = zip(classes, precision, recall, f1, map(int, support), strict=False)
    return tuple(ClassScore(*figures) for figures in found)


def _square(classes: Sequence[str], gold: Sequence[Labels], answers: Sequence[Labels | None]) -> Confusion:
    labels = (*classes, NO_ANSWER) if None in answers else tuple(classes)
    if len(labels) == 1:  # scikit-learn warns of it
        return Confusion(labels, [[len(gold)]])
    given = [NO_ANSWER if row is None else row[0] for row in answers]
    matrix = _metrics().confusion_matrix([row[0] for row in gold], given, labels=list(labels))
    return Confusion(labels, cast("list[list[int]]", matrix.tolist()))


def _confusion(classes: Sequence[str], wanted: Marks, given: Marks) -> Confusion:
    matrix = _metrics().multilabel_confusion_matrix(wanted, given)[: len(classes)]
    return Confusion(tuple(classes), cast("list[list[list[int]]]", matrix.tolist()))


def _metrics() -> Any:  # noqa: ANN401 - scikit-learn brings no types
    import sklearn.metrics

    return sklearn.metrics
