"""Many clients at once for three seconds; `bench/load.py` asks for longer."""

from __future__ import annotations

import asyncio

from batch_pipeline_tests.api.conftest import ISSUES, TOKEN, Client
from bench.load import load, not_done


def test_many_clients_at_once_are_all_answered_and_no_job_is_lost(client: Client) -> None:
    records = [f"acme/orbit#{number}" for number in range(1, ISSUES + 1)]
    seen = asyncio.run(load(client.url, TOKEN, 3.0, 60, records))
    assert not seen.failed
    assert len(seen.jobs) == ISSUES
    assert seen.calls > 60
    assert not_done(client.url, TOKEN, seen.jobs, 30.0) == {}
