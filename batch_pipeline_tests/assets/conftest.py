"""A Dagster project of one's own for each test."""

from __future__ import annotations

from collections.abc import Callable, Generator

import dagster as dg
import pytest

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline_tests.project import Project


@pytest.fixture
def make_project(make_pipeline: Callable[..., Pipeline]) -> Generator[Callable[..., Project]]:
    """Makes a project with definitions and settings of one's own."""
    made: list[Project] = []

    def make(definitions: dg.Definitions | None = None, **settings: object) -> Project:
        made.append(Project(make_pipeline(**settings), definitions))
        return made[-1]

    yield make
    for project in made:
        project.close()


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    """The project with the sample issues of a night."""
    project = make_project()
    project.load_samples()
    return project
