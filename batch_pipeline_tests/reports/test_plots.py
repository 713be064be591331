"""Pictures: drawn whatever there is, and different where the figures are."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest

from batch_pipeline.batches.money.estimates import Comparison
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.reports.canvas import INK
from batch_pipeline.reports.operations import Ended, Operations, Run, operations
from batch_pipeline.reports.plots import GROUPS, plot_costs, plot_operations, plot_spend
from batch_pipeline.reports.spend import BYS, By, spending
from batch_pipeline_tests.reports.test_spend import DAY, ONE

PNG = b"\x89PNG"
NOTHING = Operations(time.time(), ZoneInfo("UTC"), [], [], [])


def texts(svg: bytes) -> set[str]:
    found = {(each.text or "").strip() for each in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")}
    return found - {""}


def test_what_was_spent_is_drawn_by_day_and_task(paid: Pipeline) -> None:
    told = texts(plot_spend(spending(paid), DAY, "gpt-6-luna", "svg"))
    assert {"issue_kind", "product_labeling", "realtime", "batch", "paid"} <= told
    assert {"50% saved by batch"} <= told
    assert plot_spend(spending(paid), DAY, "gpt-6-luna").startswith(PNG)


@pytest.mark.parametrize("by", BYS)
def test_costs_are_drawn_by_anything_as_far_as_there_is_room(by: By) -> None:
    spent = [
        replace(
            ONE,
            **{name: f"{name} {number:02}" for name in ("task", "model", "repo", "night")},
            day=DAY - timedelta(days=29 - number),
            price_usd=number,
            modes=Comparison(1, number, number, 2.0 * number, number),
        )
        for number in range(30)
    ]
    names = {each.name(by) for each in spent}
    assert names & texts(plot_costs(spent, by, "svg")) == {each.name(by) for each in spent[-GROUPS:]}


def test_nothing_is_drawn_as_nothing() -> None:
    assert "nothing is collected yet" in texts(plot_spend([], DAY, "gpt-6-luna", "svg"))
    assert {"no batch has ended yet", "nothing was sent yet"} <= texts(plot_operations(NOTHING, "svg"))
    assert "nothing is collected yet" in texts(plot_costs([], "task", "svg"))


def test_what_was_free_is_drawn_at_the_price_of_another_model() -> None:
    free = replace(ONE, price_usd=1.0, modes=Comparison(1, 0.0, 1.0, 2.0, 1.0))
    told = texts(plot_spend([free], DAY, "gpt-6-luna", "svg"))
    assert "In batch, a day and task (USD, as gpt-6-luna)" in told
    assert "paid" not in told


def test_operations_are_drawn_over_hours_and_over_months(paid: Pipeline) -> None:
    assert plot_operations(operations(paid)).startswith(PNG)
    now = datetime(2026, 11, 20, tzinfo=UTC)
    runs = [
        Run(f"b{back}", "mood", "openai", "gpt-6-luna", 100, at, at + 9000, at + 9060, "completed")
        for back in range(90)
        for at in [(now - timedelta(days=back)).timestamp()]
    ]
    found = Operations(now.timestamp(), ZoneInfo("Europe/Berlin"), runs, [Ended("expired", "batch_expired", 3)], [])
    told = texts(plot_operations(found, "svg"))
    assert {"How long batches took at the provider (hours)", "expired: batch_expired", "3"} <= told


def test_a_picture_in_a_page_has_the_pages_ink() -> None:
    svg = plot_costs([replace(ONE, modes=Comparison(1, 1, 1, 2, 1))], "task", "svg").decode()
    assert svg.startswith("<svg")
    assert "currentColor" in svg
    assert INK not in svg
