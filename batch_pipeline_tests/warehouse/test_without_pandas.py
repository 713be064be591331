from __future__ import annotations

import subprocess
import sys

_BOUND = """
import sys
from batch_pipeline.warehouse.without_pandas import without_pandas
import batch_pipeline.warehouse.lookups as ours
import duckdb, pyarrow as pa

def bound(connection):  # as if it stood in that package: the caller of a compiled library is who imports
    return connection.execute("SELECT ?, len(?)", [1, ["a"]]).fetchall(), pa.array(["a"]).to_pylist()

bound = type(bound)(bound.__code__, {**vars(ours), "pa": pa})
connection = duckdb.connect()
"""


def run(script: str) -> None:
    subprocess.run([sys.executable, "-c", _BOUND + script], check=True, timeout=60)


def test_values_are_bound_without_pandas_and_with_it_afterwards() -> None:
    """It costs 0.35 s in each process."""
    run("""
with without_pandas():
    assert bound(connection) == ([(1, 1)], ["a"])
    assert "pandas" not in sys.modules
assert connection.execute("SELECT ? AS a", [1]).df().a.tolist() == [1]
import pandas
assert connection.execute("SELECT ?", [pandas.NaT]).fetchall() == [(None,)]
assert pa.table({"a": [1]}).to_pandas().a.tolist() == [1]
""")


def test_a_prompt_that_imports_pandas_gets_it() -> None:
    run("""
with without_pandas():
    bound(connection)
    import pandas
    assert pandas.Series([1]).sum() == 1
""")


def test_another_thread_is_not_kept_from_it() -> None:
    run("""
import threading
with without_pandas():
    bound(connection)
    thread = threading.Thread(target=bound, args=[connection.cursor()])
    thread.start()
    thread.join()
    assert "pandas" in sys.modules
""")
