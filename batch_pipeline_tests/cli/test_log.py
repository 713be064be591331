"""Errors, as a person in a terminal and as a pipe gets them."""

from __future__ import annotations

import io
import sys

import pytest

from batch_pipeline.cli.log import tell_error

LONG = "There is no task `isue-kind`. The tasks are: document_questions, fashion_tags, file_embeddings, issue_kind."
URL = "http://127.0.0.1:8123/a/path/that/is/longer/than/any/line/of/forty/characters"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_lines_that_break_between_words_and_never_within_a_url(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    narrow = _Terminal()
    monkeypatch.setattr(sys, "stderr", narrow)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("BATCH_PIPELINE_LOG_FORMAT", raising=False)
    tell_error(f"{LONG} See {URL}.")
    lines = narrow.getvalue().splitlines()
    assert " ".join(lines) == f"Error: {LONG} See {URL}."
    assert all(len(line) <= 40 or URL in line for line in lines)


def test_a_pipe_gets_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BATCH_PIPELINE_LOG_FORMAT", raising=False)
    tell_error(LONG)
    assert capsys.readouterr().err == f"Error: {LONG}\n"
