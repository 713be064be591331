"""What a row takes on the disk: `python -m bench.sizes --rows 50000`.

Files of a job, the ledger while the job is in flight and after it, and the warehouse before and after, in bytes a row.
The texts are those of `bench.texts`; what grows with a row's text is told beside its tokens.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterable
from pathlib import Path

from bench import texts
from bench.children import local_server, step
from bench.compared import environment_for


def measure(rows: int) -> dict[str, float]:
    """Bytes a row, by what lies where, and the input tokens of a row."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name, local_server(Path(name) / "server") as url:
        folder = Path(name)
        source, data = folder / "rows.csv", folder / "data"
        texts.write(source, texts.made_up(rows))
        environment = environment_for(folder, url)
        step(environment, "bench.ours", "load", source)
        loaded = size(data.glob("warehouse.duckdb*"))
        built = step(environment, "bench.ours", "build", "sizes")
        job = data / "batches" / built.done["job"]
        in_flight = size(data.glob("ledger.db*"))
        step(environment, "bench.ours", "send", built.done["job"])
        step(environment, "bench.ours", "collect", built.done["job"])
        sizes = {
            "requests": size(job.glob("requests-*.jsonl")),
            "answers": size([*job.glob("output-*.jsonl"), *job.glob("errors-*.jsonl")]),
            "indexes": size(job.glob("*.parquet")),
            "ledger in flight": in_flight,
            "ledger after": size(data.glob("ledger.db*")),
            "rows in the warehouse": loaded,
            "answers in the warehouse": size(data.glob("warehouse.duckdb*")) - loaded,
        }
        return {"input tokens": built.done["tokens"] / rows} | {what: bytes_ / rows for what, bytes_ in sizes.items()}


def size(paths: Iterable[Path]) -> int:
    """Bytes of these files."""
    return sum(path.stat().st_size for path in paths)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = measure(given.rows)
    if given.json:
        print(json.dumps(found))  # noqa: T201 - a command
        return
    print(f"| what | a row, of {given.rows:,} |\n| --- | --- |")  # noqa: T201 - a command
    for what, each in found.items():
        unit = "" if what == "input tokens" else " bytes"
        print(f"| {what} | {each:,.0f}{unit} |")  # noqa: T201 - a command


if __name__ == "__main__":
    main()
