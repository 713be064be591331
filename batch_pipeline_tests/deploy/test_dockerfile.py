"""The Dockerfile: a linter has nothing to say, and what it copies and installs is there."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

from batch_pipeline_tests.deploy.commands import parses
from batch_pipeline_tests.deploy.files import DEPLOY

ROOT = DEPLOY.parent
DOCKERFILE = DEPLOY / "Dockerfile"


def instructions() -> list[list[str]]:
    """Each, in words; comments left out and lines that go on put together."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [shlex.split(line) for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def of(name: str) -> list[list[str]]:
    """The words of each instruction of this name."""
    return [words for first, *words in instructions() if first == name]


def copied() -> list[str]:
    """What is copied out of the checkout."""
    plain = [[word for word in words if not word.startswith("--chown")] for words in of("COPY")]
    return [source for words in plain if not words[0].startswith("--from") for source in words[:-1]]


def test_the_linter_has_nothing_to_say() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    said = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout + said.stderr) == (0, "")


def test_what_it_copies_is_there_and_reaches_the_build() -> None:
    assert [source for source in copied() if not (ROOT / source).exists()] == []
    lines = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    taken = {line[1:] for line in lines if line.startswith("!")}
    assert "*" in lines
    assert set(copied()) == taken


def test_nothing_that_is_a_secret_or_data_can_get_into_it() -> None:
    assert [source for source in copied() if fnmatch(source, "*.env*") or source.startswith("data")] == []


def test_it_installs_every_extra_that_a_deployment_needs_from_the_lock_twice_the_same() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    syncs = [words for words in of("RUN") if words[:2] == ["uv", "sync"]]
    extras = [{words[at + 1] for at, word in enumerate(words) if word == "--extra"} for words in syncs]
    assert extras == [set(project["optional-dependencies"]) - {"smollm2"}] * 2
    assert all("--locked" in words and "--no-default-groups" in words for words in syncs)
    tag = f"batch-pipeline:{project['version']}"
    named = [file for file in (DEPLOY / "compose.yaml", DEPLOY / "kubernetes/rest.yaml") if tag in file.read_text()]
    assert len(named) == 2


def test_it_runs_as_nobody_in_particular_and_its_command_is_there() -> None:
    assert of("USER") == [["10001:10001"]]
    (base,) = [words[0].removeprefix("PYTHON_IMAGE=") for words in of("ARG")]
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", base)
    command = next(line for line in DOCKERFILE.read_text(encoding="utf-8").splitlines() if line.startswith("CMD "))
    assert parses(json.loads(command.removeprefix("CMD ")))
