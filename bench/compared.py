"""Ours and the floor's build and collect of the same rows, in turns, each a process of its own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import texts
from bench.children import Measured, local_server, step


@dataclass
class Compared:
    """What each turn took, by step (`build`, `collect`) and side (`floor`, `ours`)."""

    rows: int
    of: str
    runs: dict[str, list[Measured]] = field(default_factory=dict[str, list[Measured]])

    def add(self, name: str, measured: Measured) -> None:
        """Takes one more run."""
        self.runs.setdefault(name, []).append(measured)

    def best(self, name: str, what: str) -> float:
        """The least of what it took: others on the machine only ever add."""
        return min(getattr(run, what) for run in self.runs[name])

    def ratio(self, what: str, of: str = "step_cpu") -> float:
        """Ours over the floor's."""
        return self.best(f"ours {what}", of) / self.best(f"floor {what}", of)

    def told(self) -> dict[str, Any]:
        """As JSON."""
        runs = {name: [vars(run) for run in runs] for name, runs in self.runs.items()}
        return {"rows": self.rows, "of": self.of, "runs": runs}


def compare(rows: int, turns: int, *, issues: Path | None = None) -> Compared:
    """Builds and collects so many rows, `turns` times each, ours and the floor's alternating."""
    compared = Compared(rows, "issues" if issues else "700 characters")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name, local_server(Path(name) / "server") as url:
        folder = Path(name)
        source = folder / "rows.csv"
        texts.write(source, texts.issues(issues, rows) if issues else texts.made_up(rows))
        for turn in range(turns):
            _floor(compared, folder / f"floor-{turn}", source, url)
            _ours(compared, folder / f"ours-{turn}", source, url)
    return compared


def _floor(compared: Compared, folder: Path, source: Path, url: str) -> None:
    folder.mkdir()
    requests, environment = folder / "requests", environment_for(folder, url)
    compared.add("floor build", step(environment, "bench.floor", "build", source, requests))
    batch = _floor_batches(environment, requests, url)
    compared.add("floor collect", step(environment, "bench.floor", "collect", batch, url, folder / "answers.csv"))
    _must_be(compared.rows, compared.runs["floor collect"][-1].done)


def _floor_batches(environment: Mapping[str, str], requests: Path, url: str) -> str:
    return step(environment, "bench.floor", "send", requests, url).done


def _ours(compared: Compared, folder: Path, source: Path, url: str) -> None:
    folder.mkdir()
    environment = environment_for(folder, url)
    step(environment, "bench.ours", "load", source)
    built = step(environment, "bench.ours", "build", "bench")
    compared.add("ours build", built)
    _must_be(compared.rows, built.done["requests"])
    job = built.done["job"]
    compared.add("ours send", step(environment, "bench.ours", "send", job))
    compared.add("ours collect", step(environment, "bench.ours", "collect", job))
    found = step(environment, "bench.ours", "check", job).done
    for what in ("answered", "answers", "whole", "counted", "settled"):
        _must_be(compared.rows, found[what], what)


def _must_be(wanted: int, found: int, what: str = "rows") -> None:
    """Every row was asked about, counted, validated and stored, or no figure is worth anything."""
    if wanted != found:
        raise SystemExit(f"{found} of {wanted}: {what}")


def environment_for(folder: Path, url: str) -> dict[str, str]:
    """The environment of a process that keeps its data in `folder`, and asks at `url`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BATCH_PIPELINE_", "OPENAI_"))}
    return {**kept, "BATCH_PIPELINE_DATA_DIR": str(folder / "data"), "BATCH_PIPELINE_LOCAL_URL": url}
