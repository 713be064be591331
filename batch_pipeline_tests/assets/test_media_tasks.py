"""The sample tasks over folders, through Dagster and as the command does it: the same tables come of both."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from batch_pipeline.batches.money.tokens import TokenCounter
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.plan import Order
from batch_pipeline.batches.standing.status import JobStatus
from batch_pipeline.batches.turn import place, wait_for
from batch_pipeline.definitions import build_definitions
from batch_pipeline.settings import project_root
from batch_pipeline.sources.documents import load_documents
from batch_pipeline.sources.images import load_images
from batch_pipeline.sources.text_files import CHUNK_MODEL, load_files
from batch_pipeline.tasks.registry import load_tasks
from batch_pipeline_tests.media_files import blank_pdf, bomb, encrypted, pdf, photo, scan
from batch_pipeline_tests.project import Project

TASKS = {"fashion_tags": "images", "document_questions": "documents", "file_embeddings": "files"}


def load_all(pipeline: Pipeline) -> None:
    load_images(pipeline.warehouse, pipeline.settings.images_dir)
    load_documents(pipeline.warehouse, pipeline.settings.documents_dir)
    load_files(pipeline.warehouse, pipeline.settings.files_dir, TokenCounter(CHUNK_MODEL).count_many)


def ask(pipeline: Pipeline, name: str) -> JobStatus:
    placed = place(pipeline, Order(load_tasks().get(name)))
    return wait_for(pipeline, placed.job.job_id, 0.05)


def rows(pipeline: Pipeline, sql: str) -> list[tuple[object, ...]]:
    with pipeline.warehouse.read() as connection:
        return connection.execute(sql).fetchall()


def table(pipeline: Pipeline, name: str) -> list[tuple[object, ...]]:
    fields = ", ".join(load_tasks().get(name).answer_columns)
    return rows(
        pipeline, f"SELECT record_id, content_hash, prompt_version, {fields} FROM {name}_latest ORDER BY record_id"
    )


def test_dagster_and_the_command_come_to_the_same_tables(
    make_project: Callable[..., Project],
    make_pipeline: Callable[..., Pipeline],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("BATCH_PIPELINE_TASKS", ",".join(TASKS))
    project = make_project(build_definitions())
    for task, folder in TASKS.items():
        assert project.materialize(folder, f"{task}/requests", f"{task}/submission").success
    project.go_on(["batch_monitor"])
    other = make_pipeline(data_dir=tmp_path / "by-command")
    load_all(other)
    for name in TASKS:
        assert set(ask(other, name).outcomes) == {"answered"}
        assert table(project.pipeline, name) == table(other, name)
    assert [len(table(other, name)) for name in TASKS] == [5, 6, 6]
    citations = (
        "SELECT record_id, position, page, quote, verified, found_on_page, finding FROM document_citations ORDER BY ALL"
    )
    assert project.rows(citations) == rows(other, citations) != []


def test_a_post_has_an_answer_for_each_of_its_images(pipeline: Pipeline) -> None:
    load_images(pipeline.warehouse, pipeline.settings.images_dir)
    done = ask(pipeline, "fashion_tags")
    assert (done.records, done.requests, done.outcomes) == (12, 12, {"answered": 12})
    parts = rows(
        pipeline, "SELECT record_id, list_transform(answers, one -> one.part) FROM fashion_tags_latest ORDER BY 1"
    )
    assert parts == [
        ("at-the-beach", [0, 1, 2]),
        ("office", [0, 1]),
        ("rainy-day", [0, 1]),
        ("sneakers", [0, 1]),
        ("spring-look", [0, 1, 2]),
    ]


def test_an_image_that_is_none_is_an_outcome_and_the_others_go_on(
    make_pipeline: Callable[..., Pipeline], tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    photo(30, 30).save(folder / "good_1.png")
    photo(30, 30, seed=2).save(folder / "half_1.png")
    (folder / "half_2.png").write_text("no image")
    photo(300, 300).save(folder / "cut_1.jpg")
    (folder / "cut_1.jpg").write_bytes((folder / "cut_1.jpg").read_bytes()[:2_000])
    bomb(folder / "bomb_1.png", 20_000, 20_000)
    pipeline = make_pipeline(images_dir=folder)
    load_images(pipeline.warehouse, folder)
    photo(30, 30, seed=3).save(folder / "half_1.png")
    done = ask(pipeline, "fashion_tags")
    assert done.outcomes == {"answered": 1, "failed": 4}
    told = rows(pipeline, "SELECT error_code, error_message FROM batch_results WHERE outcome = 'failed' ORDER BY ALL")
    assert [(code, str(message).rpartition("/")[2]) for code, message in told] == [
        ("changed_file", "half_1.png has changed since it was loaded; load its folder again."),
        (
            "unreadable_image",
            "bomb_1.png unpacks to far more pixels than an image has; it was left alone.",
        ),
        ("unreadable_image", "cut_1.jpg is cut off: the end of the image is missing."),
        ("unreadable_image", "half_2.png is no image that can be read here: JPEG, PNG, GIF, WEBP, BMP, TIFF."),
    ]
    assert [row[0] for row in table(pipeline, "fashion_tags")] == ["good"]


def test_a_document_that_can_not_be_sent_is_an_outcome_and_the_others_go_on(
    make_pipeline: Callable[..., Pipeline], tmp_path: Path
) -> None:
    folder = tmp_path / "papers"
    folder.mkdir()
    encrypted(
        folder / "locked.pdf", pdf(folder / "good.pdf", ["The rent is 900 euros, due on the first of the month."])
    )
    (folder / "empty.pdf").write_bytes(b"")
    blank_pdf(folder / "long.pdf", 400)
    scan(folder / "scan.pdf")
    pipeline = make_pipeline(documents_dir=folder)
    assert len(load_documents(pipeline.warehouse, folder).problems) == 4
    done = ask(pipeline, "document_questions")
    assert done.outcomes == {"answered": 4, "failed": 6}
    told = rows(
        pipeline, "SELECT DISTINCT error_code, error_message FROM batch_results WHERE outcome = 'failed' ORDER BY ALL"
    )
    assert [(code, str(message).rpartition("/")[2]) for code, message in told] == [
        ("too_many_pages", "long.pdf has 400 pages, and more than 100 are not sent; split it into several files."),
        ("unreadable_document", "empty.pdf is empty, and no PDF."),
        ("unreadable_document", "locked.pdf is encrypted, which no provider takes; save it without a password."),
    ]
    assert {str(row[0]) for row in table(pipeline, "document_questions")} == {
        *("good.pdf#deadlines", "good.pdf#summary", "scan.pdf#deadlines", "scan.pdf#summary")
    }
    unchecked = "SELECT DISTINCT verified, finding FROM document_citations WHERE document = 'scan.pdf'"
    assert rows(pipeline, unchecked) in ([], [(None, "the document has no text")])


def test_what_moved_to_another_folder_is_not_bought_again(
    make_pipeline: Callable[..., Pipeline], tmp_path: Path
) -> None:
    pipeline = make_pipeline()
    load_images(pipeline.warehouse, pipeline.settings.images_dir)
    assert ask(pipeline, "fashion_tags").reused == 0
    shutil.copytree(project_root() / "data" / "images", tmp_path / "moved")
    load_images(pipeline.warehouse, tmp_path / "moved")
    again = ask(pipeline, "fashion_tags")
    assert (again.reused, again.requests) == (12, 0)


def test_a_chunk_of_a_file_that_changed_is_embedded_anew_and_no_other(
    make_pipeline: Callable[..., Pipeline], tmp_path: Path
) -> None:
    shutil.copytree(project_root() / "data" / "files", tmp_path / "files")
    pipeline = make_pipeline(files_dir=tmp_path / "files")
    load_all(pipeline)
    assert ask(pipeline, "file_embeddings").records == 6
    (tmp_path / "files" / "README.md").write_text("# ferry\n\nNow quite another text.\n")
    load_all(pipeline)
    assert ask(pipeline, "file_embeddings").records == 1
    counted = "SELECT count(*), count(DISTINCT record_id), count(DISTINCT len(embedding)) FROM file_embeddings"
    assert rows(pipeline, counted) == [(7, 6, 1)]
