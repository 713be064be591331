"""`python -m batch_pipeline_tests.chaos.lane`: trials one after the other, a line of JSON each, until enough struck."""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import cycle
from pathlib import Path

from batch_pipeline.settings import DEFAULT_MODELS
from batch_pipeline_tests.chaos import hosts
from batch_pipeline_tests.chaos.forked import prepare
from batch_pipeline_tests.chaos.points import TARGETS, Strike
from batch_pipeline_tests.chaos.trial import Server, Trial
from batch_pipeline_tests.chaos.worker import struck
from batch_pipeline_tests.chaos.worlds import SERVER_WORLDS, WORLDS, World
from batch_pipeline_tests.scale.postgres import PostgresServer


@dataclass(frozen=True)
class Outcome:
    """What a trial came to; `folder` is kept where something is wrong."""

    world: str
    strikes: list[tuple[str, str]]
    batches: int
    lines: int
    violations: list[str]
    folder: str


def main() -> None:
    """Runs the lane."""
    parser = argparse.ArgumentParser(prog="python -m batch_pipeline_tests.chaos.lane", description=__doc__)
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--worlds", choices=["files", "servers"], default="files", help="where the ledger is")
    parser.add_argument("--world", help="this one only")
    parser.add_argument("--point", help="this one only")
    given = parser.parse_args()
    prepare(DEFAULT_MODELS)
    those = WORLDS if given.worlds == "files" else SERVER_WORLDS
    worlds = [world for world in those if given.world in (None, world.name)]
    targets = [strike for strike in TARGETS if given.point in (None, strike.point)]
    for outcome in _outcomes(given.kills, random.Random(given.seed), worlds, targets):
        print(json.dumps(asdict(outcome)), flush=True)  # noqa: T201 - a command


def _outcomes(kills: int, chance: random.Random, worlds: list[World], points: list[Strike]) -> Iterator[Outcome]:
    targets = cycle(chance.sample(points, len(points)))
    count = 0
    with tempfile.TemporaryDirectory(prefix="chaos-server-") as state, _servers(Path(state), worlds) as server:
        for world in cycle(chance.sample(worlds, len(worlds))):
            outcome = _trial(server, world, chance, targets)
            count += len(outcome.strikes)
            yield outcome
            if count >= kills:
                return


def _trial(server: Server, world: World, chance: random.Random, targets: Iterator[Strike]) -> Outcome:
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    trial = Trial(folder, server, world, chance)
    found = trial.run(lambda: next(targets))
    strikes = struck(folder)
    if not found.violations:
        shutil.rmtree(folder)
        trial.close()
    return Outcome(world.name, strikes, found.batches, found.lines, found.violations, str(folder))


@contextmanager
def _servers(state: Path, worlds: list[World]) -> Generator[Server]:
    """What these worlds need; where hosts can't have networks of their own, all of them share this one's."""
    with ExitStack() as stack:
        found: list[int] = []
        if count := max(world.hosts for world in worlds):
            try:
                found = stack.enter_context(hosts.hosts(count))
            except hosts.NoHosts as why:
                print(f"the hosts share a network: {why}", file=sys.stderr)  # noqa: T201 - a command
        address = hosts.ADDRESS if found else "127.0.0.1"
        server = stack.enter_context(_server(state))
        if found:
            server = replace(server, root=stack.enter_context(hosts.reached(server.root)))
        postgres = None
        if any(world.postgres for world in worlds):
            postgres = PostgresServer.start(listen=",".join({address, "127.0.0.1"}))
            stack.callback(postgres.stop)
        yield replace(server, postgres=postgres, address=address, hosts=found)


@contextmanager
def _server(state: Path) -> Generator[Server]:
    command = [sys.executable, "-m", "batch_pipeline.local_server", "--port", "0", "--state-dir", str(state)]
    command += ["--exit-with-parent"]
    with (
        (state / "log").open("w") as log,  # it tells of each client that was killed
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        assert process.stdout is not None
        said = process.stdout.readline().removeprefix("listening on ").strip()
        try:
            yield Server(said.removesuffix("/v1"))
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
