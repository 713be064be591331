"""Two setups side by side, on the rows that both were asked about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import comb

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.errors import InvalidSelection
from batch_pipeline.evaluation import store
from batch_pipeline.evaluation.fields import Field, Labels, scorable
from batch_pipeline.evaluation.given import NOTHING, Given, cost_of, given_by
from batch_pipeline.evaluation.scores import Scores, score
from batch_pipeline.evaluation.store import Setup
from batch_pipeline.tasks.task import BatchTask

Asked = Mapping[str, str | None]
"""What one side is to have: values of `Setup` by name; what is not in it may be any."""


@dataclass(frozen=True)
class Side:
    """One of the two."""

    setup: Setup
    scores: Scores
    cost_usd: float


@dataclass(frozen=True)
class Change:
    """A row that the two answered differently; None is no answer."""

    record_id: str
    gold: Labels
    a: Labels | None
    b: Labels | None

    @property
    def told(self) -> str:
        """What it means."""
        if self.a == self.gold:
            return "A is right"
        return "B is right" if self.b == self.gold else "both are wrong"


@dataclass(frozen=True)
class Comparison:
    """Two setups on the same `rows`; `left_out` are gold rows that one of them was not asked about.

    `p_value` is McNemar's exact test: how likely it is that two setups of the same accuracy differ on as uneven a
    share of rows as these.
    """

    task: str
    field: str
    rows: int
    left_out: int
    a: Side
    b: Side
    only_a: int
    only_b: int
    p_value: float
    changes: Sequence[Change]


def compare(pipeline: Pipeline, task: BatchTask, field: str | None, a: Asked, b: Asked) -> Comparison:
    """Compares the newest two setups that were evaluated and are as asked; alike in all else, where there are such.

    Raises:
        InvalidSelection: There are no two such setups, no such field, or no rows that both were asked about.
    """
    with pipeline.warehouse.read() as connection:
        runs = store.runs(connection, task.name)
        found = _field(task, field, [run.field for run in runs])
        gold = store.all_gold(connection, task.name, found.name)
    first, second = _two(task, list(dict.fromkeys(run.setup for run in runs if run.field == found.name)), a, b)
    of_a, of_b = (given_by(pipeline, task.name, found, setup, gold.rows) for setup in (first, second))
    rows = {one: labels for one, labels in gold.rows.items() if NOTHING not in (of_a[one].outcome, of_b[one].outcome)}
    if not rows:
        raise InvalidSelection(
            f"There is no gold row of `{task.name}` that both {first.told} and {second.told} were asked about: "
            "evaluate both on the same file."
        )
    right = [(of_a[one].labels == labels, of_b[one].labels == labels) for one, labels in rows.items()]
    only_a, only_b = right.count((True, False)), right.count((False, True))
    return Comparison(
        task=task.name,
        field=found.name,
        rows=len(rows),
        left_out=len(gold.rows) - len(rows),
        a=_side(first, found, rows, of_a),
        b=_side(second, found, rows, of_b),
        only_a=only_a,
        only_b=only_b,
        p_value=mcnemar(only_a, only_b),
        changes=[
            Change(one, labels, of_a[one].labels, of_b[one].labels)
            for one, labels in rows.items()
            if of_a[one].labels != of_b[one].labels
        ],
    )


def mcnemar(only_a: int, only_b: int) -> float:
    """The two-sided p-value of McNemar's exact test: binomial, over the rows that just one of the two got right.

    Examples:
        >>> mcnemar(1, 9)
        0.021484375
    """
    uneven = only_a + only_b
    tail = sum(comb(uneven, count) for count in range(min(only_a, only_b) + 1))
    return min(1.0, 2 * tail / 2**uneven)


def _side(setup: Setup, field: Field, rows: Mapping[str, Labels], given: Mapping[str, Given]) -> Side:
    answers = [given[one].labels for one in rows]
    return Side(setup, score(list(rows.values()), answers, several=field.several), cost_of(given[one] for one in rows))


def _field(task: BatchTask, asked: str | None, evaluated: Sequence[str]) -> Field:
    fields = scorable(task)
    name = asked or next((name for name in evaluated if name in fields), None)
    if name is None:
        raise InvalidSelection(
            f"`{task.name}` was not evaluated yet: `batch-pipeline eval run {task.name} --gold FILE` does that."
        )
    if name not in fields or name not in evaluated:
        known = ", ".join(dict.fromkeys(evaluated)) or "none"
        raise InvalidSelection(f"Field `{name}` of `{task.name}` was not evaluated; those that were: {known}.")
    return fields[name]


def _two(task: BatchTask, setups: Sequence[Setup], a: Asked, b: Asked) -> tuple[Setup, Setup]:
    """The newest first: so the first pair that differs in the least is the one."""
    pairs = [pair for pair in product(filter(_as(a), setups), filter(_as(b), setups)) if pair[0] != pair[1]]
    if not pairs:
        known = "; ".join(setup.told for setup in setups) or "none"
        raise InvalidSelection(f"There are no two such evaluations of `{task.name}`. There are: {known}.")
    return min(pairs, key=lambda pair: sum(vars(pair[0])[name] != vars(pair[1])[name] for name in vars(pair[0])))


def _as(asked: Asked) -> Callable[[Setup], bool]:
    return lambda setup: all(vars(setup)[name] == value for name, value in asked.items())
