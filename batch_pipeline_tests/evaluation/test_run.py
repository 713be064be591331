from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, cast

import pytest
import sklearn.metrics
from pydantic import BaseModel

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.turn import take_turn
from batch_pipeline.errors import InvalidSelection
from batch_pipeline.evaluation import store
from batch_pipeline.evaluation.gold import read_gold
from batch_pipeline.evaluation.run import Evaluation, begin, finish, match, try_run
from batch_pipeline.ledger import jobs
from batch_pipeline.settings import project_root
from batch_pipeline.sources.files import load_issues
from batch_pipeline.tasks import BatchTask
from batch_pipeline.tasks.registry import load_tasks
from batch_pipeline_tests.batches.chain import mood, planned, query, run, write_notes
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.evaluation.notes import evaluated, glad, matched, through
from batch_pipeline_tests.project import NIGHT

NLBSE = project_root().parent / "shared" / "data" / "nlbse2024_issues_train.csv"
LABELS_BY_HAND = """
    SELECT issues.extra ->> '$.label', answers.label
    FROM issue_kind AS answers JOIN issues USING (record_id)
"""


def test_scores_are_those_of_scikit_learn_by_hand_on_the_tables_rows(pipeline: Pipeline) -> None:
    write_notes(pipeline, 40)
    gold = {f"note-{n}": "glad" if n % 3 else "sad" for n in range(40)}
    score = evaluated(pipeline, gold).score
    answers = dict(cast("list[tuple[str, str]]", query(pipeline, "SELECT record_id, label FROM mood")))
    wanted, given = [gold[name] for name in answers], list(answers.values())
    metrics = cast(Any, sklearn.metrics)
    assert (score.rows, score.answered, score.unanswered) == (40, 40, {})
    assert score.accuracy == metrics.accuracy_score(wanted, given)
    assert score.macro_f1 == pytest.approx(metrics.f1_score(wanted, given, average="macro"))
    assert score.confusion["matrix"] == metrics.confusion_matrix(wanted, given).tolist()


@pytest.mark.skipif(not NLBSE.exists(), reason=f"needs {NLBSE.name} in ../shared/data beside the checkout")
def test_sixty_of_fifteen_hundred_real_issues_are_scored_as_by_hand(pipeline: Pipeline) -> None:
    load_issues(pipeline.warehouse, [str(NLBSE)], NIGHT)
    task = load_tasks().get("issue_kind")
    found = match(pipeline, Evaluation(task, read_gold(NLBSE, task), limit=60))
    assert (len(found.record_ids), len(found.unmatched)) == (60, 0)
    now = through(pipeline, begin(pipeline, found))
    (judged,) = finish(pipeline, found, now and now.job_id)
    rows = query(pipeline, LABELS_BY_HAND)
    wanted, given = [row[0] for row in rows], [row[1] for row in rows]
    metrics = cast(Any, sklearn.metrics)
    assert len(set(wanted)) == 3  # the file is sorted by label; the sixty are not its first
    assert (judged.score.rows, judged.score.accuracy) == (60, metrics.accuracy_score(wanted, given))
    assert judged.score.macro_f1 == pytest.approx(metrics.f1_score(wanted, given, average="macro"))
    assert judged.score.confusion["matrix"] == metrics.confusion_matrix(wanted, given).tolist()


def test_nothing_that_was_answered_is_bought_again(pipeline: Pipeline, books: Books) -> None:
    write_notes(pipeline, 10)
    run(pipeline, planned(pipeline))
    first = evaluated(pipeline, glad(6)).score
    assert (books.lines_executed, first.answered, first.job_id) == (10, 6, None)
    evaluated(pipeline, glad(6))
    assert books.lines_executed == 10
    assert len(query(pipeline, "SELECT * FROM mood")) == 10
    assert len(query(pipeline, "SELECT * FROM eval_scores")) == 2  # every run is kept
    assert query(pipeline, "SELECT count(*) FROM gold_answers") == [(6,)]


def test_another_model_or_prompt_is_asked_about_what_the_task_has_answered(pipeline: Pipeline, books: Books) -> None:
    write_notes(pipeline, 5)
    evaluated(pipeline, glad(5))
    other = evaluated(pipeline, glad(5), model="another").score
    assert (books.lines_executed, other.model, other.answered) == (10, "another", 5)
    changed = evaluated(pipeline, glad(5), replace(mood, system="Glad or sad?")).score
    assert (books.lines_executed, changed.model, changed.answered) == (15, "smollm2-135m", 5)
    assert changed.prompt_version != other.prompt_version


def test_a_variant_is_scored_by_itself(pipeline: Pipeline) -> None:
    write_notes(pipeline, 4)
    task = replace(mood, variants={"curt": "Glad?"})
    assert evaluated(pipeline, glad(4), task).score.variant is None
    score = evaluated(pipeline, glad(4), task, variant="curt").score
    assert (score.variant, score.answered) == ("curt", 4)


def test_a_record_that_changed_is_asked_about_again(pipeline: Pipeline, books: Books) -> None:
    write_notes(pipeline, {"note-0": "fine", "note-1": "awful"})
    evaluated(pipeline, glad(2))
    write_notes(pipeline, {"note-0": "fine", "note-1": "great"})
    assert evaluated(pipeline, glad(2)).score.answered == 2
    assert books.lines_executed == 3


def test_what_has_no_answer_is_wrong_and_told_by_outcome(make_pipeline: Callable[..., Pipeline], books: Books) -> None:
    pipeline = make_pipeline(max_attempts=1)
    write_notes(pipeline, 6)
    books.order({"kind": "refusal", "custom_id": "note-1"}, {"kind": "prose", "custom_id": "note-2"})
    judged = evaluated(pipeline, glad(6))
    assert (judged.score.rows, judged.score.answered) == (6, 4)
    assert judged.score.unanswered == {"invalid": 1, "refused": 1}
    assert (judged.given["note-1"].labels, judged.given["note-1"].outcome) == (None, "refused")
    right = sum(one.labels == ("glad",) for one in judged.given.values())
    assert judged.score.accuracy == pytest.approx(right / 6)
    again = evaluated(pipeline, glad(6)).score
    assert (again.unanswered, books.lines_executed) == ({"invalid": 1, "refused": 1}, 6)


def test_a_score_costs_what_its_answers_cost_whoever_bought_them(pipeline: Pipeline) -> None:
    write_notes(pipeline, {"a": "the same", "b": "the same", "c": "another", "d": "not in the gold"})
    run(pipeline, planned(pipeline))
    with pipeline.warehouse.write() as connection:  # the local server is free: as if it had cost something
        connection.execute("UPDATE batch_results SET cost_usd = 0.25")
    score = evaluated(pipeline, {"a": "glad", "b": "glad", "c": "sad"}).score
    assert (score.answered, score.cost_usd) == (3, 0.5)  # a and b share a request


def test_a_limit_takes_the_same_rows_each_time_and_fewer_of_the_same(pipeline: Pipeline) -> None:
    write_notes(pipeline, 20)
    few, more = (set(matched(pipeline, glad(20), limit=limit).record_ids) for limit in (5, 12))
    assert (len(few), len(more)) == (5, 12)
    assert few < more
    assert set(matched(pipeline, glad(20), limit=5).record_ids) == few


def test_gold_rows_without_a_record_are_named_and_left_out(pipeline: Pipeline) -> None:
    write_notes(pipeline, 3)
    found = matched(pipeline, {"note-0": "glad", "gone": "sad", "note-2": "sad"}, limit=2)
    assert (sorted(found.record_ids), found.unmatched) == (["note-0", "note-2"], ["gone"])
    with pytest.raises(
        InvalidSelection, match=r"None of the 2 gold rows of gold.json matches a record of `mood`, such as"
    ):
        matched(pipeline, {"x": "glad", "y": "sad"})


def test_a_dry_run_leaves_nothing(pipeline: Pipeline, books: Books) -> None:
    write_notes(pipeline, 3)
    assert try_run(pipeline, matched(pipeline, glad(3))).job.requests == 3
    assert books.batches == []
    assert query(pipeline, "SELECT * FROM gold_answers") == []


def test_a_run_that_nobody_waited_for_goes_on_with_its_job(pipeline: Pipeline, books: Books) -> None:
    write_notes(pipeline, 4)
    books.order({"kind": "slow", "stage": "finalizing", "seconds": 1})
    first = begin(pipeline, matched(pipeline, glad(4)))
    assert first is not None
    second = begin(pipeline, matched(pipeline, glad(4)))
    assert second is not None
    assert second.job_id == first.job_id
    through(pipeline, second)
    assert begin(pipeline, matched(pipeline, glad(4))) is None
    assert len(books.batches) == 1


def test_its_job_is_of_a_type_of_its_own_and_holds_to_its_budget(pipeline: Pipeline) -> None:
    write_notes(pipeline, 2)
    found = matched(pipeline, glad(2), metadata={"budget_usd": 1.5})
    now = begin(pipeline, found)
    assert now is not None
    with pipeline.ledger.read() as db:
        job = jobs.get(db, now.job_id)
    assert (job.job_type, job.metadata["budget_usd"], job.metadata["gold"]) == ("eval", 1.5, "gold.json")
    take_turn(pipeline, job.job_id)


class Tagged(BaseModel):
    """What a note is about."""

    tags: list[Literal["work", "home", "health"]]
    urgent: bool


tagged = BatchTask(name="tagged", records="FROM notes", prompt="{text}", answer=Tagged, partitions=None)


def test_lists_and_booleans_are_scored_field_by_field(pipeline: Pipeline) -> None:
    write_notes(pipeline, 12)
    gold = {f"note-{n}": {"tags": ["work", "home"] if n % 2 else [], "urgent": n % 3 == 0} for n in range(12)}
    found = matched(pipeline, gold, tagged)
    now = through(pipeline, begin(pipeline, found))
    scores = {each.score.field: each.score for each in finish(pipeline, found, now and now.job_id)}
    assert list(scores) == ["tags", "urgent"]
    rows = query(pipeline, "SELECT record_id, tags, urgent FROM tagged")
    exact = [set(cast("list[str]", tags)) == set(cast("list[str]", gold[str(name)]["tags"])) for name, tags, _ in rows]
    assert scores["tags"].accuracy == pytest.approx(sum(exact) / 12)
    right = [urgent == gold[str(name)]["urgent"] for name, _, urgent in rows]
    assert scores["urgent"].accuracy == pytest.approx(sum(right) / 12)


def test_scores_are_read_as_they_were_kept(pipeline: Pipeline) -> None:
    write_notes(pipeline, 3)
    kept = [evaluated(pipeline, glad(3)).score, evaluated(pipeline, glad(2)).score, evaluated(pipeline, glad(3)).score]
    with pipeline.warehouse.read() as connection:
        assert store.scores(connection) == kept[::-1]
        assert store.scores(connection, "mood", newest_only=True) == [kept[2], kept[1]]
        assert store.scores(connection, "other") == []
