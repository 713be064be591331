from __future__ import annotations

from collections.abc import Callable

import pytest

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.standing.overview import overview
from batch_pipeline_tests.scale.postgres import PASSWORD, PostgresServer


@pytest.mark.scale
def test_the_ledger_is_named_without_its_password(
    make_pipeline: Callable[..., Pipeline], postgres: PostgresServer
) -> None:
    url = postgres.new_database()
    told = overview(make_pipeline(ledger_url=f"{url}?application_name={PASSWORD[:10].replace(' ', '+')}")).ledger
    assert told == f"postgresql://tester:***@127.0.0.1:{postgres.port}/{url.rpartition('/')[2]}"
    postgres.drop(url)
