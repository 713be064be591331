from __future__ import annotations

from dataclasses import replace
from math import comb
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.errors import InvalidSelection
from batch_pipeline.evaluation.compare import compare, mcnemar
from batch_pipeline_tests.batches.chain import mood, query, write_notes
from batch_pipeline_tests.evaluation.notes import evaluated, glad

OTHER = replace(mood, system="Glad or sad?")


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemars_p_is_the_binomial_one(only_a: int, only_b: int) -> None:
    p = mcnemar(only_a, only_b)
    if only_a + only_b:
        assert p == pytest.approx(cast(Any, stats).binomtest(only_a, only_a + only_b, 0.5).pvalue)
    assert p == mcnemar(only_b, only_a)


def test_mcnemar_of_two_that_never_differ_is_one() -> None:
    assert mcnemar(0, 0) == 1
    assert mcnemar(0, 10) == 2 * comb(10, 0) / 2**10


def test_two_models_are_put_side_by_side_row_by_row(pipeline: Pipeline) -> None:
    write_notes(pipeline, 30)
    first, second = (evaluated(pipeline, glad(30), model=model) for model in ("one", "two"))
    with pipeline.warehouse.write() as connection:
        connection.execute("UPDATE batch_results SET cost_usd = 0.01")
    found = compare(pipeline, mood, None, {"model": "one"}, {"model": "two"})
    assert (found.rows, found.left_out, found.field) == (30, 0, "label")
    assert (found.a.setup.model, found.b.setup.model) == ("one", "two")
    assert (found.a.scores.accuracy, found.b.scores.accuracy) == (first.score.accuracy, second.score.accuracy)
    assert (found.a.cost_usd, found.b.cost_usd) == pytest.approx((0.3, 0.3))
    sql = """
        SELECT a.record_id, a.label, b.label FROM mood AS a JOIN mood AS b USING (record_id)
        WHERE a.model = 'one' AND b.model = 'two' AND a.label <> b.label
    """
    expected = {(name, (a,), (b,)) for name, a, b in query(pipeline, sql)}
    assert {(change.record_id, change.a, change.b) for change in found.changes} == expected
    assert found.only_a == sum(change.told == "A is right" for change in found.changes)
    assert found.only_b == sum(change.told == "B is right" for change in found.changes)
    assert found.p_value == mcnemar(found.only_a, found.only_b)


def test_only_rows_that_both_were_asked_about_count(pipeline: Pipeline) -> None:
    write_notes(pipeline, 12)
    evaluated(pipeline, glad(12), model="one")
    evaluated(pipeline, glad(5), model="two")
    found = compare(pipeline, mood, None, {"model": "one"}, {"model": "two"})
    assert (found.rows, found.left_out) == (5, 7)
    assert (found.a.scores.rows, found.b.scores.rows) == (5, 5)


def test_a_row_without_an_answer_counts_as_wrong(pipeline: Pipeline) -> None:
    write_notes(pipeline, 3)
    evaluated(pipeline, glad(3), model="one")
    evaluated(pipeline, glad(3), model="two")
    with pipeline.warehouse.write() as connection:
        connection.execute("DELETE FROM mood WHERE model = 'two'")
        connection.execute(
            "UPDATE batch_results SET outcome = 'refused' "
            "WHERE job_id IN (SELECT job_id FROM eval_runs WHERE model = 'two')"
        )
    found = compare(pipeline, mood, None, {"model": "one"}, {"model": "two"})
    assert (found.rows, found.b.scores.answered, found.b.scores.accuracy) == (3, 0, 0.0)
    assert all(change.b is None for change in found.changes)


def test_setups_that_are_alike_in_all_else_are_preferred_to_newer_ones(pipeline: Pipeline) -> None:
    write_notes(pipeline, 4)
    evaluated(pipeline, glad(4), model="one")
    evaluated(pipeline, glad(4), model="two")
    evaluated(pipeline, glad(4), OTHER, model="two")
    found = compare(pipeline, mood, None, {"model": "one"}, {"model": "two"})
    assert found.a.setup.prompt_version == found.b.setup.prompt_version == mood.prompt_version()
    prompts = {"prompt_version": mood.prompt_version()}, {"prompt_version": OTHER.prompt_version()}
    assert {compare(pipeline, OTHER, None, *prompts).a.setup.model} == {"two"}


def test_what_was_not_evaluated_can_not_be_compared(pipeline: Pipeline) -> None:
    write_notes(pipeline, 2)
    a, b = {"model": "one"}, {"model": "two"}
    with pytest.raises(
        InvalidSelection, match="`mood` was not evaluated yet: `batch-pipeline eval run mood --gold FILE`"
    ):
        compare(pipeline, mood, None, a, b)
    evaluated(pipeline, {"note-0": "glad"}, model="one")
    with pytest.raises(InvalidSelection, match=r"no two such evaluations of `mood`. There are: one at local, prompt"):
        compare(pipeline, mood, None, a, b)
    evaluated(pipeline, {"note-1": "glad"}, model="two")
    with pytest.raises(InvalidSelection, match=r"no gold row of `mood` that both one at local, .* were asked about"):
        compare(pipeline, mood, None, a, b)
    with pytest.raises(InvalidSelection, match="Field `nope` of `mood` was not evaluated; those that were: label"):
        compare(pipeline, mood, "nope", a, b)
