"""`report`: spend, operations and jobs as one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from batch_pipeline.cli.output import AsJson, print_json, say
from batch_pipeline.cli.session import opened


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command(short_help="Write spend, operations and jobs as one page.")(report)


def report(
    *,
    html: Annotated[Path, typer.Option("--html", metavar="FILE", dir_okay=False, help="Where the page goes.")],
    as_json: AsJson = False,
) -> None:
    """Write what the reports in Dagster show as one page of HTML, which needs nothing beside itself.

    Example: batch-pipeline report --html report.html
    """
    from batch_pipeline.errors import PipelineError
    from batch_pipeline.reports.page import report_page

    with opened() as pipeline:
        page = report_page(pipeline)
    try:
        html.write_text(page, encoding="utf-8")
    except OSError as error:
        raise PipelineError(f"{html} can't be written: {error.strerror}. Choose another file.") from error
    if as_json:
        print_json({"file": html, "bytes": html.stat().st_size})
    else:
        say(f"Written to {html} ({html.stat().st_size / 1000:,.0f} kB); any browser shows it.")
