"""Azure OpenAI by base URL: deployments, its codes and words, its empty error file, its paths."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import cast

import httpx2
import pytest

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.turn import submit_job, take_turn
from batch_pipeline.errors import UnpricedModel
from batch_pipeline.ledger import meta
from batch_pipeline.ledger.jobs import Job
from batch_pipeline.providers.openai import OpenAIProvider
from batch_pipeline.settings import Settings
from batch_pipeline_tests.batches.chain import batches_of, planned, query, run, write_notes
from batch_pipeline_tests.books import Books

DEPLOYMENT = "our-luna"
AZURE: dict[str, object] = {"kind": "azure", "times": None}


@pytest.fixture
def at_azure(make_pipeline: Callable[..., Pipeline], books: Books, tmp_path: Path) -> Pipeline:
    """A pipeline at a server that answers as Azure does, with a deployment of gpt-6-luna."""
    prices = tmp_path / "prices.toml"
    prices.write_text(f'[deployments]\n"{DEPLOYMENT}" = "gpt-6-luna"\n')
    books.order(AZURE)
    return make_pipeline(
        OPENAI_API_KEY="azure-key",
        OPENAI_BASE_URL=books.url.replace("/v1", "/openai/v1"),
        provider="openai",
        model=DEPLOYMENT,
        prices_file=prices,
        bare_urls=True,
        missing_recheck_seconds=0.0,
    )


def test_records_become_answers_and_cost_what_the_model_behind_the_deployment_costs(
    at_azure: Pipeline, books: Books
) -> None:
    write_notes(at_azure, 5)
    job = planned(at_azure)
    first = at_azure.folder(job.job_id).requests(0).read_bytes().splitlines()[0]
    assert b'"url":"/chat/completions","body":{"model":"our-luna"' in first
    assert run(at_azure, job).outcomes == {"answered": 5}
    (batch,) = batches_of(at_azure, job)
    price = at_azure.prices.tariff("openai", "gpt-6-luna").paid
    (booked,) = books.batches
    billed = [[booked[kind]] for kind in ("input_tokens", "cached_tokens", "output_tokens")]
    assert batch.cost_usd == pytest.approx(price.costs(*billed)[0])  # pyright: ignore[reportArgumentType] - counts


def test_an_error_file_of_no_bytes_is_one_without_errors(at_azure: Pipeline) -> None:
    write_notes(at_azure, 2)
    job = planned(at_azure)
    run(at_azure, job)
    errors = at_azure.folder(job.job_id).errors(0)
    assert errors.exists()
    assert errors.stat().st_size == 0


def test_rows_that_fail_are_in_the_error_file_as_at_openai(at_azure: Pipeline, books: Books) -> None:
    books.order(AZURE, {"kind": "rows", "status": 400, "every": 2})
    write_notes(at_azure, 4)
    job = planned(at_azure)
    assert run(at_azure, job).outcomes == {"answered": 2, "failed": 2}


@pytest.mark.parametrize("code", ["url_mismatch", "model_mismatch", "too_many_tasks", "empty_file"])
def test_a_file_that_fails_says_why_in_azures_words(at_azure: Pipeline, books: Books, code: str) -> None:
    books.order(AZURE, {"kind": "validation", "errors": [{"code": code, "message": f"Azure says {code}."}]})
    write_notes(at_azure, 2)
    job = planned(at_azure)
    assert run(at_azure, job).outcomes == {"failed": 2}
    rows = query(at_azure, "SELECT DISTINCT error_code, error_message FROM batch_results")
    assert rows == [(code, f"Azure says {code}.")]
    assert books.lines_executed == 0


def test_lines_that_name_another_endpoint_than_the_batch_fail_under_azures_name(
    at_azure: Pipeline, books: Books, make_pipeline: Callable[..., Pipeline]
) -> None:
    """Planned for OpenAI's paths, sent to Azure's."""
    write_notes(at_azure, 2)
    planner = make_pipeline(
        **{name: getattr(at_azure.settings, name) for name in ("data_dir", "model", "prices_file")},
        OPENAI_API_KEY="azure-key",
        OPENAI_BASE_URL=books.url,
        provider="openai",
    )
    job = planned(planner)
    assert run(at_azure, job).outcomes == {"failed": 2}
    assert query(at_azure, "SELECT DISTINCT error_code FROM batch_results") == [("url_mismatch",)]


def test_the_token_limit_is_learned_from_azures_words(at_azure: Pipeline, books: Books) -> None:
    words = "The number of enqueued tokens has surpassed the configured limit of 30K for the deployment 'our-luna'."
    books.order(AZURE, {"kind": "validation", "errors": [{"code": "token_limit_exceeded", "message": words}]})
    write_notes(at_azure, 2)
    assert learned(at_azure, planned(at_azure)) == 30_000


def test_a_queue_that_is_full_is_told_in_azures_words(at_azure: Pipeline, books: Books) -> None:
    books.order(AZURE, {"kind": "token_limit", "limit": 1_000})
    write_notes(at_azure, 40)
    assert learned(at_azure, planned(at_azure)) == 1_000


def learned(pipeline: Pipeline, job: Job) -> int:
    """The limit that is known once the batch has failed for it."""
    submit_job(pipeline, job.job_id)
    name = f"enqueued_tokens:{pipeline.provider('openai').account}:{DEPLOYMENT}"
    for _ in range(400):
        with pipeline.ledger.read() as db:
            if isinstance(found := meta.get(db, name), dict):
                return int(cast("dict[str, float]", found)["tokens"])
        take_turn(pipeline, job.job_id)
    raise AssertionError("nothing was learned")


def test_a_deployment_whose_model_nobody_knows_is_refused_with_the_way_out(
    make_pipeline: Callable[..., Pipeline],
) -> None:
    pipeline = make_pipeline(provider="openai", model=DEPLOYMENT)
    write_notes(pipeline, 1)
    with pytest.raises(UnpricedModel, match=r"under \[deployments\]"):
        planned(pipeline)


def test_two_keys_are_two_accounts_by_azures_header_too(books: Books) -> None:
    root = books.url.replace("/v1", "/openai/v1")
    for key in ("one", "two"):
        assert httpx2.get(f"{root}/batches", headers={"api-key": key}).json()["data"] == []
    made = httpx2.post(
        f"{root}/batches",
        headers={"api-key": "one"},
        json={"input_file_id": "file-none", "endpoint": "/chat/completions", "completion_window": "24h"},
    )
    assert made.status_code == 200
    assert len(httpx2.get(f"{root}/batches", headers={"api-key": "one"}).json()["data"]) == 1
    assert httpx2.get(f"{root}/batches", headers={"api-key": "two"}).json()["data"] == []
    assert books.batches[0]["account"] == hashlib.sha256(b"one").hexdigest()[:16]


@pytest.mark.parametrize(
    ("url", "bare"),
    [
        ("https://ours.openai.azure.com/openai/v1", True),
        ("https://ours.services.ai.azure.com/openai/v1/", True),
        ("https://api.openai.com/v1", False),
        ("https://api.groq.com/openai/v1", False),
        ("https://notazure.com/openai/v1", False),
    ],
)
def test_azure_is_known_by_its_url_and_gets_its_key_in_its_own_header(url: str, bare: bool) -> None:
    settings = Settings.model_validate({"OPENAI_API_KEY": "azure-key", "OPENAI_BASE_URL": url})
    assert settings.names_bare_urls is bare
    assert settings.model_copy(update={"bare_urls": not bare}).names_bare_urls is not bare
    provider = OpenAIProvider.openai(settings)
    headers = provider._client.default_headers  # pyright: ignore[reportPrivateUsage] - nothing else shows what is sent
    assert headers.get("api-key") == ("azure-key" if bare else None)
    provider.close()
