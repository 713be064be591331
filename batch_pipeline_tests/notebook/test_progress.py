"""How far a run is: in a terminal, in a notebook, in the log."""

from __future__ import annotations

import io
import sys
from types import ModuleType, SimpleNamespace

import pytest

from batch_pipeline.notebook.progress import Progressed, shown
from batch_pipeline.notebook.standing import RunStatus

NOW = RunStatus("notes", "in_flight", 10, {}, 1250, 7988, 1, 0.5, 0.25, "capacity: <full>", 2.0, [])


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stdout", screen)
    with shown("notes", wanted=True) as told:
        told(NOW)
    assert "1250/7988" in screen.getvalue()
    assert "in flight, capacity: <full>, $0.25" in screen.getvalue()


def test_a_pipe_gets_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with shown("notes", wanted=None) as told:
        told(NOW)
    assert capsys.readouterr().out == ""


class Kernel:
    """What stands in for IPython: a shell with a kernel, and its display."""

    def __init__(self) -> None:
        self.shown: list[object] = []

    def display(self, told: object, *, display_id: bool) -> Kernel:
        assert display_id
        self.shown.append(told)
        return self

    def update(self, told: object) -> None:
        self.shown.append(told)


def test_a_notebook_gets_one_output_that_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel, ipython, display = Kernel(), ModuleType("IPython"), ModuleType("IPython.display")
    vars(ipython)["get_ipython"] = lambda: SimpleNamespace(kernel=kernel)
    vars(display)["display"] = kernel.display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    with shown("notes", wanted=None) as told:
        told(NOW)
        told(NOW)
    assert len(kernel.shown) == 2
    assert all(isinstance(each, Progressed) for each in kernel.shown)


def test_a_notebooks_bar_is_html_and_escaped() -> None:
    html = Progressed(NOW)._repr_html_()  # pyright: ignore[reportPrivateUsage] - the notebook calls it
    assert '<progress value="1250" max="7988">' in html
    assert "&lt;full&gt;" in html
    assert repr(Progressed(NOW)).startswith("notes: 1,250/7,988 (in flight")
