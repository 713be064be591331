"""`/healthz` and `/metrics`: whether the server can work, and what the ledger holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline_tests.api.conftest import Client, with_issues


def metrics(client: Client) -> dict[tuple[str, ...], float]:
    """The figures, by name and labels, the task first."""
    text = client.http.get("/metrics").text
    return {
        (
            sample.name.removeprefix("batch_pipeline_"),
            *(sample.labels[label] for label in sorted(sample.labels, reverse=True)),
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_server_that_can_work_is_healthy_and_needs_no_token_to_say_so(client: Client) -> None:
    with Client(client.url, token=None) as stranger:
        assert stranger.get("/healthz") == {
            "status": "ok",
            "enabled": True,
            "ledger": "ok",
            "warehouse": "ok",
            "provider": "local",
            "provider_configured": True,
            "worker": "running",
        }


def test_what_is_missing_is_named(serve: Callable[..., Client], tmp_path: Path) -> None:
    broken = tmp_path / "broken.duckdb"
    broken.write_text("no database")
    reply = serve(provider="openai", warehouse_url=str(broken), works=False).http.get("/healthz")
    assert reply.status_code == 503
    told = reply.json()
    assert (told["status"], told["warehouse"], told["provider_configured"]) == ("failed", "failed", False)
    assert (told["ledger"], told["worker"]) == ("ok", "off")


def test_a_ledger_that_can_not_be_asked_is_a_failure(serve: Callable[..., Client], tmp_path: Path) -> None:
    client = serve(works=False)
    (tmp_path / "data" / "ledger.db").rename(tmp_path / "away.db")
    reply = client.http.get("/healthz")
    assert (reply.status_code, reply.json()["ledger"]) == (503, "failed")


def test_a_warehouse_that_another_holds_is_busy_and_keeps_nobody_waiting(client: Client, pipeline: Pipeline) -> None:
    with pipeline.warehouse.write():
        told = client.get("/healthz")
    assert (told["status"], told["warehouse"]) == ("ok", "busy")


def test_metrics_tell_jobs_records_tokens_and_money(
    serve: Callable[..., Client], pipeline: Pipeline, tmp_path: Path
) -> None:
    with_issues(pipeline, tmp_path / "issues")
    client = serve(budget_day_usd=7.5)
    client.done(client.made(limit=2))
    found = metrics(client)
    assert found["jobs", "issue_kind", "done"] == 1
    assert found["records", "issue_kind", "answered"] == 2
    assert found["batches_in_flight",] == 0
    assert found["tokens_total", "input"] > 0
    assert found["tokens_total", "output"] > 0
    assert 0 <= found["last_poll_age_seconds", "local"] < 60
    assert (found["spent_usd_total",], found["reserved_usd",]) == (0, 0)
    assert found["budget_usd", "day"] == 7.5
    assert ("budget_usd", "month") not in found
