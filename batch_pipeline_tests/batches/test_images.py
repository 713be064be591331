"""Posts of many images: files are split by bytes, and what is in memory does not grow with the job."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.plan import Order, plan
from batch_pipeline.batches.requests import asking
from batch_pipeline.sources.images import load_images
from batch_pipeline.tasks.registry import load_tasks
from batch_pipeline_tests.batches.chain import batches_of, query, run
from batch_pipeline_tests.media_files import photo

POSTS, IMAGES = 8, 3
MOST = 100_000


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Photos of about 10 kB, a folder a post."""
    for post in range(POSTS):
        place = tmp_path / "pictures" / f"post-{post}"
        place.mkdir(parents=True)
        for position in range(IMAGES):
            photo(320, 240, seed=post * IMAGES + position).save(place / f"{position}.jpg", quality=90)
    return tmp_path / "pictures"


def test_files_are_split_by_bytes_and_each_post_has_all_of_its_answers(
    make_pipeline: Callable[..., Pipeline], pictures: Path
) -> None:
    pipeline = make_pipeline(images_dir=pictures, max_file_bytes=MOST)
    load_images(pipeline.warehouse, pictures)
    job = plan(pipeline, Order(load_tasks().get("fashion_tags")))
    files = sorted((pipeline.settings.batches_dir / job.job_id).glob("requests-*.jsonl"))
    sizes = [path.stat().st_size for path in files]
    assert len(sizes) == len(batches_of(pipeline, job)) > 2
    assert max(sizes) <= MOST
    assert min(sizes[:-1]) > MOST / 2
    assert run(pipeline, job).outcomes == {"answered": POSTS * IMAGES}
    parts = query(pipeline, "SELECT DISTINCT list_transform(answers, one -> one.part) FROM fashion_tags_latest")
    assert parts == [([0, 1, 2],)]
    assert query(pipeline, "SELECT count(*) FROM fashion_tags_latest") == [(POSTS,)]


def test_a_few_images_are_in_memory_at_a_time(
    make_pipeline: Callable[..., Pipeline], pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In chunks of 64 MB, 2,000 images took 1.2 GB."""
    monkeypatch.setattr(asking, "MEDIA_BYTES", 50_000)
    chunks: list[int] = []
    gather = asking.Asking._chunk  # pyright: ignore[reportPrivateUsage] - watched, not changed

    def watched(self: asking.Asking, gathered: asking._Gathered) -> object:  # pyright: ignore[reportPrivateUsage]
        chunks.append(sum(map(len, gathered.bodies.values())))
        return gather(self, gathered)

    monkeypatch.setattr(asking.Asking, "_chunk", watched)
    pipeline = make_pipeline(images_dir=pictures)
    load_images(pipeline.warehouse, pictures)
    plan(pipeline, Order(load_tasks().get("fashion_tags")))
    assert len(chunks) > 3
    assert max(chunks) < 50_000 + IMAGES * 20_000
