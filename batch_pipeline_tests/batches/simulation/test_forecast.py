"""A job's forecast, and what it rests on."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_pipeline.batches.money.prices import PriceBook
from batch_pipeline.batches.requests.request_files import Limits
from batch_pipeline.batches.simulation.accounts import Account, tiers, with_limit
from batch_pipeline.batches.simulation.costs import costs_of
from batch_pipeline.batches.simulation.forecast import Scene, forecast
from batch_pipeline.batches.simulation.latency import WINDOW_SECONDS, Latency
from batch_pipeline.batches.simulation.own import Pace, disk_of
from batch_pipeline.batches.simulation.work import Work

LIMITS = Limits(50_000, 209_715_200)
LUNA = tiers("openai", "gpt-6-luna")


def scene(rows: int, account: Account, pace: Pace | None = None) -> Scene:
    return Scene(Work.of_rows(rows, 400, 2_000), LIMITS, account, pace=pace or Pace())


@given(st.integers(1, 3_000_000), st.integers(10**7, 10**10), st.integers(1, 4), st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_nothing_is_faster_than_any_of_its_bounds_nor_slower_than_the_worst(
    rows: int, limit: int, hosts: int, seed: int
) -> None:
    found = forecast(scene(rows, with_limit("openai", limit, "given"), Pace(hosts=hosts)), runs=1, seed=seed)
    assert found.hours.early <= found.hours.middle <= found.hours.late <= found.worst_hours
    for what, hours in found.bounds.items():
        assert found.worst_hours >= hours * (1 - 1e-6), what
        if what not in ("queue", "latency"):  # of these two, the middle of all runs
            assert found.hours.early >= hours * (1 - 1e-6), what
    assert found.bounds[found.slowest] == max(found.bounds.values())
    assert 0 < found.most_open <= rows


def test_it_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    asked = scene(3_000_000, LUNA["3"])
    assert forecast(asked, seed=7) == forecast(asked, seed=7)
    assert forecast(asked, seed=7).hours != forecast(asked, seed=8).hours


def test_a_higher_tier_takes_no_longer_and_more_hosts_neither() -> None:
    hours = [forecast(scene(20_000_000, account), runs=5).hours.middle for account in LUNA.values()]
    assert hours == sorted(hours, reverse=True)
    by_hosts = [forecast(scene(50_000_000, LUNA["5"], Pace(hosts=hosts)), runs=5).hours.middle for hosts in (1, 2, 8)]
    assert by_hosts == sorted(by_hosts, reverse=True)
    assert by_hosts[0] > by_hosts[-1]


def test_a_billion_rows_take_a_few_seconds_and_tell_what_they_wait_for() -> None:
    began = time.process_time()
    found = forecast(scene(10**9, LUNA["4"], Pace(lookup_seconds=0)), runs=1)
    assert time.process_time() - began < 5
    assert (found.batches, found.at_once, found.slowest) == (20_000, 50, "queue")
    assert found.runs == 3
    slow = Pace(build_seconds=164, lookup_seconds=0)
    assert forecast(scene(10**9, LUNA["5"], slow), runs=1, most_batches=2_000).slowest == "planning"


def test_more_batches_than_can_be_simulated_go_on_at_the_same_pace() -> None:
    asked = scene(10_000_000, LUNA["4"])
    whole, part = forecast(asked, runs=3), forecast(asked, runs=3, most_batches=100)
    assert (whole.simulated, part.simulated) == (200, 100)
    assert whole.batches == part.batches == 200
    slow = scene(40_000_000, LUNA["3"])
    whole, part = forecast(slow, runs=3), forecast(slow, runs=3, most_batches=400)
    assert part.hours.middle == pytest.approx(whole.hours.middle, rel=0.1)


def test_anthropic_counts_requests_and_what_no_page_knows_has_no_tier() -> None:
    found = tiers("anthropic", "claude-haiku-5-5")
    assert [(name, account.limit, account.unit) for name, account in found.items()] == [
        ("start", 200_000, "requests"),
        ("build", 300_000, "requests"),
        ("scale", 500_000, "requests"),
    ]
    limits = Limits(100_000, 256_000_000)
    asked = Scene(Work.of_rows(1_000_000, 400, 2_000), limits, found["start"])
    assert (forecast(asked).batches, forecast(asked).at_once) == (10, 2)
    assert tiers("openai", "a-model-of-our-own") == {}


@pytest.mark.parametrize(
    ("model", "limits"),
    [
        ("gpt-6-luna", [5, 20, 40, 1_000, 15_000]),
        ("gpt-5-mini", [5, 20, 40, 1_000, 15_000]),
        ("gpt-5.4-nano", [2, 20, 40, 1_000, 15_000]),
        ("gpt-4o-mini", [2, 20, 40, 1_000, 15_000]),
        ("gpt-4o", [0.09, 1.35, 50, 200, 5_000]),
        ("gpt-6-astra", [1.5, 3, 100, 200, 15_000]),
        ("gpt-5.5", [1.5, 3, 100, 200, 15_000]),
        ("text-embedding-3-small", [3]),
    ],
)
def test_each_model_has_the_limits_of_its_page(model: str, limits: list[float]) -> None:
    assert [account.limit for account in tiers("openai", model).values()] == [1e6 * limit for limit in limits]


def test_latencies_have_the_median_and_the_ninetieth_percentile_that_were_asked_for() -> None:
    drawn = Latency(420, 3_600).draw(100_000, seed=3)
    assert float(np.median(drawn)) == pytest.approx(420, rel=0.03)
    assert float(np.quantile(drawn, 0.9)) == pytest.approx(3_600, rel=0.03)
    assert drawn.max() == WINDOW_SECONDS
    assert (drawn[:10] == Latency(420, 3_600).draw(10, seed=3)).all()
    assert Latency(60, 60).draw(5, seed=1).tolist() == pytest.approx([60] * 5)


def test_what_lies_on_the_disk_grows_with_the_rows_and_the_ledger_with_what_is_open() -> None:
    small, large = (disk_of(Work.of_rows(rows, 400, 2_000), 30.0 * rows, rows // 2) for rows in (10**6, 10**7))
    assert large.whole == pytest.approx(10 * small.whole)
    assert disk_of(Work.of_rows(10**6, 400, 2_000), 3e7, 0).ledger == 0
    assert small.requests == 2_000_000_000
    embeddings = disk_of(Work.of_rows(1_000, 400, 2_000), 0, 0, dimensions=1_536)
    assert embeddings.answers > 1_000 * 1_536 * 5


def test_costs_are_those_of_the_sample_as_many_times_as_there_are_rows() -> None:
    tariff = PriceBook().tariff("openai", "gpt-6-luna")
    costs = costs_of(tariff, [300, 500], 10**9, 60, exact=True, expected_output_tokens=30, headroom=0)
    assert costs.batch == pytest.approx(1e9 * (400 * 0.05e-6 + 30 * 0.25e-6))
    assert costs.realtime == pytest.approx(2 * costs.batch)
    assert costs.flex == pytest.approx(costs.batch)
    assert costs.saved == pytest.approx(costs.batch)
    assert costs.bound > costs.batch
    assert costs.output_tokens == 3e10
    assert costs_of(tariff, [300], 10, 60, exact=True, flex=False).flex is None


def test_planning_looks_up_what_is_stored_and_so_takes_longer_each_time() -> None:
    pace = Pace(build_seconds=100, lookup_seconds=10)
    assert pace.ready([1_000_000] * 3) == [100, 100 + 110, 100 + 110 + 120]
    assert Pace(build_seconds=100, lookup_seconds=0, hosts=2).ready([1_000_000] * 4) == [100, 100, 200, 200]
    assert pace.ready([]) == []
    account = with_limit("openai", 10**12, "given")
    slow, quick = (forecast(scene(50_000_000, account, Pace(lookup_seconds=each)), runs=1) for each in (26, 0))
    assert slow.bounds["planning"] - quick.bounds["planning"] == pytest.approx(26 * sum(range(50)) / 3_600)


def test_what_is_seen_late_frees_the_queue_late() -> None:
    asked = scene(10_000_000, LUNA["3"])
    assert forecast(replace(asked, poll_seconds=900)).hours.middle > forecast(asked).hours.middle
