"""The asset `eval_scores`: what it shows, and the check that holds a task to its `min_score`."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from dataclasses import replace

import dagster as dg
import pytest

from batch_pipeline.assets.adhoc import build_adhoc_jobs
from batch_pipeline.assets.eval_scores import build_eval_scores
from batch_pipeline.automation.sensors import build_batch_monitor
from batch_pipeline.errors import InvalidTask
from batch_pipeline.evaluation.run import begin
from batch_pipeline.resources import PipelineResource
from batch_pipeline.tasks import BatchTask
from batch_pipeline_tests.batches.chain import mood, write_notes
from batch_pipeline_tests.evaluation.notes import evaluated, glad, matched
from batch_pipeline_tests.project import Project

MakeProject = Callable[..., Project]

STRICT = replace(mood, min_score={"accuracy": 0.8, "label.macro_f1": 0.1})


def of(task: BatchTask) -> dg.Definitions:
    assets = [build_adhoc_jobs(), build_eval_scores([task], [dg.AssetKey("adhoc_jobs")])]
    return dg.Definitions(
        assets=assets, sensors=[build_batch_monitor(assets)], resources={"pipeline": PipelineResource()}
    )


@pytest.fixture
def strict(make_project: MakeProject) -> Project:
    """A project whose one task wants to be right in 80 % of its rows."""
    project = make_project(of(STRICT))
    write_notes(project.pipeline, 10)
    return project


def checked(project: Project) -> dg.AssetCheckEvaluation:
    """The verdict of the check, run as a person does it."""
    result = dg.materialize(
        [each for each in project.definitions.assets or [] if isinstance(each, dg.AssetsDefinition)],
        selection=dg.AssetSelection.assets("eval_scores"),
        instance=project.instance,
        resources=project.resources,
    )
    (evaluation,) = result.get_asset_check_evaluations()
    return evaluation


def answer_all(project: Project, label: str) -> None:
    """As if the model had said this of every note."""
    with project.pipeline.warehouse.write() as connection:
        connection.execute("UPDATE mood SET label = ?", [label])


def test_without_evaluations_it_says_how_to_make_one(strict: Project) -> None:
    verdict = checked(strict)
    assert verdict.passed
    assert verdict.description == (
        "`mood` was not evaluated yet. `batch-pipeline eval run mood --gold FILE` makes some."
    )
    assert "eval run TASK --gold FILE" in str(strict.metadata("eval_scores")["scores"])


def test_scores_are_shown_as_a_table_a_plot_and_numbers(strict: Project) -> None:
    score = evaluated(strict.pipeline, glad(10), STRICT).score
    checked(strict)
    told = strict.metadata("eval_scores")
    assert told["mood.label: accuracy"] == round(score.accuracy, 4)
    assert f"| mood | label | smollm2-135m | {score.prompt_version} | - | 10 of 10 |" in str(told["scores"])
    picture = str(told["plot"]).partition("base64,")[2].rstrip(")")
    assert b64decode(picture).startswith(b"\x89PNG")
    assert len(picture) < 40_000


def test_the_check_fails_below_what_the_task_wants_and_names_it(strict: Project) -> None:
    evaluated(strict.pipeline, glad(10), STRICT)
    answer_all(strict, "sad")
    verdict = checked(strict)
    assert (verdict.passed, verdict.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "label: accuracy is 0.000, below 0.8 (smollm2-135m at local, prompt" in str(verdict.description)
    assert "label: macro_f1 is 0.000, below 0.1" in str(verdict.description)
    answer_all(strict, "glad")
    verdict = checked(strict)
    assert (verdict.passed, verdict.description) == (True, "reached: accuracy 0.8, label.macro_f1 0.1")


def test_another_model_is_not_what_is_in_use(strict: Project) -> None:
    evaluated(strict.pipeline, glad(10), STRICT, model="another")
    verdict = checked(strict)
    assert (verdict.passed, verdict.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "`mood` was evaluated with another model or prompt only" in str(verdict.description)


def test_an_evaluation_that_nobody_waits_for_is_collected_scored_and_checked(strict: Project) -> None:
    begin(strict.pipeline, matched(strict.pipeline, glad(10), STRICT))
    strict.go_on(["batch_monitor"])
    assert strict.rows("SELECT rows, answered FROM eval_scores") == [(10, 10)]
    (request,) = [each for each in strict.asked if dg.AssetKey("eval_scores") in (each.asset_selection or ())]
    assert [check.name for check in request.asset_check_keys or ()] == ["mood_scores_well_enough"]


@pytest.mark.parametrize("wrong", [{"precision": 0.5}, {"nope.accuracy": 0.5}, {"accuracy": 80}])
def test_a_min_score_that_means_nothing_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidTask, match="write accuracy or macro_f1, alone or after a field and a dot"):
        replace(mood, min_score=wrong)
