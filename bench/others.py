"""What is measured beside building and collecting: the command, the local server, the sensor, and nights in Dagster."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench import texts
from bench.children import COMMAND, ROOT, local_server, run, step
from bench.compared import environment_for

Figures = dict[str, float]


def command(turns: int = 5) -> Figures:
    """CPU seconds of `--help`, of `import openai` alone, and of `submit` of ten requests to the shell's prompt."""
    found: dict[str, list[float]] = {"help": [], "import_openai": [], "submit_10": []}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name, local_server(Path(name) / "server") as url:
        here = environment_for(Path(name), url)
        run(here, *COMMAND, "issues", "load", ROOT / "data/issues/*.json")
        for turn in range(turns):
            found["help"].append(run(here, *COMMAND, "--help")[0][1])
            found["import_openai"].append(run(here, sys.executable, "-c", "import openai")[0][1])
            asked = ("submit", "issue-kind", "--limit", "10", "--model", f"simulated-{turn}", "--json")
            whole, out = run(here, *COMMAND, *asked)
            if json.loads(out)["requests"] != 10:
                raise SystemExit(f"not ten requests: {out}")
            found["submit_10"].append(whole[1])
    return {name: min(cpu) for name, cpu in found.items()}


def server(rows: int = 50_000, turns: int = 3) -> Figures:
    """Requests that the simulated engine answers a second, from the batch's creation to its end, at best."""
    from openai import OpenAI

    seconds: list[float] = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name, local_server(Path(name) / "server") as url:
        folder = Path(name)
        texts.write(folder / "rows.csv", texts.made_up(rows))
        step(environment_for(folder, url), "bench.floor", "build", folder / "rows.csv", folder / "requests")
        client = OpenAI(api_key="none", base_url=url)
        for _ in range(turns):
            with (folder / "requests" / "requests-0000.jsonl").open("rb") as file:
                given = client.files.create(file=file, purpose="batch").id
            began = time.perf_counter()
            batch = client.batches.create(input_file_id=given, endpoint="/v1/chat/completions", completion_window="24h")
            while batch.status != "completed":
                time.sleep(0.02)
                batch = client.batches.retrieve(batch.id)
            seconds.append(time.perf_counter() - began)
    return {"rows": rows, "seconds": min(seconds), "per_second": rows / min(seconds)}


def sensor(batches: int) -> Figures:
    """One look of the sensor at so many batches in flight: seconds, CPU seconds, calls."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with local_server(folder / "server", "--seconds", "100000") as url:
            here = environment_for(folder, url) | {"BATCH_PIPELINE_MAX_REQUESTS": "1"}
            texts.write(folder / "rows.csv", texts.made_up(batches))
            step(here, "bench.ours", "load", folder / "rows.csv")
            job = step(here, "bench.ours", "build", "sensor").done["job"]
            step(here, "bench.ours", "submit", job)
            looked = step(here, "bench.ours", "look", job)
    if looked.done["in_flight"] != batches:
        raise SystemExit(f"{looked.done} in flight, not {batches}")
    return {
        "batches": batches,
        "seconds": looked.step_seconds,
        "cpu": looked.step_cpu,
        "calls": looked.done["calls"],
    }


def night(repos: int, issues: int, batch_seconds: float) -> Figures:
    """A night in Dagster; see `bench.nightly`."""
    size = ("--repos", repos, "--issues", issues, "--batch-seconds", batch_seconds)
    _, out = run(dict(os.environ), sys.executable, "-m", "bench.nightly", *size)
    told = re.search(r"(?P<tasks>\d+) tasks: (?P<seconds>\d+) s, (?P<cpu>[\d.]+) s of CPU", out.decode())
    if told is None:
        raise SystemExit(out.decode())
    return {"repos": repos, "issues": issues, "provider": batch_seconds} | {
        key: float(value) for key, value in told.groupdict().items()
    }


def thousand() -> Figures:
    """1,000 jobs that end within half a minute, collected by Dagster; see `bench.nightly --sent`."""
    size = ("--repos", 500, "--issues", 1, "--batch-seconds", 60)
    _, out = run(dict(os.environ), sys.executable, "-m", "bench.nightly", "--sent", *size)
    told = re.search(
        r"(?P<batches>\d+) batches ended within (?P<within>\d+) s; all results (?P<seconds>\d+) s after the first end, "
        r"\d+ s after the last, (?P<cpu>[\d.]+) s of CPU",
        out.decode(),
    )
    if told is None:
        raise SystemExit(out.decode())
    return {key: float(value) for key, value in told.groupdict().items()}


def timed(measure: Callable[[], Figures]) -> Figures:
    """With the seconds that measuring itself took."""
    began = time.perf_counter()
    return {**measure(), "measuring": time.perf_counter() - began}
