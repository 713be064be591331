from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

import pytest

from batch_pipeline.settings import project_root
from batch_pipeline.sources.files import Loaded, load_issues
from batch_pipeline.warehouse.connection import Warehouse

SAMPLES = project_root() / "data" / "issues"


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "warehouse.duckdb")


def load(warehouse: Warehouse) -> Loaded:
    return load_issues(warehouse, [str(SAMPLES / "*.json")], date(2026, 11, 20))


def test_there_are_thirty_issues_of_two_repositories(warehouse: Warehouse) -> None:
    loaded = load(warehouse)
    assert (loaded.added, loaded.problems) == (30, ())
    assert sum(loaded.repos.values()) == 30
    assert len(loaded.repos) == 2


def test_each_of_them_has_a_gold_label(warehouse: Warehouse) -> None:
    load(warehouse)
    with (SAMPLES / "gold.csv").open(encoding="utf-8", newline="") as file:
        gold = {row["record_id"]: row["label"] for row in csv.DictReader(file)}
    with warehouse.read() as connection:
        ids = {record for (record,) in connection.execute("SELECT record_id FROM issues").fetchall()}
    assert gold.keys() == ids
    assert set(gold.values()) == {"bug", "feature", "question"}


def test_they_are_as_varied_as_a_real_tracker(warehouse: Warehouse) -> None:
    load(warehouse)
    with warehouse.read() as connection:
        bodies = [body or "" for (body,) in connection.execute("SELECT body FROM issues").fetchall()]
        [[states, authors, newest]] = connection.execute(
            "SELECT count(DISTINCT state), count(DISTINCT author), strftime(max(updated_at), '%Y-%m-%d') FROM issues"
        ).fetchall()
    assert "" in bodies
    assert sum(len(body) > 5_000 for body in bodies) >= 2
    assert sum(len(body) < 2_000 for body in bodies) >= 25
    assert (states, newest) == (2, "2026-11-20")
    assert authors > 25
