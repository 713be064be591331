from __future__ import annotations

import pytest

from batch_pipeline.warehouse.connection import Warehouse
from batch_pipeline.warehouse.cursors import second_cursor


@pytest.mark.parametrize("guarded", [False, True])
def test_a_second_cursor_finds_the_same_tables_while_the_first_is_at_work(warehouse: Warehouse, guarded: bool) -> None:
    with warehouse.guarded() if guarded else warehouse.read() as connection, second_cursor(connection) as second:
        connection.execute("SELECT unnest([1, 2]) AS x")
        assert second.execute("SELECT count(*) FROM batch_requests").fetchall() == [(0,)]
        assert connection.fetchall() == [(1,), (2,)]
