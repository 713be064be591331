"""What it costs: `make bench`, or `make bench ARGS="--rows 10000 --turns 5 --only compared command"`.

Prints a table, and writes every figure as JSON. Ours and the floor's alternate, each is a process of its own, and of
each the best of the turns counts: others on the machine only ever add.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bench import images, others
from bench.children import ROOT
from bench.compared import Compared, compare

MEASURES = ("compared", "issues", "images", "command", "server", "sensor", "night", "thousand", "million")


def main() -> None:
    """Measures what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 10_000, 50_000])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=MEASURES, default=["compared", "command", "server"])
    parser.add_argument("--all", action="store_true", help="all of them; an hour, and 10 GB of disk")
    parser.add_argument("--issues", type=Path, help="a CSV of real issues with `title` and `body`, for `issues`")
    parser.add_argument("--batches", type=int, default=10_000, help="in flight, for `sensor`")
    parser.add_argument("--to", type=Path, help="where the JSON goes; data/var/bench/… if not given")
    given = parser.parse_args()
    wanted = MEASURES if given.all else given.only
    told: dict[str, Any] = {"at": time.strftime("%F %T"), "on": machine()}
    for row in measure(wanted, given, told):
        print(row, flush=True)  # noqa: T201 - a command
    to = given.to or ROOT / "data/var/bench" / f"{time.strftime('%Y%m%d-%H%M%S')}.json"
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_text(json.dumps(told, indent=1))
    print(f"\n{to}")  # noqa: T201 - a command


def measure(wanted: Iterable[str], given: argparse.Namespace, told: dict[str, Any]) -> Iterable[str]:
    """The table's lines, as they come to be; all figures go into `told`."""
    yield f"{told['on']}\n"
    yield "| what | floor | ours | ratio | of whole processes | MB |"
    yield "| --- | --- | --- | --- | --- | --- |"
    sizes = [(rows, None) for rows in given.rows] if "compared" in wanted else []
    if "issues" in wanted and given.issues:
        sizes.append((3_000, given.issues))
    for rows, issues in sizes:
        compared = compare(rows, given.turns, issues=issues)
        told.setdefault("compared", []).append(compared.told())
        yield from lines(compared)
    if "million" in wanted:
        compared = compare(1_000_000, 1)
        told.setdefault("compared", []).append(compared.told())
        yield from lines(compared)
    single = {
        "images": lambda: images.measure(400),
        "command": others.command,
        "server": others.server,
        "sensor": lambda: others.sensor(given.batches),
        "night": lambda: others.night(50, 20, 20),
        "thousand": others.thousand,
    }
    for name in single.keys() & set(wanted):
        told[name] = others.timed(single[name])
        yield f"| {name} | | {figures(told[name])} | | | |"


def lines(compared: Compared) -> Iterable[str]:
    """Build and collect; CPU seconds of the steps, their ratio, and that of the whole processes."""
    for what in ("build", "collect"):
        size = f"{what} {compared.rows:,} ({compared.of})"
        megabytes = f"{max(run.megabytes for run in compared.runs[f'ours {what}']):.0f}"
        sides = f"{_took(compared, f'floor {what}')} | {_took(compared, f'ours {what}')}"
        ratios = f"{compared.ratio(what):.2f} CPU, {compared.ratio(what, 'step_seconds'):.2f} time"
        whole = f"{compared.ratio(what, 'cpu'):.2f} CPU, {compared.ratio(what, 'seconds'):.2f} time"
        yield f"| {size} | {sides} | {ratios} | {whole} | {megabytes} |"


def _took(compared: Compared, name: str) -> str:
    return f"{compared.best(name, 'step_cpu'):.2f} s CPU, {compared.best(name, 'step_seconds'):.2f} s"


def figures(found: Mapping[str, float]) -> str:
    """All of them in a line."""
    return ", ".join(f"{name} {value:,.2f}".rstrip("0").rstrip(".") for name, value in found.items())


def machine() -> str:
    """What it is measured on."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, load {load}"


if __name__ == "__main__":
    main()
