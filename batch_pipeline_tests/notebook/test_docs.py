"""The page on Python works as it is shown, and says what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from batch_pipeline import Batch
from batch_pipeline.local_server import RunningServer
from batch_pipeline.notebook import ItemResult, Run
from batch_pipeline.settings import project_root
from batch_pipeline_tests.books import Books

PAGE = (project_root() / "docs" / "python.md").read_text(encoding="utf-8")


def test_its_examples_run_one_after_the_other(
    server: RunningServer, books: Books, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project_root())
    for name, value in (("DATA_DIR", str(tmp_path)), ("LOCAL_URL", server.url), ("CREATE_WAIT_SECONDS", "0")):
        monkeypatch.setenv(f"BATCH_PIPELINE_{name}", value)
    blocks = re.findall(r"<!-- runnable -->\n```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == PAGE.count("```python") == 7
    names: dict[str, object] = {"__name__": "docs_python"}
    for block in blocks:
        exec(compile(block, "docs/python.md", "exec", dont_inherit=True), names)
    assert names["quotes"]
    assert books.lines_executed == 3 + 4 + 2


def test_the_names_for_whoever_comes_from_batchata_are_all_there() -> None:
    asked = [
        *("set_state", "set_default_params", "add_cost_limit", "set_verbosity", "add_job", "run(", "is_success"),
        *("max_parallel_batches", "items_per_batch", "raw_files", "status", "results", "wait", "shutdown"),
    ]
    rows = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    assert [name for name in asked if not any(name in row for row in rows)] == []


def test_what_it_names_is_there() -> None:
    for name in set(re.findall(r"`run\.(\w+)", PAGE)):
        assert hasattr(Run, name) or name == "close"
    for name in ("text", "parsed", "citations", "input_tokens", "output_tokens", "cost_usd", "attempts", "error"):
        assert name in ItemResult.__dataclass_fields__
    assert callable(Batch.resume)
