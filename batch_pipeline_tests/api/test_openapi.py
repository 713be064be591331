"""The OpenAPI document is accurate: schemathesis finds nothing against it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline_tests.api.conftest import TOKEN, Client, with_issues

EXAMPLES = 4
"""Of each operation and phase; by hand, run with 60, it found nothing either."""


def test_schemathesis_finds_nothing(serve: Callable[..., Client], pipeline: Pipeline, tmp_path: Path) -> None:
    with_issues(pipeline, tmp_path / "issues")
    url = serve(openai_webhook_secret="made-up").url
    given = ("--max-examples", str(EXAMPLES), "--max-time", "15", "--no-color", "--warnings", "off", "--seed", "1")
    run = (sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json")
    header = ("-H", f"Authorization: Bearer {TOKEN}")
    done = subprocess.run([*run, *header, *given], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "14 selected / 14 total" in done.stdout


def test_every_operation_says_what_it_does_and_needs_the_token_but_for_three(client: Client) -> None:
    document = client.get("/openapi.json")
    operations = {
        (method, path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert all(operation["description"] for operation in operations.values())
    free = {path for (_, path), operation in operations.items() if "security" not in operation}
    assert free == {"/healthz", "/webhooks/openai"}


def test_a_server_without_a_token_says_so(pipeline: Pipeline) -> None:
    from batch_pipeline_tests.api.conftest import served

    with served(pipeline, insecure=True) as client:
        assert "securitySchemes" not in client.get("/openapi.json")["components"]
