from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline_tests.project import Project


@pytest.fixture
def make_project(make_pipeline: Callable[..., Pipeline]) -> Generator[Callable[..., Project]]:
    made: list[Project] = []

    def make(**settings: object) -> Project:
        made.append(Project(make_pipeline(**settings)))
        return made[-1]

    yield make
    for project in made:
        project.close()


def test_the_folders_of_the_settings_are_loaded(make_project: Callable[..., Project], tmp_path: Path) -> None:
    project = make_project()
    assert project.materialize("images", "documents", "files").success
    told = {name: project.metadata(name) for name in ("images", "documents", "files")}
    assert [told[name]["dagster/row_count"] for name in told] == [12, 3, 5]
    assert (told["images"]["records"], told["images"]["can't be used"]) == (5, 0)
    assert "spring-look" in str(told["images"]["images"])
    assert "lease.pdf" in str(told["documents"]["documents"])
    assert "ferry/deploy.py" in str(told["files"]["file_chunks"])


def test_what_can_not_be_used_is_told_and_a_folder_that_is_not_there_fails(
    make_project: Callable[..., Project], tmp_path: Path
) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_text("no image")
    project = make_project(images_dir=str(tmp_path / "pictures"), documents_dir=str(tmp_path / "gone"))
    assert project.materialize("images").success
    assert "a.png is no image" in str(project.metadata("images")["why"])
    assert not project.materialize("documents").success
