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
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path

from batch_pipeline.settings import DEFAULT_MODELS
from batch_pipeline_tests.chaos.forked import prepare
from batch_pipeline_tests.chaos.points import TARGETS, Strike
from batch_pipeline_tests.chaos.trial import Server, Trial
from batch_pipeline_tests.chaos.worker import struck
from batch_pipeline_tests.chaos.worlds import WORLDS, World


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
    parser.add_argument("--world", help="this one only")
    parser.add_argument("--point", help="this one only")
    given = parser.parse_args()
    prepare(DEFAULT_MODELS)
    worlds = [world for world in WORLDS if given.world in (None, world.name)]
    targets = [strike for strike in TARGETS if given.point in (None, strike.point)]
    for outcome in _outcomes(given.kills, random.Random(given.seed), worlds, targets):
        print(json.dumps(asdict(outcome)), flush=True)  # noqa: T201 - a command


def _outcomes(kills: int, chance: random.Random, worlds: list[World], points: list[Strike]) -> Iterator[Outcome]:
    targets = cycle(chance.sample(points, len(points)))
    count = 0
    with tempfile.TemporaryDirectory(prefix="chaos-server-") as state, _server(Path(state)) as server:
        for world in cycle(chance.sample(worlds, len(worlds))):
            outcome = _trial(server, world, chance, targets)
            count += len(outcome.strikes)
            yield outcome
            if count >= kills:
                return


def _trial(server: Server, world: World, chance: random.Random, targets: Iterator[Strike]) -> Outcome:
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    found = Trial(folder, server, world, chance).run(lambda: next(targets))
    strikes = struck(folder)
    if not found.violations:
        shutil.rmtree(folder)
    return Outcome(world.name, strikes, found.batches, found.lines, found.violations, str(folder))


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
