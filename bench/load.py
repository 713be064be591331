"""The REST API under load: many clients at once, none of which is refused, and no job of which is lost.

    python bench/load.py --seconds 30 --concurrent 200

starts a local server and `batch-pipeline serve`, each a process of its own, over data of their own, and prints what
the clients saw. A client makes a job of one record, and reads: its job, a page of jobs, results, health, metrics.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

TOKEN = "of-the-bench"  # noqa: S105 - for a server of our own
TIMEOUT = 60.0
CREATES = 0.1
"""The share of the calls that make a job."""


@dataclass
class Seen:
    """What the clients saw; times in seconds."""

    times: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    statuses: Counter[str] = field(default_factory=Counter[str])
    jobs: set[str] = field(default_factory=set[str])

    def told(self) -> str:
        """A line a kind of call."""
        lines = [f"{'call':<10} {'calls':>7} {'median':>9} {'95 %':>9} {'longest':>9}"]
        for call, times in sorted(self.times.items()):
            ninetieth = statistics.quantiles(times, n=20)[-1] if len(times) > 1 else times[0]
            shown = (f"{one * 1e3:,.0f} ms" for one in (statistics.median(times), ninetieth, max(times)))
            lines.append(f"{call:<10} {len(times):>7,} " + " ".join(f"{one:>9}" for one in shown))
        return "\n".join(lines)

    @property
    def calls(self) -> int:
        """All of them."""
        return sum(len(times) for times in self.times.values())

    @property
    def failed(self) -> Counter[str]:
        """Those that did not work, by status or error."""
        return Counter({status: count for status, count in self.statuses.items() if not status.startswith("2")})


async def load(
    url: str, token: str, seconds: float, concurrent: int, records: list[str], creates: float = CREATES
) -> Seen:
    """So many clients, each with one call under way at all times; each record is asked about once, then reads go on."""
    seen, left, until = Seen(), list(records), time.monotonic() + seconds
    limits = httpx2.Limits(max_connections=concurrent, max_keepalive_connections=concurrent)
    headers = {"authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(
        base_url=url, headers=headers, limits=limits, timeout=TIMEOUT, trust_env=False
    ) as client:
        await asyncio.gather(*(_client(client, seen, left, until, number, creates) for number in range(concurrent)))
    return seen


async def _client(
    client: httpx2.AsyncClient, seen: Seen, left: list[str], until: float, number: int, creates: float
) -> None:
    chance, mine = random.Random(number), list[str]()  # noqa: S311 - which call comes next
    while time.monotonic() < until:
        if left and chance.random() < creates:
            record = left.pop()
            order = {"task": "issue_kind", "ids": [record], "metadata": {"client": str(number)}}
            reply = await _call(seen, "create", client.post("/api/batch/create", json=order, headers=_key(record)))
            if reply is not None and reply.status_code == 202:
                mine.append(reply.json()["job_id"])
                seen.jobs.add(mine[-1])
        else:
            paths = {"list": "/api/batch?limit=20", "health": "/healthz", "tasks": "/api/tasks"}
            if mine:
                paths |= {"status": f"/api/batch/{mine[-1]}", "results": f"/api/batch/{mine[-1]}/results"}
            call, path = chance.choice(list(paths.items()))
            await _call(seen, call, client.get(path))


def _key(record: str) -> dict[str, str]:
    return {"idempotency-key": record.replace("#", "-")}


async def _call(seen: Seen, call: str, request: Coroutine[None, None, httpx2.Response]) -> httpx2.Response | None:
    began = time.monotonic()
    try:
        reply = await request
    except httpx2.HTTPError as error:
        seen.statuses[type(error).__name__] += 1
        return None
    finally:
        seen.times.setdefault(call, []).append(time.monotonic() - began)
    seen.statuses[str(reply.status_code)] += 1
    return reply


def not_done(url: str, token: str, jobs: set[str], seconds: float) -> dict[str, str]:
    """The states of those jobs that are not done after so many seconds; a job that is not there is `lost`."""
    headers, until = {"authorization": f"Bearer {token}"}, time.monotonic() + seconds
    with httpx2.Client(base_url=url, headers=headers, timeout=TIMEOUT, trust_env=False) as client:
        while True:
            states, cursor = dict.fromkeys(jobs, "lost"), ""
            while cursor is not None:
                page = client.get("/api/batch", params={"limit": 500, **({"cursor": cursor} if cursor else {})}).json()
                states |= {one["job_id"]: one["state"] for one in page["jobs"] if one["job_id"] in jobs}
                cursor = page["next_cursor"]
            open_ = {job: state for job, state in states.items() if state != "done"}
            if not open_ or time.monotonic() > until:
                return open_
            time.sleep(0.5)


def issues(count: int) -> tuple[str, list[str]]:
    """So many issues as JSON lines, and their record ids."""
    lines = [
        json.dumps({"repo": "acme/orbit", "number": n, "title": f"It crashes ({n})", "body": "Look.", "state": "open"})
        for n in range(1, count + 1)
    ]
    return "\n".join(lines) + "\n", [f"acme/orbit#{n}" for n in range(1, count + 1)]


@contextmanager
def program(*arguments: str, environment: dict[str, str]) -> Generator[str]:
    """A verb of the command that serves, and the URL that it announces."""
    code = "import sys; from batch_pipeline.cli import main; sys.exit(main(sys.argv[1:]))"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments, "--json"], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        told = "".join(iter(process.stdout.readline, "}\n")) + "}"
        yield json.loads(told)["url"]
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    """Prints what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--concurrent", type=int, default=200)
    parser.add_argument("--creates", type=float, default=CREATES, help="the share of the calls that make a job")
    parser.add_argument("--records", type=int, default=20_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data, (text, records) = Path(folder), issues(given.records)
        (data / "issues.jsonl").write_text(text, encoding="utf-8")
        environment = {**os.environ, "BATCH_PIPELINE_DATA_DIR": str(data / "var"), "BATCH_PIPELINE_API_TOKEN": TOKEN}
        with program("local-server", "--engine", "simulated", "--port", "0", environment=environment) as local:
            environment["BATCH_PIPELINE_LOCAL_URL"] = local
            code = "import sys; from batch_pipeline.cli import main; sys.exit(main(sys.argv[1:]))"
            load_issues = [sys.executable, "-c", code, "issues", "load", str(data / "issues.jsonl")]
            subprocess.run(load_issues, env=environment, check=True)
            with program("serve", "--port", "0", environment=environment) as url:
                seen = asyncio.run(load(url, TOKEN, given.seconds, given.concurrent, records, given.creates))
                open_ = not_done(url, TOKEN, seen.jobs, 900)
    print(seen.told())  # noqa: T201 - what it is for
    print(  # noqa: T201
        f"{seen.calls:,} calls of {given.concurrent} clients at once in {given.seconds:.0f} s, failed: "
        f"{dict(seen.failed) or 'none'}; {len(seen.jobs):,} jobs made, not done: {open_ or 'none'}"
    )


if __name__ == "__main__":
    main()
