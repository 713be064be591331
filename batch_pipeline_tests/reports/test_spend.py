"""What was spent, cut in several ways: the sums are the same in all of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_pipeline.batches.money.estimates import Comparison
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.plan import Order
from batch_pipeline.batches.requests.selection import Selection
from batch_pipeline.batches.standing.cost import costs
from batch_pipeline.batches.turn import place
from batch_pipeline.reports.spend import (
    BYS,
    NO_NIGHT,
    NO_REPO,
    Spent,
    grouped,
    per_record,
    spending,
    today,
    total,
    yearly,
)
from batch_pipeline.tasks.registry import load_tasks
from batch_pipeline_tests.project import NIGHT, REPOS
from batch_pipeline_tests.reports.conftest import done

DAY = date(2026, 11, 20)
ONE = Spent(DAY, None, None, "mood", "openai", "gpt-6-luna", "batch", 1.0, 10, 2, 0.5, 0.0, Comparison())


def saved(day: date, usd: float) -> Spent:
    return replace(ONE, day=day, price_usd=usd, modes=Comparison(1, usd, usd, 2 * usd, usd))


def test_every_cut_adds_up_to_what_the_jobs_cost(paid: Pipeline) -> None:
    spent = spending(paid)
    whole = sum((cost.modes for cost in costs(paid)), Comparison())
    for by in BYS:
        found = total(grouped(spent, by).values())
        assert found.records == whole.records == 29 + 14
        assert found.paid_usd == pytest.approx(whole.paid_usd)
        assert found.realtime_usd == pytest.approx(whole.realtime_usd)
        assert found.paid_usd == pytest.approx(found.batch_usd)
    assert sum(each.requests for each in spent) == pytest.approx(44)
    assert sum(each.estimate_usd for each in spent) == pytest.approx(sum(cost.estimate_usd for cost in costs(paid)))


def test_records_belong_to_their_repository_and_jobs_to_their_night(paid: Pipeline) -> None:
    spent = spending(paid)
    assert list(grouped(spent, "repo")) == [(repo,) for repo in REPOS]
    assert grouped(spent, "repo", "task")[(REPOS[0], "issue_kind")].modes.records == 13
    nights = grouped(spent, "night")
    assert {names[0]: each.task for names, each in nights.items()} == {
        NIGHT.isoformat(): "product_labeling",
        NO_NIGHT: "issue_kind",
    }
    assert {each.day for each in spent} == {today(paid)}


def test_what_is_in_flight_is_estimated_and_not_yet_paid(paid: Pipeline) -> None:
    place(paid, Order(load_tasks().get("issue_embeddings")))
    before, now = total(spending(paid)), grouped(spending(paid), "task")
    embeddings = now[("issue_embeddings",)]
    assert embeddings.estimate_usd > 0
    assert embeddings.modes == Comparison()
    assert before == total(spending(paid))


def test_what_was_bought_before_is_answered_and_costs_nothing(paid: Pipeline) -> None:
    before = total(spending(paid))
    again = Selection(sql="SELECT * REPLACE (record_id || ', again' AS record_id) FROM issues")
    done(paid, "issue_kind", selection=again)
    spent = spending(paid)
    assert total(spent).records == before.records + 29
    assert total(spent).paid_usd == before.paid_usd
    assert grouped(spent, "repo")[(NO_REPO,)].modes.records == 29
    assert grouped(spent, "repo")[(NO_REPO,)].requests == 0


def test_a_day_is_that_of_the_time_zone(paid: Pipeline) -> None:
    there = paid.settings.model_copy(update={"timezone": "Pacific/Kiritimati"})
    here = paid.settings.model_copy(update={"timezone": "Pacific/Pago_Pago"})
    days = {spending(Pipeline(settings))[0].day for settings in (there, here)}
    assert len(days) == 2  # they are 25 hours apart


def test_a_year_at_the_rate_of_one_day() -> None:
    found = yearly([saved(DAY, 2.0)], DAY)
    assert (found.days, found.saved_usd, found.year_usd) == (1, 2.0, 730.0)
    assert yearly([], DAY).year_usd == 0


def test_a_year_forgets_what_is_older_than_its_days() -> None:
    old, new = saved(DAY - timedelta(days=100), 50.0), saved(DAY - timedelta(days=29), 3.0)
    found = yearly([old, new], DAY)
    assert (found.days, found.saved_usd) == (30, 3.0)
    assert found.year_usd == pytest.approx(36.5)


@given(st.lists(st.tuples(st.integers(0, 60), st.floats(0, 1e4)), min_size=1))
def test_a_steady_rate_is_that_of_the_year(found: list[tuple[int, float]]) -> None:
    spent = [saved(DAY - timedelta(days=back), usd) for back, usd in found]
    year = yearly(spent, DAY)
    assert 1 <= year.days <= 30
    assert year.year_usd == pytest.approx(year.saved_usd * 365 / year.days)
    assert year.saved_usd <= total(spent).saved_usd + 1e-6


def test_what_was_free_and_what_was_paid_have_a_price_of_one_record_together() -> None:
    free = replace(ONE, provider="local", price_usd=1.0, modes=Comparison(1, 0.0, 1.0, 2.0, 1.0))
    assert per_record([free, saved(DAY, 3.0)]) == (free + saved(DAY, 3.0)).per_record_usd == 2.0
    assert (per_record([]), ONE.per_record_usd) == (0.0, 0.0)


def test_done_twice_is_counted_once(paid: Pipeline) -> None:
    before = total(spending(paid))
    done(paid, "product_labeling")  # the other repository's
    after = total(spending(paid))
    assert after.records - before.records == 16
