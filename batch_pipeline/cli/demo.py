"""`demo`: sample issues, a small model on this machine, and a real Dagster, from nothing to answers."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from batch_pipeline.cli.demo_report import EMBEDDINGS, LABELS, answered, report
from batch_pipeline.cli.local_server import Engine, default_engine
from batch_pipeline.cli.output import AsJson
from batch_pipeline.cli.progress import progress, requests_done

if TYPE_CHECKING:
    from datetime import date

    from batch_pipeline.batches.pipeline import Pipeline
    from batch_pipeline.batches.standing.status import JobStatus
    from batch_pipeline.cli.night import Night
    from batch_pipeline.cli.programs import Programs

TASKS = (LABELS, EMBEDDINGS)
"""The demo's tasks: with the small model, on one thread, 1.3 s an issue for a label, and 0.1 s for an embedding."""
SECONDS = 600.0
"""How long it may take; then something is wrong."""


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command(short_help="Answer 30 sample issues on this machine, through Dagster.")(demo)


def demo(
    *,
    engine: Annotated[
        Engine | None, typer.Option("--engine", help="Who answers; smollm2 where it is installed.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Answer 30 sample issues with a small model on this machine, through Dagster's daemon and sensors.

    It has data of its own, and ends everything that it starts. Run again, it sends nothing: all is answered.

    Example: batch-pipeline demo --engine simulated
    """
    told = partial(print, flush=True) if not as_json else _silent
    began, chosen = time.time(), engine or default_engine()
    with _own_pipeline() as pipeline:
        repos, night = _load(pipeline)
        before = answered(pipeline, LABELS)
        told(f"{_issues(pipeline)} sample issues of {len(repos)} repositories, {before} of them answered before.")
        told("Three kinds of work: a label for each, an embedding for each, and an evaluation of the labels.")
        told(f"Starting the local server, which answers with {chosen}, and Dagster's daemon.")
        try:
            _work(pipeline, repos, night, chosen, as_json=as_json)
        except KeyboardInterrupt:
            told("\nStopped, and everything ended. Nothing is lost: run it again, and it goes on.")
            raise typer.Exit(130) from None
        report(pipeline, _jobs(pipeline), began, as_json=as_json)


def _work(pipeline: Pipeline, repos: list[str], night: date, engine: Engine, *, as_json: bool) -> None:
    """Everything between the issues and their answers; all that it starts has ended when it returns."""
    import dagster as dg

    from batch_pipeline.cli.code_server import start_code_server
    from batch_pipeline.cli.dagster_home import dagster_home, fail_dead_runs
    from batch_pipeline.cli.dev import start_local_server
    from batch_pipeline.cli.night import Night
    from batch_pipeline.cli.programs import programs

    settings = pipeline.settings
    with (
        dagster_home(settings) as home,
        programs(settings.data_dir / "logs", {**os.environ, "DAGSTER_HOME": str(home)}) as running,
        dg.DagsterInstance.from_config(str(home)) as instance,
    ):
        fail_dead_runs(instance)
        start_local_server(running, settings, engine)
        workspace = start_code_server(running, home)
        running.start("daemon", "dagster._daemon", "run", "-w", str(workspace))
        asked = Night(instance, night, repos, TASKS)
        asked.launch(running, workspace)
        _follow(pipeline, running, asked, as_json=as_json)


def _follow(pipeline: Pipeline, running: Programs, night: Night, *, as_json: bool) -> None:
    """Waits until the night is planned, and every job of it collected."""
    total = len(TASKS) * _issues(pipeline)
    so_far = sum(answered(pipeline, task) for task in TASKS)
    with progress(as_json=as_json) as told:

        def is_over() -> bool:
            planned, jobs = night.is_planned, _jobs(pipeline)
            under_way = [job for job in jobs if not job.final]
            done = sum(requests_done(job)[0] for job in under_way)
            nonlocal so_far  # a request that has ended counts for one, until its many records are collected
            so_far = max(so_far, min(total, sum(job.answered for job in jobs) + done))
            told(so_far, total, _doing(under_way, planned=planned))
            return planned and not under_way and night.is_at_rest

        running.wait_until(is_over, SECONDS, "The night's collection")


def _doing(under_way: list[JobStatus], *, planned: bool) -> str:
    if under_way:
        if any(job.state in ("planning", "planned") for job in under_way):
            return "sending what is planned"
        ended = all(job.state == "ended" for job in under_way)
        return "collecting the answers" if ended else "in flight at the local server"
    return "all collected" if planned else "Dagster plans the night"


@contextmanager
def _own_pipeline() -> Generator[Pipeline]:
    """A pipeline in a folder of its own, with settings of its own, for us and for all that we start."""
    from batch_pipeline.cli.session import opened
    from batch_pipeline.settings import PREFIX, load_settings

    folder = load_settings().data_dir / "demo"
    for name in [name for name in os.environ if name.startswith(PREFIX) and name not in _KEPT]:
        del os.environ[name]
    os.environ.pop("DAGSTER_HOME", None)
    os.environ |= {
        f"{PREFIX}DATA_DIR": str(folder),
        f"{PREFIX}PROVIDER": "local",
        f"{PREFIX}LOCAL_URL": f"http://127.0.0.1:{_port(folder)}/v1",
        f"{PREFIX}TASKS": ",".join(TASKS),
        f"{PREFIX}POLL_SECONDS": "1",
        f"{PREFIX}NIGHTLY": "false",
    }
    with opened() as pipeline:
        yield pipeline


_KEPT = {"BATCH_PIPELINE_PRICE_AS", "BATCH_PIPELINE_PRICES_FILE", "BATCH_PIPELINE_LOG_FORMAT"}


def _port(folder: Path) -> int:
    """A free port, and the same one each time while it is free: a batch belongs to the address that it was sent to."""
    from batch_pipeline.cli.programs import free_port, is_free

    noted = folder / "port"
    if noted.exists() and is_free(port := int(noted.read_text())):
        return port
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    port = free_port()
    noted.write_text(str(port))
    return port


def _load(pipeline: Pipeline) -> tuple[list[str], date]:
    """Loads the samples; their repositories, and the night that they were loaded for the first time."""
    from batch_pipeline.cli.issues import load_files
    from batch_pipeline.settings import project_root

    loaded = load_files(pipeline, [str(project_root() / "data" / "issues" / "*.json")])
    with pipeline.warehouse.read() as connection:
        night = connection.execute("SELECT min(night) FROM issue_versions").fetchall()[0][0]
    return list(loaded.repos), night


def _issues(pipeline: Pipeline) -> int:
    with pipeline.warehouse.read() as connection:
        return int(connection.execute("SELECT count(*) FROM issues").fetchall()[0][0])


def _jobs(pipeline: Pipeline) -> list[JobStatus]:
    from batch_pipeline.batches.standing.status import statuses

    return [job for job in statuses(pipeline) if job.task in TASKS]


def _silent(_text: str) -> None:
    """Says nothing: stdout is for JSON."""
