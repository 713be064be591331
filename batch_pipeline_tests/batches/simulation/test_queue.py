"""The queue: what holds for whatever is sent through it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_pipeline.batches.simulation.forecast import queue_hours
from batch_pipeline.batches.simulation.queue import HOUR, Flight, Queue, collected, fly

QUICK = settings(max_examples=50, deadline=None)
SECONDS = st.integers(0, 900_000).map(lambda tenths: tenths / 10)


@st.composite
def sent(draw: st.DrawFn) -> tuple[list[int], list[float], list[float], Queue]:
    """Batches that each fit under the limit, planned one after the other."""
    limit = draw(st.integers(1, 1_000))
    weights = draw(st.lists(st.integers(1, limit), min_size=1, max_size=40))
    ready = sorted(draw(st.lists(SECONDS, min_size=len(weights), max_size=len(weights))))
    latencies = draw(st.lists(SECONDS, min_size=len(weights), max_size=len(weights)))
    poll = draw(st.sampled_from([1.0, 60.0, 900.0]))
    return weights, ready, latencies, Queue(limit, draw(st.integers(1, 20)), poll)


@QUICK
@given(sent())
def test_no_more_is_in_flight_than_the_limit(case: tuple[list[int], list[float], list[float], Queue]) -> None:
    weights, _, _, queue = case
    flights = fly(*case)
    for flight in flights:
        there = [other.created <= flight.created < other.seen for other in flights]
        assert sum(weight for weight, is_there in zip(weights, there, strict=True) if is_there) <= (queue.limit or 0)


@QUICK
@given(sent())
def test_no_more_is_created_within_an_hour_than_may_be(
    case: tuple[list[int], list[float], list[float], Queue],
) -> None:
    created = [flight.created for flight in fly(*case)]
    assert created == sorted(created)
    for place, at in enumerate(created):
        assert bisect_right(created, at) - bisect_right(created, at - HOUR + 1e-6) <= case[3].creates_per_hour, place


@QUICK
@given(sent())
def test_each_batch_is_sent_once_it_is_planned_and_takes_its_time(
    case: tuple[list[int], list[float], list[float], Queue],
) -> None:
    _, ready, latencies, queue = case
    flights = fly(*case)
    assert len(flights) == len(ready)
    for flight, planned, latency in zip(flights, ready, latencies, strict=True):
        assert flight.created >= planned
        assert flight.ended == flight.created + latency
        assert flight.ended - 1e-6 <= flight.seen < flight.ended + queue.poll_seconds + 1e-6


@QUICK
@given(sent())
def test_nothing_is_faster_than_all_tokens_times_their_latency_over_the_limit(
    case: tuple[list[int], list[float], list[float], Queue],
) -> None:
    weights, _, latencies, queue = case
    assert max(flight.seen for flight in fly(*case)) / HOUR >= queue_hours(weights, latencies, queue.limit) * (1 - 1e-9)


@QUICK
@given(sent(), st.integers(0, 1_000), st.integers(0, 20))
def test_a_larger_limit_or_more_creates_make_no_batch_later(
    case: tuple[list[int], list[float], list[float], Queue], more: int, creates: int
) -> None:
    weights, ready, latencies, queue = case
    larger = replace(queue, limit=(queue.limit or 0) + more, creates_per_hour=queue.creates_per_hour + creates)
    for before, after in zip(fly(*case), fly(weights, ready, latencies, larger), strict=True):
        assert after.created <= before.created


def test_a_batch_that_is_more_than_the_limit_goes_alone() -> None:
    flights = fly([5, 50, 5], [0, 0, 0], [30, 30, 30], Queue(10, 100, 60))
    assert [flight.created for flight in flights] == [0, 60, 120]


def test_without_a_limit_only_the_creates_hold_it_up() -> None:
    flights = fly([10**9] * 5, [0] * 5, [1] * 5, Queue(None, 2, 60))
    assert [flight.created for flight in flights] == [0, 0, HOUR, HOUR, 2 * HOUR]


@QUICK
@given(st.lists(st.tuples(SECONDS, SECONDS), min_size=1, max_size=40), st.integers(1, 5))
def test_hosts_collect_one_batch_at_a_time_each_and_none_before_it_ended(
    batches: list[tuple[float, float]], hosts: int
) -> None:
    flights, seconds = [Flight(0, at, at) for at, _ in batches], [taken for _, taken in batches]
    done = collected(flights, seconds, hosts)
    for flight, taken, end in zip(flights, seconds, done, strict=True):
        assert end >= flight.seen + taken - 1e-6
        at = end - taken / 2
        busy = sum(other - taking + 1e-6 < at < other - 1e-6 for other, taking in zip(done, seconds, strict=True))
        assert busy <= hosts
    assert max(done) >= sum(seconds) / hosts - 1e-6
    more = collected(flights, seconds, hosts + 1)
    assert max(more) <= max(done) + 1e-6


def test_where_one_host_collects_it_is_the_sum_of_all() -> None:
    flights = [Flight(0, 10, 10), Flight(0, 10, 10), Flight(0, 5, 5)]
    assert collected(flights, [3, 3, 3], 1) == pytest.approx([13, 16, 8])
