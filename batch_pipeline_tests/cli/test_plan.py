"""`plan`: what a job of any size would come to, and nothing of it is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.ledger import jobs
from batch_pipeline_tests.cli.conftest import Command

GIVEN = ("--rows", 1_000_000, "--tokens-per-row", 400, "--runs", 5)


def test_a_million_rows_take_hours_and_money_by_the_tier(offline: Command) -> None:
    told = offline("plan", "issue-kind", "--simulate", *GIVEN, "--tier", 4, "--output-tokens", 10, "--json").json
    assert (told["rows"], told["requests"], told["batches"]) == (1_000_000, 1_000_000, 20)
    assert told["input_tokens"] == 400_000_000
    assert told["batch_usd"] == pytest.approx(400 * 0.05 + 10 * 0.25)
    assert told["realtime_usd"] == pytest.approx(2 * told["batch_usd"])
    assert told["bound_usd"] > told["batch_usd"]
    assert told["account"]["limit"] == 1_000_000_000
    hours = told["forecast"]["hours"]
    assert 0 < hours["early"] <= hours["middle"] <= hours["late"] <= told["forecast"]["worst_hours"]
    assert list(told["tiers"]) == ["1", "2", "3", "4", "5"]
    slow = offline("plan", "issue-kind", "--simulate", *GIVEN, "--tier", 1, "--json").json
    assert slow["forecast"]["hours"]["middle"] > 10 * hours["middle"]
    assert slow["batches"] == 100  # of eight tenths of what may be queued


def test_it_says_what_breaks_first_and_fits_a_narrow_terminal(offline: Command) -> None:
    ran = offline("plan", "issue-kind", "--simulate", *GIVEN, "--tier", 1, "--provider", "openai", "--hosts", 2)
    assert "nothing was planned, nothing was sent" in ran.out
    assert "The provider's queue is what it waits for" in ran.out
    assert "may spend 5.00: set --budget, or BATCH_PIPELINE_BUDGET_JOB_USD" in ran.out
    assert "several hosts want the warehouse on DuckLake" in ran.out
    assert "Tier" in ran.out


def test_the_same_seed_prints_the_same_and_another_does_not(offline: Command) -> None:
    asked = ("plan", "issue-kind", "--simulate", *GIVEN, "--tier", 3, "--json")
    assert offline(*asked, "--seed", 3).out == offline(*asked, "--seed", 3).out
    assert offline(*asked, "--seed", 3).json["forecast"] != offline(*asked, "--seed", 4).json["forecast"]


def test_a_tasks_own_records_are_counted_and_measured_and_nothing_is_planned(
    offline: Command, issue_files: Path
) -> None:
    offline("issues", "load", issue_files)
    told = offline("plan", "issue-kind", "--simulate", "--json").json
    assert (told["rows"], told["sampled"], told["requests"], told["batches"]) == (3, 3, 3, 1)
    planned = offline("submit", "issue-kind", "--dry-run", "--json").json
    assert told["input_tokens"] == planned["input_tokens"]
    assert told["batch_usd"] == pytest.approx(planned["batch_usd"], rel=0.01)
    larger = offline("plan", "issue-kind", "--simulate", "--rows", 3_000_000, "--runs", 3, "--json").json
    assert larger["input_tokens"] == 1_000_000 * told["input_tokens"]
    assert offline("plan", "issue-kind", "--simulate", "--repo", "acme/other").out.startswith("Nothing to do")
    pipeline = Pipeline()
    with pipeline.ledger.read() as db:
        assert jobs.not_closed(db) == []
    pipeline.close()
    assert not pipeline.settings.batches_dir.exists()


def test_embeddings_have_many_rows_in_a_request(offline: Command, issue_files: Path) -> None:
    offline("issues", "load", issue_files)
    told = offline("plan", "issue-embeddings", "--simulate", "--rows", 1_000_000, "--runs", 3, "--json").json
    assert told["requests"] < told["rows"] == told["inputs"]
    assert (told["flex_usd"], told["output_tokens"]) == (None, 0)


def test_a_limit_is_given_set_or_assumed_and_a_tier_must_be_there(
    offline: Command, settings: Callable[..., None]
) -> None:
    asked = ("plan", "issue-kind", "--simulate", *GIVEN, "--json")
    assert "assumed" in offline(*asked).json["account"]["source"]
    settings(enqueued_tokens=7_000_000)
    told = offline(*asked).json["account"]
    assert (told["limit"], told["source"]) == (7_000_000, "BATCH_PIPELINE_ENQUEUED_TOKENS")
    assert offline(*asked, "--enqueued-tokens", 9_000_000).json["account"]["limit"] == 9_000_000
    ran = offline(*asked, "--tier", 9)
    assert (ran.code, "it has 1, 2, 3, 4, 5." in ran.sentence) == (2, True)
    ran = offline("plan", "issue-kind", "--simulate", "--rows", 5)
    assert (ran.code, "--tokens-per-row" in ran.sentence) == (2, True)


def test_what_was_learned_of_the_provider_is_gone_by(
    offline: Command, settings: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from batch_pipeline.batches.money.admission import learn_token_limit
    from batch_pipeline.batches.plan import Order, job_of, snapshot_of
    from batch_pipeline.tasks.issue_kind import issue_kind

    settings(provider="openai")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-to-be-seen")
    pipeline = Pipeline()
    order = Order(issue_kind)
    with pipeline.ledger.begin() as db:
        account = pipeline.provider("openai").account
        learn_token_limit(db, account, job_of(order, snapshot_of(pipeline, order)), 2_000_000)
    pipeline.close()
    told = offline("plan", "issue-kind", "--simulate", *GIVEN, "--json").json["account"]
    assert (told["limit"], told["source"]) == (2_000_000, "learned from the provider's refusal")


def test_without_simulate_it_is_the_dry_run(offline: Command, issue_files: Path) -> None:
    offline("issues", "load", issue_files)
    assert offline("plan", "issue-kind").out == offline("submit", "issue-kind", "--dry-run").out
    assert offline("plan", "issue-kind", "--rows", 7).code == 2
