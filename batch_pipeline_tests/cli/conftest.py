"""The command as a person calls it: arguments in, exit code, stdout and stderr out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from batch_pipeline.cli import main
from batch_pipeline.local_server import RunningServer


@dataclass(frozen=True)
class Ran:
    """What came of a call."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever the verb prints
        """Its stdout, read as JSON."""
        return json.loads(self.out)

    @property
    def sentence(self) -> str:
        """Its stderr, which must be one line."""
        assert self.err.count("\n") == 1, self.err
        assert "Traceback" not in self.err
        return self.err.strip()


Command = Callable[..., Ran]


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Sets variables of the environment, the prefix left out."""

    def put(**values: object) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"BATCH_PIPELINE_{name.upper()}", str(value))

    put(data_dir=tmp_path / "data", create_wait_seconds=0)
    return put


@pytest.fixture
def offline(settings: Callable[..., None], capfd: pytest.CaptureFixture[str]) -> Command:
    """The command, with nobody at the local server's address."""
    settings(local_url="http://127.0.0.1:9/v1")

    def run(*arguments: object) -> Ran:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Ran(code, out, err)

    return run


@pytest.fixture
def command(offline: Command, settings: Callable[..., None], server: RunningServer) -> Command:
    """The command, with a local server that answers."""
    settings(local_url=server.url)
    return offline


@pytest.fixture
def issue_files(tmp_path: Path) -> Path:
    """A folder with three issues, a file each."""
    folder = tmp_path / "issues"
    folder.mkdir()
    for number, state in ((1, "open"), (2, "open"), (3, "closed")):
        issue: dict[str, object] = {"repo": "acme/orbit", "number": number, "title": f"It breaks {number}"}
        issue |= {"body": "Look", "state": state}
        (folder / f"{number}.json").write_text(json.dumps(issue))
    return folder
