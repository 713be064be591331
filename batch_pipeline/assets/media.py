"""`images`, `documents` and `files`: what lies in the folders of the settings."""

# no `from __future__ import annotations`: Dagster reads the annotations of a step, and can't read them as text

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg

from batch_pipeline.assets import keys
from batch_pipeline.assets.metadata import markdown, table
from batch_pipeline.assets.reporting import Metadata
from batch_pipeline.batches.money.tokens import TokenCounter
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.errors import InvalidSelection
from batch_pipeline.sources.documents import load_documents
from batch_pipeline.sources.folders import Loaded
from batch_pipeline.sources.images import load_images
from batch_pipeline.sources.text_files import CHUNK_MODEL, load_files

Load = Callable[[Pipeline], Loaded]

PREVIEW_ROWS = 10
PROBLEMS_SHOWN = 10


def build_media() -> list[dg.AssetsDefinition]:
    """The assets `images`, `documents` and `files`, without partitions: a folder is what it is now."""
    return [
        _folder(
            keys.IMAGES,
            "images",
            "The images of `BATCH_PIPELINE_IMAGES_DIR`, as posts, in the table `images`; one that can't be used is "
            "there with its error.",
            lambda pipeline: load_images(pipeline.warehouse, pipeline.settings.images_dir),
            "SELECT post, count(*) AS images, sum(bytes)::BIGINT AS bytes FROM images GROUP BY post ORDER BY post",
        ),
        _folder(
            keys.DOCUMENTS,
            "documents",
            "The PDFs of `BATCH_PIPELINE_DOCUMENTS_DIR`, in the table `documents`, and the text of their pages in "
            "`document_pages`; one that can't be used is there with its error.",
            lambda pipeline: load_documents(pipeline.warehouse, pipeline.settings.documents_dir),
            "SELECT record_id AS document, title, pages, has_text AS text FROM documents ORDER BY record_id",
        ),
        _folder(
            keys.FILES,
            "file_chunks",
            "The text and code files of `BATCH_PIPELINE_FILES_DIR`, in chunks, in the table `file_chunks`; what is no "
            "text is named and left out.",
            lambda pipeline: load_files(
                pipeline.warehouse, pipeline.settings.files_dir, TokenCounter(CHUNK_MODEL).count_many
            ),
            "SELECT name AS file, language, count(*) AS chunks FROM file_chunks GROUP BY ALL ORDER BY name",
        ),
    ]


def _folder(key: dg.AssetKey, rows: str, description: str, load: Load, preview: str) -> dg.AssetsDefinition:
    @dg.asset(
        key=key,
        group_name=keys.RECORDS_GROUP,
        owners=keys.OWNERS,
        kinds={"file", "duckdb"},
        description=description,
    )
    def folder(pipeline: dg.ResourceParam[Pipeline]) -> dg.MaterializeResult[Any]:
        try:
            loaded = load(pipeline)
        except InvalidSelection as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        with pipeline.warehouse.read() as connection:
            shown = connection.execute(f"{preview} LIMIT {PREVIEW_ROWS}").df()
        return dg.MaterializeResult(metadata={**_told(loaded), rows: markdown(shown)})

    return folder


def _told(loaded: Loaded) -> Metadata:
    problems = [[Path(loaded.folder).name, problem] for problem in loaded.problems[:PROBLEMS_SHOWN]]
    return {
        "dagster/row_count": loaded.files,
        "folder": loaded.folder,
        "records": loaded.records,
        "new": loaded.added,
        "changed": loaded.changed,
        "known already": loaded.unchanged,
        "no longer there": loaded.removed,
        "left out": loaded.left_out,
        "can't be used": len(loaded.problems),
        "why": table(["folder", "problem"], problems),
    }
