"""`eval_scores`: how well tasks are answered, against gold answers; and whether that is well enough."""

# no `from __future__ import annotations`: Dagster reads the annotations of a step, and can't read them as text

from collections.abc import Iterable, Iterator, Mapping, Sequence

import dagster as dg

from batch_pipeline.assets import keys
from batch_pipeline.assets.metadata import picture, table
from batch_pipeline.assets.reporting import Event, Metadata
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.evaluation.refresh import refresh_scores
from batch_pipeline.evaluation.store import Score, Setup
from batch_pipeline.tasks.task import BatchTask

HOW = "`batch-pipeline eval run TASK --gold FILE` makes some."


def build_eval_scores(tasks: Iterable[BatchTask], deps: Iterable[dg.AssetKey]) -> dg.AssetsDefinition:
    """The asset `eval_scores`, with a check for each task that has a `min_score`.

    Args:
        tasks: Whose scores are kept up to date.
        deps: What they follow from.
    """
    by_name = {task.name: task for task in tasks}
    held = [task for task in by_name.values() if task.min_score]

    @dg.asset(
        key=keys.EVAL_SCORES,
        deps=list(deps),
        group_name=keys.REPORTS_GROUP,
        owners=keys.OWNERS,
        kinds={"duckdb", "scikitlearn"},
        description="The table `eval_scores`: accuracy, macro F1, classes and confusion of each model and prompt that "
        f"was evaluated on gold answers, over time. {HOW} Scored anew after collections, where answers have changed.",
        check_specs=[
            dg.AssetCheckSpec(
                keys.score_check(task.name),
                asset=keys.EVAL_SCORES,
                description=f"The newest evaluation of `{task.name}` with the model and prompt that are in use has "
                f"at least: {_told(task.min_score)}.",
            )
            for task in held
        ],
    )
    def eval_scores(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> Iterator[Event]:
        scores = refresh_scores(pipeline, by_name)
        yield dg.MaterializeResult(metadata=_metadata(scores))
        for task in held:
            if _check_key(task) in context.selected_asset_check_keys:
                yield _check(pipeline, task, scores)

    return eval_scores


def _metadata(scores: Sequence[Score]) -> Metadata:
    if not scores:
        return {"dagster/row_count": 0, "scores": dg.MetadataValue.md(f"*none yet:* {HOW}")}
    from batch_pipeline.evaluation.plot import plot_scores

    columns = ["task", "field", "model", "prompt", "variant", "answered", "accuracy", "95 %", "macro F1", "cost (USD)"]
    return {
        "dagster/row_count": len(scores),
        "scores": table(columns, [_row(score) for score in scores]),
        "plot": picture(plot_scores(scores), "accuracy and macro F1"),
        **_over_time(scores),
    }


def _over_time(scores: Sequence[Score]) -> Mapping[str, float]:
    """The newest score of each field: numbers with stable names, which Dagster plots over time."""
    newest: dict[str, float] = {}
    for score in reversed(scores):
        newest[f"{score.task}.{score.field}: accuracy"] = round(score.accuracy, 4)
        newest[f"{score.task}.{score.field}: macro F1"] = round(score.macro_f1, 4)
    return newest


def _row(score: Score) -> tuple[object, ...]:
    return (
        score.task,
        score.field,
        score.model,
        score.prompt_version,
        score.variant or "-",
        f"{score.answered} of {score.rows}",
        f"{score.accuracy:.3f}",
        f"{score.accuracy_low:.3f} to {score.accuracy_high:.3f}",
        f"{score.macro_f1:.3f}",
        score.cost_usd,
    )


def _check_key(task: BatchTask) -> dg.AssetCheckKey:
    return dg.AssetCheckKey(keys.EVAL_SCORES, keys.score_check(task.name))


def _check(pipeline: Pipeline, task: BatchTask, scores: Sequence[Score]) -> dg.AssetCheckResult:
    """A task that was evaluated, but not as it is now, is warned of; one that never was has nothing to fail."""
    ours = [score for score in scores if score.task == task.name]
    in_use = _in_use(pipeline, task)
    newest: dict[tuple[str, str | None], Score] = {}
    for score in ours:
        if score.setup in in_use:
            newest.setdefault((score.field, score.variant), score)
    low = [told for score in newest.values() for told in _too_low(task, score)]
    if not newest:
        why = "was evaluated with another model or prompt only" if ours else "was not evaluated yet"
        return _result(
            task, not ours, dg.AssetCheckSeverity.WARN, f"`{task.name}` {why}. {HOW.replace('TASK', task.name)}"
        )
    told = "; ".join(low) or f"reached: {_told(task.min_score)}"
    return _result(task, not low, dg.AssetCheckSeverity.ERROR, told)


def _result(task: BatchTask, passed: bool, severity: dg.AssetCheckSeverity, told: str) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=passed,
        asset_key=keys.EVAL_SCORES,
        check_name=keys.score_check(task.name),
        severity=severity,
        description=told,
        metadata={"wanted": _told(task.min_score)},
    )


def _in_use(pipeline: Pipeline, task: BatchTask) -> set[Setup]:
    provider = task.provider or pipeline.settings.provider
    model = pipeline.settings.model_for(provider, task.model)
    variants = [None, *task.variants]
    return {Setup(provider, model, task.prompt_version(variant), variant) for variant in variants}


def _too_low(task: BatchTask, score: Score) -> Iterator[str]:
    for name, lowest in task.min_score.items():
        field, _, kind = name.rpartition(".")
        reached = float(getattr(score, kind))
        if field in ("", score.field) and reached < lowest:
            yield f"{score.field}: {kind} is {reached:.3f}, below {lowest:g} ({score.setup.told})"


def _told(min_score: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {lowest:g}" for name, lowest in min_score.items())
