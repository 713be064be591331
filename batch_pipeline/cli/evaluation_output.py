"""What `eval` prints: scores, and two setups side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from batch_pipeline.cli.output import Column, plural, print_facts, print_table, say, usd

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from batch_pipeline.evaluation.compare import Comparison, Side
    from batch_pipeline.evaluation.store import Score, Setup

_MOST = 20
"""Rows of one kind that are printed; --json has all of them."""

SCORE_COLUMNS = (
    Column("Field"),
    Column("Model", shrinks=True),
    Column("Prompt"),
    Column("Variant"),
    Column("Answered", right=True),
    Column("Accuracy", right=True),
    Column("95 %"),
    Column("Macro F1", right=True),
    Column("95 %"),
    Column("Cost", right=True),
    Column("Gold"),
)


def say_score(score: Score) -> None:
    """Prints a score: with its intervals, by class, and as a confusion matrix."""
    missing = ", ".join(f"{count:,} {outcome}" for outcome, count in score.unanswered.items())
    say()
    say(f"{score.task}, field {score.field}: {score.setup.told}.")
    facts = [
        (
            "Rows",
            f"{score.rows:,}, {score.answered:,} answered"
            + (f"; wrong without an answer: {missing}" if missing else ""),
        ),
        ("Accuracy", f"{score.accuracy:.3f}  95 %: {score.accuracy_low:.3f} to {score.accuracy_high:.3f} (Wilson)"),
        ("Macro F1", f"{score.macro_f1:.3f}  95 %: {score.macro_f1_low:.3f} to {score.macro_f1_high:.3f} (bootstrap)"),
        ("Cost", usd(score.cost_usd)),
    ]
    print_facts(facts)
    say()
    columns = [Column("Class"), *(Column(head, right=True) for head in ("Precision", "Recall", "F1", "Gold rows"))]
    print_table(columns, [_class_row(each) for each in score.per_class])
    _say_confusion(score)


def _class_row(each: Mapping[str, object]) -> tuple[str, ...]:
    shares = (f"{each[name]:.3f}" for name in ("precision", "recall", "f1"))
    return str(each["label"]), *shares, f"{each['support']:,}"


def _say_confusion(score: Score) -> None:
    labels, matrix = _square(score)
    if not labels:
        return
    say()
    rows = [row for row in zip(labels, matrix, strict=True) if any(row[1])]
    columns = [Column("Gold, answered as"), *(Column(label, right=True) for label in labels)]
    print_table(columns, [(label, *counts) for label, counts in rows])


def _square(score: Score) -> tuple[Sequence[str], Sequence[Sequence[int]]]:
    """The confusion matrix; nothing for several labels a row, which have one each."""
    labels = cast("list[str]", score.confusion["labels"])
    matrix = cast("list[list[object]]", score.confusion["matrix"])
    if not labels or not isinstance(matrix[0][0], int):
        return [], []
    return labels, cast("list[list[int]]", matrix)


def say_others(found: Sequence[Score]) -> None:
    """Prints every setup that was scored on the same rows, the best first."""
    say("\nAll that were scored on these rows:")
    print_table(SCORE_COLUMNS, [score_row(one) for one in sorted(found, key=lambda one: (one.field, -one.accuracy))])
    say(f"\nNext: batch-pipeline eval compare {found[0].task} {_how_to_compare([one.setup for one in found])}")


def _how_to_compare(setups: Sequence[Setup]) -> str:
    for name in ("model", "prompt_version", "variant", "provider"):
        values = list(dict.fromkeys(str(vars(setup)[name] or "none") for setup in setups))
        if len(values) > 1:
            return " ".join(f"--{name.replace('_', '-')} {value}" for value in values[:2])
    return "--model A --model B"


def score_row(score: Score) -> tuple[str, ...]:
    """A score in one line, with `SCORE_COLUMNS`."""
    return (
        score.field,
        score.model,
        score.prompt_version,
        score.variant or "",
        f"{score.answered:,} of {score.rows:,}",
        f"{score.accuracy:.3f}",
        f"{score.accuracy_low:.3f}-{score.accuracy_high:.3f}",
        f"{score.macro_f1:.3f}",
        f"{score.macro_f1_low:.3f}-{score.macro_f1_high:.3f}",
        usd(score.cost_usd),
        score.gold_hash,
    )


def say_comparison(found: Comparison) -> None:
    """Prints two setups side by side, and the rows that they answered differently."""
    say(f"{found.task}, field {found.field}, {plural(found.rows, 'row')} that both were asked about.")
    if found.left_out:
        say(f"{plural(found.left_out, 'gold row')} left out: only one of them was asked about, or none.")
    say(f"A: {found.a.setup.told}")
    say(f"B: {found.b.setup.told}")
    say()
    columns = [Column(""), Column("A", right=True), Column("B", right=True), Column("B - A", right=True)]
    print_table(columns, _side_rows(found.a, found.b))
    say()
    say(f"Right in A only: {found.only_a:,}; in B only: {found.only_b:,}; McNemar's exact p = {found.p_value:.4f}.")
    if not found.changes:
        say("They answered every row alike.")
        return
    say(f"{plural(len(found.changes), 'row')} answered differently:")
    rows = [(c.record_id, _shown(c.gold), _shown(c.a), _shown(c.b), c.told) for c in found.changes[:_MOST]]
    print_table([Column("Record", shrinks=True), *(Column(head) for head in ("Gold", "A", "B", ""))], rows)
    if (more := len(found.changes) - _MOST) > 0:
        say(f"and {more:,} more; --json has all of them")


def _side_rows(a: Side, b: Side) -> list[tuple[str, ...]]:
    figures = [(side.scores.accuracy, side.scores.macro_f1) for side in (a, b)]
    shares = [
        (name, f"{first:.3f}", f"{second:.3f}", f"{second - first:+.3f}")
        for name, first, second in zip(("Accuracy", "Macro F1"), *figures, strict=True)
    ]
    difference = b.cost_usd - a.cost_usd
    cost = ("Cost", usd(a.cost_usd), usd(b.cost_usd), f"{'-' if difference < 0 else '+'}{usd(abs(difference))}")
    counts = (a.scores.answered, b.scores.answered)
    answered = ("Answered", f"{counts[0]:,}", f"{counts[1]:,}", f"{counts[1] - counts[0]:+,}")
    return [answered, *shares, cost]


def _shown(labels: Sequence[str] | None) -> str:
    return "-" if labels is None else ", ".join(labels)
