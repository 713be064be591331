"""`images`, `documents`, `files`: records in, from folders."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from batch_pipeline.cli.log import tell_error
from batch_pipeline.cli.output import AsJson, plural, print_json, say
from batch_pipeline.cli.session import opened

if TYPE_CHECKING:
    from batch_pipeline.sources.folders import Loaded

images = typer.Typer(help="Images in: from a folder.", no_args_is_help=True, rich_markup_mode=None)
documents = typer.Typer(help="PDFs in: from a folder.", no_args_is_help=True, rich_markup_mode=None)
files = typer.Typer(help="Text and code in: from a folder.", no_args_is_help=True, rich_markup_mode=None)

Folder = Annotated[Path | None, typer.Argument(metavar="[DIR]", help="A folder; that of the settings otherwise.")]

_MOST_PROBLEMS = 20


def add_to(app: typer.Typer) -> None:
    """Adds the groups."""
    for name, group in (("images", images), ("documents", documents), ("files", files)):
        group.callback()(_group)
        app.add_typer(group, name=name)


def _group() -> None:
    """Without it, a group of one verb would be that verb."""


@images.command("load", short_help="Load the images below a folder, as posts.")
def load_images(folder: Folder = None, *, as_json: AsJson = False) -> None:
    """Load the images below a folder into `images`, as posts; what is known already adds nothing.

    The images of a subfolder are a post, and so are files whose names differ in the number after the last `_` only.

    Example: batch-pipeline images load photos
    """
    from batch_pipeline.sources.images import load_images

    with opened() as pipeline:
        loaded = load_images(pipeline.warehouse, folder or pipeline.settings.images_dir)
    _tell(loaded, "image", f" in {plural(loaded.records, 'post')}", as_json=as_json)


@documents.command("load", short_help="Load the PDFs below a folder.")
def load_documents(folder: Folder = None, *, as_json: AsJson = False) -> None:
    """Load the PDFs below a folder into `documents` and `document_pages`; what is known already adds nothing.

    Example: batch-pipeline documents load contracts
    """
    from batch_pipeline.sources.documents import load_documents

    with opened() as pipeline:
        loaded = load_documents(pipeline.warehouse, folder or pipeline.settings.documents_dir)
    _tell(loaded, "document", "", as_json=as_json)


@files.command("load", short_help="Load the text and code files below a folder.")
def load_files(folder: Folder = None, *, as_json: AsJson = False) -> None:
    """Load the text and code files below a folder into `file_chunks`; what is known already adds nothing.

    Example: batch-pipeline files load src
    """
    from batch_pipeline.batches.money.tokens import TokenCounter
    from batch_pipeline.sources.text_files import CHUNK_MODEL, load_files

    with opened() as pipeline:
        count = TokenCounter(CHUNK_MODEL).count_many
        loaded = load_files(pipeline.warehouse, folder or pipeline.settings.files_dir, count)
    _tell(loaded, "file", f" in {plural(loaded.records, 'chunk')}", as_json=as_json)


def _tell(loaded: Loaded, one: str, grouped: str, *, as_json: bool) -> None:
    """Says what came of it. A file that can't be used is no failure of the verb: it is named, here and in its row."""
    if as_json:
        print_json(asdict(loaded))
    else:
        left_out = f"; {plural(loaded.left_out, 'other file')} left out" if loaded.left_out else ""
        gone = f"; {loaded.removed:,} no longer there" if loaded.removed else ""
        counts = f"{loaded.added:,} new, {loaded.changed:,} changed, {loaded.unchanged:,} known already"
        say(f"{plural(loaded.files, one)}{grouped} of {loaded.folder}: {counts}{gone}{left_out}.")
    for problem in loaded.problems[:_MOST_PROBLEMS]:
        tell_error(problem)
    if (more := len(loaded.problems) - _MOST_PROBLEMS) > 0:
        tell_error(f"and {more:,} more; --json has all of them")
