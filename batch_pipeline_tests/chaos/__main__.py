"""`python -m batch_pipeline_tests.chaos --kills 300 --seed 1`: strikes, and prints its figures; 1 if one went wrong."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from batch_pipeline_tests.chaos.lane import Outcome


def main() -> int:
    """Runs the lanes side by side: they wait most of the time."""
    parser = argparse.ArgumentParser(prog="python -m batch_pipeline_tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lanes", type=int, default=3)
    parser.add_argument("--worlds", choices=["files", "servers"], default="files", help="where the ledger is")
    given = parser.parse_args()
    outcomes = list(_outcomes(given.kills, given.seed, given.lanes, given.worlds))
    _print(outcomes)
    return int(any(outcome.violations for outcome in outcomes))


def _outcomes(kills: int, seed: int, lanes: int, worlds: str) -> Iterator[Outcome]:
    share = -(-kills // lanes)
    with ExitStack() as stack:
        running = [stack.enter_context(_lane(share, seed * 1000 + number, worlds)) for number in range(lanes)]
        for lane in running:
            yield from _read(lane)


def _lane(kills: int, seed: int, worlds: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "batch_pipeline_tests.chaos.lane", "--kills", str(kills), "--seed", str(seed)]
    command += ["--worlds", worlds]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _read(lane: subprocess.Popen[str]) -> Iterator[Outcome]:
    assert lane.stdout is not None
    for line in lane.stdout:
        outcome = Outcome(**json.loads(line))
        for violation in outcome.violations:
            _say(f"VIOLATION  {outcome.world}: {violation}  ({outcome.folder})")
        yield outcome
    if lane.wait():
        raise RuntimeError(f"a lane ended with {lane.returncode}")


def _print(outcomes: Sequence[Outcome]) -> None:
    strikes = [tuple(strike) for outcome in outcomes for strike in outcome.strikes]
    for how, verb in (("kill", "killed"), ("stop", "stopped")):
        points = Counter(point for point, by in strikes if by == how)
        _say(f"\n{verb} at, {sum(points.values())} times")
        for point, count in sorted(points.items()):
            _say(f"  {point:28} {count:>4}")
    _say("\nworld                                      trials  strikes  batches   lines  violations")
    for world in dict.fromkeys(outcome.world for outcome in outcomes):
        _say_world(world, [outcome for outcome in outcomes if outcome.world == world])
    _say_world("all", outcomes)


def _say_world(name: str, outcomes: Sequence[Outcome]) -> None:
    strikes = sum(len(outcome.strikes) for outcome in outcomes)
    batches, lines = sum(o.batches for o in outcomes), sum(o.lines for o in outcomes)
    wrong = sum(len(outcome.violations) for outcome in outcomes)
    _say(f"{name:42} {len(outcomes):>6}  {strikes:>7}  {batches:>7} {lines:>7}  {wrong:>10}")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a command


if __name__ == "__main__":
    sys.exit(main())
