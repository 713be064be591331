"""What docs/rest.md shows works as it is shown, in a shell, at a server."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.sources.files import load_issues
from batch_pipeline_tests.api.conftest import TOKEN, Client
from batch_pipeline_tests.pages import ROOT, script, text_of

PAGE = "docs/rest.md"
SHOWN = (
    '"dry_run":true',
    '"reused_from":null',
    '"attempt":null',
    '"order":"reactions"',
    '"costs":[{"task":"issue_kind"',
    '"status":"ok"',
    'batch_pipeline_jobs{state="done",task="issue_kind"} 1.0',
)


@pytest.mark.skipif(shutil.which("curl") is None, reason="the page shows curl, and there is none")
def test_its_calls_run_one_after_the_other(serve: Callable[..., Client], pipeline: Pipeline, tmp_path: Path) -> None:
    load_issues(pipeline.warehouse, [str(ROOT / "data" / "issues")], date(2026, 11, 20))
    text = script(PAGE).replace("http://127.0.0.1:8000", serve().url).replace("choose-one", TOKEN)
    assert TOKEN in text
    ran = subprocess.run(["sh", "-eu", "-c", text], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout
    for shown in SHOWN:
        assert shown in ran.stdout, shown


def test_it_names_every_path_that_there_is(client: Client) -> None:
    page = text_of(PAGE)
    for path in client.get("/openapi.json")["paths"]:
        assert path.replace("{job_id}", "{id}").replace("{schedule_id}", "{id}") in page, path
