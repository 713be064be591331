"""What a night costs: `python -m bench.nightly --repos 50 --issues 20`, or `--files 'issues/*.json'`.

Prints seconds from the request for the night's run to the last result, the CPU seconds of all of Dagster in that
time, each run, and the records by outcome. Issues are made up where no files are given, the provider is the local
server (simulated, in a process of its own, not counted), and everything else is as in production: daemon, sensors, a
process for each run.

With `--sent` the jobs are planned and sent before the daemon starts, one a repository and task, and what counts is how
Dagster collects them when all end together: `python -m bench.nightly --sent --repos 500 --issues 1`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import dagster as dg

from batch_pipeline.assets import keys
from batch_pipeline.automation.run_requests import RANGE_END, RANGE_START
from batch_pipeline.automation.schedules import night_runs
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.plan import Order, plan
from batch_pipeline.batches.requests.selection import Selection
from batch_pipeline.batches.standing.due import ASSET
from batch_pipeline.batches.standing.status import statuses
from batch_pipeline.batches.submit_all import submit_all
from batch_pipeline.cli.programs import answers
from batch_pipeline.ledger import partitions
from batch_pipeline.ledger.batches import of_job
from batch_pipeline.ledger.jobs import Job
from batch_pipeline.settings import load_settings
from batch_pipeline.sources.files import load_issues
from batch_pipeline.tasks.registry import load_tasks
from batch_pipeline.tasks.task import BatchTask

ROOT = Path(__file__).parent.parent
NIGHT = date(2026, 11, 20)


def main() -> None:
    """Runs one night and prints its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repos", type=int, default=50)
    parser.add_argument("--issues", type=int, default=20, help="of each repository")
    parser.add_argument("--tasks", default="issue_kind,product_labeling", help="the night's tasks")
    parser.add_argument("--files", help="a glob of real issues, instead of made-up ones")
    parser.add_argument("--poll-seconds", type=int, default=5)
    parser.add_argument("--batch-seconds", type=float, default=20.0, help="from a batch's creation to its end")
    parser.add_argument("--sent", action="store_true", help="measure from the first batch's end")
    parser.add_argument("--limit", type=float, default=900.0, help="seconds to wait for the last result")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name, server(Path(name), given) as url:
        folder = Path(name)
        os.environ |= {
            "DAGSTER_HOME": str(folder / "dagster"),
            "BATCH_PIPELINE_DATA_DIR": str(folder / "data"),
            "BATCH_PIPELINE_LOCAL_URL": url,
            "BATCH_PIPELINE_POLL_SECONDS": str(given.poll_seconds),
            "BATCH_PIPELINE_TASKS": given.tasks,
        }
        (folder / "dagster").mkdir()
        shutil.copy(ROOT / "dagster.yaml", folder / "dagster")
        repos = load(given.files) if given.files else make_up(given.repos, given.issues)
        with dg.DagsterInstance.from_config(str(folder / "dagster")) as instance:
            instance.add_dynamic_partitions("repos", repos)
            if given.sent:
                send(repos)
            with dagster(folder) as processes:
                (measure_sent if given.sent else measure)(instance, processes, repos, given.limit)
        tell_outcomes()


@contextmanager
def server(folder: Path, given: argparse.Namespace) -> Generator[str]:
    """The local server; its URL."""
    options = ["--port", "0", "--state-dir", str(folder / "server"), "--seconds", str(given.batch_seconds)]
    process = subprocess.Popen([sys.executable, "-m", "batch_pipeline.local_server", *options], stdout=subprocess.PIPE)
    try:
        told = process.stdout.readline() if process.stdout else b""
        yield told.decode().split()[-1]
    finally:
        process.terminate()
        process.wait()


@contextmanager
def dagster(folder: Path) -> Generator[list[subprocess.Popen[bytes]]]:
    """A code server and the daemon that uses it, each in a session of its own, by which all that it starts is found."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    code = ("dagster", "code-server", "start", "-m", "batch_pipeline.definitions", "-h", "127.0.0.1", "-p", port)
    follow = ("dagster._daemon", "run", "--grpc-host", "127.0.0.1", "--grpc-port", port)
    started = list[subprocess.Popen[bytes]]()
    with (folder / "dagster.log").open("wb") as log:
        try:
            for module, *options in (code, follow):
                command = [sys.executable, "-m", module, *options]
                started.append(subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True))
                while module == "dagster" and not answers(int(port)):
                    time.sleep(0.1)
            yield started
        finally:
            for process in started:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def load(files: str) -> list[str]:
    """Loads issues from files; their repositories' names."""
    pipeline = Pipeline()
    loaded = load_issues(pipeline.warehouse, [files], NIGHT)
    pipeline.close()
    return sorted(loaded.repos)


def tell_outcomes() -> None:
    """Prints each task's records and requests by outcome."""
    pipeline = Pipeline()
    for task in load_tasks().by_name:
        jobs = [job for job in statuses(pipeline) if job.task == task]
        outcomes = sum((Counter(job.outcomes) for job in jobs), Counter[str]())
        records, requests = sum(job.records for job in jobs), sum(job.requests for job in jobs)
        print(f"  {task}: {records} records in {len(jobs)} jobs, {requests} requests, {dict(outcomes)}")  # noqa: T201 - a command
    pipeline.close()


def make_up(repos: int, issues: int) -> list[str]:
    """Makes up issues, all of them different; the repositories' names."""
    names = [f"made-up/repo-{number:03}" for number in range(repos)]
    rows = [
        {
            "number": number,
            "title": f"{name}: issue {number}",
            "body": f"It fails with code {number}. " * 20,
            "state": "open",
            "html_url": f"https://github.com/{name}/issues/{number}",
        }
        for name in names
        for number in range(1, issues + 1)
    ]
    pipeline = Pipeline()
    file = pipeline.data_dir / "made-up.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(rows))
    loaded = load_issues(pipeline.warehouse, [str(file)], NIGHT)
    pipeline.close()
    if loaded.added != len(rows):
        raise SystemExit(f"only {loaded.added} of {len(rows)} issues were loaded: {loaded.problems[:3]}")
    return names


def measure(
    instance: dg.DagsterInstance, processes: Sequence[subprocess.Popen[bytes]], repos: Sequence[str], limit: float
) -> None:
    """From the night's run request to the last result."""
    wait_for_daemon(instance, limit)
    began, cpu = time.time(), cpu_seconds(processes)
    launched = sum(launch(request) for request in night_runs(NIGHT, repos))
    wait_for_results(instance, processes, repos, limit)
    spent = cpu_seconds(processes) - cpu + launched
    tasks = len(load_settings().tasks)
    print(f"{len(repos)} repositories, {tasks} tasks: {time.time() - began:.0f} s, {spent:.1f} s of CPU")  # noqa: T201 - a command
    tell_runs(instance, began)


def wait_for_results(
    instance: dg.DagsterInstance, processes: Sequence[subprocess.Popen[bytes]], repos: Sequence[str], limit: float
) -> None:
    """Until each task has its results of each repository."""
    results = [keys.results_key(task) for task in load_settings().tasks]
    until = time.time() + limit
    while min(len(instance.get_materialized_partitions(key)) for key in results) < len(repos):
        if time.time() > until or any(process.poll() is not None for process in processes):
            raise SystemExit(f"not through: {[(r.status, r.asset_selection) for r in instance.get_runs()]}")
        time.sleep(0.2)


def tell_runs(instance: dg.DagsterInstance, began: float) -> None:
    """Prints each run with its times, in seconds from `began`."""
    for record in reversed(instance.get_run_records()):
        at, end = (record.start_time or 0) - began, (record.end_time or 0) - began
        assets = ", ".join(sorted(key.to_user_string() for key in record.dagster_run.asset_selection or ()))
        print(f"  {at:6.1f} s to {end:6.1f} s  {record.dagster_run.status.value}  {assets}")  # noqa: T201 - a command


def send(repos: Sequence[str]) -> None:
    """Plans a job for each repository and task, and sends all of them one after the other."""
    pipeline = Pipeline()
    cells = [dg.MultiPartitionKey({"night": str(NIGHT), "repo": repo}) for repo in repos]
    began, planned = time.time(), list[Job]()
    with pipeline.warehouse.read():
        for task in load_settings().tasks:
            planned += [_plan(pipeline, load_tasks().by_name[task], cell) for cell in cells]
    sending = time.time()
    sent = submit_all(pipeline, planned)
    if len(sent.created) < len(planned):
        raise SystemExit(f"sent only {len(sent.created)} of {len(planned)}: {sent.not_yet}, {sent.stopped}")
    print(f"{len(planned)} jobs planned in {sending - began:.0f} s, sent in {time.time() - sending:.0f} s")  # noqa: T201 - a command
    pipeline.close()


def _plan(pipeline: Pipeline, task: BatchTask, cell: dg.MultiPartitionKey) -> Job:
    dimensions = cell.keys_by_dimension
    selection = Selection(night=NIGHT, repo=dimensions["repo"])
    made_for = {ASSET: keys.submission_key(task.name).to_user_string()}
    return plan(pipeline, Order(task, selection, partition_key=str(cell), metadata=made_for))


def measure_sent(
    instance: dg.DagsterInstance, processes: Sequence[subprocess.Popen[bytes]], repos: Sequence[str], limit: float
) -> None:
    """From the first batch's end to the last result."""
    cpu, ended = cpu_seconds(processes), list[float]()
    wait_for_results(instance, processes, repos, limit)
    through = time.time()
    pipeline = Pipeline()
    with pipeline.ledger.read() as db:
        for task in load_settings().tasks:
            ended += [batch.ended_at or 0.0 for job in partitions.of_task(db, task) for batch in of_job(db, job.job_id)]
    pipeline.close()
    spent = cpu_seconds(processes) - cpu
    print(  # noqa: T201 - a command
        f"{len(ended)} batches ended within {max(ended) - min(ended):.0f} s; all results {through - min(ended):.0f} s "
        f"after the first end, {through - max(ended):.0f} s after the last, {spent:.1f} s of CPU"
    )
    tell_runs(instance, min(ended))


def launch(request: dg.RunRequest) -> float:
    """One run in a process of its own; its CPU seconds."""
    span = f"{request.tags[RANGE_START]}...{request.tags[RANGE_END]}"
    command = [str(Path(sys.executable).parent / "dg"), "launch", "--assets", "issues", "--partition-range", span]
    before = os.times()
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def wait_for_daemon(instance: dg.DagsterInstance, limit: float) -> None:
    """Until the sensors tick: what starting costs is paid once a day, not once a night."""
    until = time.time() + limit
    while "SENSOR" not in instance.get_daemon_heartbeats():
        if time.time() > until:
            raise SystemExit("the sensors do not tick")
        time.sleep(0.2)


def cpu_seconds(leaders: Sequence[subprocess.Popen[bytes]]) -> float:
    """CPU of all processes in the sessions of these, and of those that they have waited for."""
    sessions, ticks = {leader.pid for leader in leaders}, 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        if int(fields[3]) in sessions:
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
