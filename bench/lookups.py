"""What a plan's lookups take beside so many stored answers: `python -m bench.lookups --stored 1000000 4000000`.

A plan looks each 50,000 fingerprints up among all that was ever sent, to buy nothing twice; that is a scan of them.
"""

from __future__ import annotations

import argparse
import tempfile
from hashlib import sha256
from pathlib import Path

from batch_pipeline.batches.requests.planner import TOGETHER
from batch_pipeline.batches.requests.prepared import CHUNK
from batch_pipeline.warehouse.connection import Warehouse
from batch_pipeline.warehouse.lookups import answered
from bench.clock import Clock

_TABLES = """
    CREATE OR REPLACE TABLE batch_requests AS
    SELECT 'job-' || i // 50000 AS batch_id, 'row-' || i AS custom_id, sha256(i::VARCHAR) AS fingerprint
    FROM range({stored}) AS rows(i);
    CREATE OR REPLACE TABLE batch_results AS
    SELECT batch_id, custom_id, 'answered' AS outcome FROM batch_requests;
"""


def measure(stored: int) -> tuple[float, float]:
    """Seconds, and CPU seconds, that the lookups of a million new rows take beside so many stored ones."""
    with tempfile.TemporaryDirectory() as folder:
        warehouse = Warehouse(Path(folder) / "warehouse.duckdb")
        with warehouse.write() as db:
            db.execute(_TABLES.format(stored=stored))
        fingerprints = [sha256(f"new {number}".encode()).hexdigest() for number in range(TOGETHER * CHUNK)]
        with warehouse.read() as db:
            answered(db, fingerprints)
            with Clock() as clock:
                for _ in range(3):
                    answered(db, fingerprints)
        times = 1_000_000 / (3 * TOGETHER * CHUNK)
        return clock.seconds * times, clock.cpu * times


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stored", type=int, nargs="+", default=[1_000_000, 4_000_000])
    print("| stored rows | lookups of a million new rows |\n| --- | --- |")  # noqa: T201 - a command
    for stored in parser.parse_args().stored:
        seconds, cpu = measure(stored)
        print(f"| {stored:,} | {seconds:.1f} s, {cpu:.1f} s CPU |", flush=True)  # noqa: T201 - a command


if __name__ == "__main__":
    main()
