"""The log, on stderr: text or JSON lines. It has a line per change of state, and never a prompt, an answer or a key.

A person who runs a verb reads its output; the log is shown where `LOG_FORMAT` is set, or with `--verbose`. Warnings
are shown always.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from shutil import get_terminal_size
from textwrap import fill
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batch_pipeline.settings import Settings

_ours = logging.getLogger("batch_pipeline")


def show_more() -> None:
    """Shows each change of state, whatever the settings say."""
    _ours.setLevel(logging.INFO)


def set_up_log(settings: Settings) -> None:
    """Writes the log to stderr in the form of the settings."""
    handler = logging.StreamHandler()
    as_json = settings.log_format == "json"
    handler.setFormatter(_JsonLines() if as_json else logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    if "log_format" in settings.model_fields_set:
        show_more()


def tell_error(sentence: str) -> None:
    """Says on stderr what went wrong; as a line of the log where that is JSON."""
    _tell("error", sentence, "Error: ")


def tell_stopped(sentence: str) -> None:
    """Says on stderr how to come back to what was left by Ctrl-C, which is no error."""
    _tell("info", sentence, "")


def _tell(level: str, sentence: str, prefix: str) -> None:
    if os.environ.get("BATCH_PIPELINE_LOG_FORMAT") == "json":
        at = datetime.now(UTC).isoformat()
        print(json.dumps({"at": at, "level": level, "message": sentence}, ensure_ascii=False), file=sys.stderr)
    else:
        told = prefix + sentence
        if sys.stderr.isatty():
            told = _in_lines(told)
            if prefix and not os.environ.get("NO_COLOR"):
                told = told.replace("Error:", "\x1b[31mError:\x1b[0m", 1)
        print(told, file=sys.stderr)


def _in_lines(sentence: str) -> str:
    """As wide as the terminal, which would break within words; what is longer than a line stays whole, to be copied."""
    width = max(40, get_terminal_size().columns)
    return fill(sentence, width, break_long_words=False, break_on_hyphens=False)


class _JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        told = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            "job_id": getattr(record, "job_id", None),
            "batch_id": getattr(record, "batch_id", None),
        }
        return json.dumps({name: value for name, value in told.items() if value is not None}, ensure_ascii=False)
