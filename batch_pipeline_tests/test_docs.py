"""What the pages show works as it is shown."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from functools import cache
from pathlib import Path
from typing import Literal, get_args, get_origin

import pytest
import typer
from pydantic import SecretStr
from typer.core import TyperGroup

import batch_pipeline.tasks
from batch_pipeline.cli import main
from batch_pipeline.cli.app import app
from batch_pipeline.local_server import RunningServer
from batch_pipeline.settings import PREFIX, Settings
from batch_pipeline.tasks import BatchTask
from batch_pipeline.tasks.registry import load_tasks
from batch_pipeline_tests.pages import PAGES, ROOT, Shell, arguments, blocks, calls, script, text_of

SHOWN = {
    "docs/commands.md": ["4 records, 4 answered", "team=search"],
    "docs/providers.md": [
        r"1 batch submitted to anthropic \(claude-haiku-5-5\)",
        r"anthropic +claude-haiku-5-5 +5",
        r"openai +our-luna +4",
    ],
    "docs/quickstart.md": [
        "12 rows of 1 file in the table `reviews`",
        "review_mood: good",
        r"12 records, 12 answered\.(.|\n)*12 records, 12 answered\.",
        r"r12 +(happy|unhappy|mixed) +\w+ +Half the price",
        "Model     gpt-6-luna at openai",
        "1 batch submitted to openai",
    ],
    "docs/tasks/again.md": ["Nothing to do: no record of `issue_kind` that failed so"],
    "docs/tasks/canary-and-realtime.md": ["its canary", "answered"],
    "docs/tasks/documents.md": ["done: ", "on its page|not in the document|another page"],
    "docs/tasks/embeddings.md": ["README.md#0", "likeness"],
    "docs/tasks/evaluation.md": ["Accuracy", "McNemar", "macro_f1"],
    "docs/tasks/images.md": ["12 images in 5 posts", "fashion_tags-[^ ]+ is done"],
    "docs/tasks/labels.md": ["3 records, 3 answered"],
    "docs/tasks/roles.md": ["2 records, 2 answered"],
    "docs/tasks/text.md": ["2 records, 2 answered", "2 answers written to summaries"],
}
"""Of each page that is run here, what its commands print, as regular expressions."""
IN_SHELL = ("README.md", "docs/rest.md")
"""Pages that are run in a shell of their own, by test_readme.py and api/test_rest_page.py."""


@pytest.fixture
def own_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose files are tasks too, as if they were saved in `batch_pipeline/tasks/`."""
    (folder := tmp_path / "tasks").mkdir()
    monkeypatch.setattr(batch_pipeline.tasks, "__path__", [*batch_pipeline.tasks.__path__, str(folder)])
    load_tasks.cache_clear()
    yield folder
    load_tasks.cache_clear()
    for name in [path.stem for path in folder.glob("*.py")]:
        sys.modules.pop(f"batch_pipeline.tasks.{name}", None)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", SHOWN)
def test_its_commands_run_one_after_the_other(
    page: str,
    server: RunningServer,
    own_tasks: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for block in blocks(page, "python"):
        if block.mark.startswith("task: "):
            (own_tasks / f"{block.mark.removeprefix('task: ')}.py").write_text(block.text)
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    for name, value in (("DATA_DIR", tmp_path / "var"), ("LOCAL_URL", server.url), ("CREATE_WAIT_SECONDS", 0)):
        monkeypatch.setenv(PREFIX + name, str(value))
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)

    def command(*given: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main(given)
        out, err = capfd.readouterr()
        return code, out, err

    printed = Shell(
        command, monkeypatch.setenv, tmp_path, {"http://127.0.0.1:8765": server.root, "sk-…": "sk-none"}
    ).run(script(page))
    for expected in SHOWN[page]:
        assert re.search(expected, printed), expected


def test_every_page_that_can_be_run_is_run() -> None:
    assert {page for page in PAGES if script(page)} == {*SHOWN, *IN_SHELL}


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_a_shell_is_marked(page: str) -> None:
    marks = [block.mark for block in blocks(page, "sh")]
    assert [mark for mark in marks if mark != "runnable" and not re.match(r"not run: \w", mark)] == []
    assert blocks(page, "bash") + blocks(page, "shell") + blocks(page, "console") == []


def shown_calls(page: str) -> list[str]:
    """Every call of the command, in blocks and in the text of a page."""
    of_blocks = [call for block in blocks(page, "sh") for call in calls(block.text)]
    of_text: list[str] = re.findall(r"`(batch-pipeline [^`\n]+)`", text_of(page))
    return [call for call in [*of_blocks, *of_text] if "VERB" not in call.split()]


@pytest.mark.parametrize("page", PAGES)
def test_its_verbs_options_and_arguments_are_there(page: str) -> None:
    for call in shown_calls(page):
        given = arguments(call)
        assert given in (None, ["--help"]) or parsed([one for one in given if one != "--help"]), call


@cache
def whole_command() -> TyperGroup:
    """The command; to build it takes a tenth of a second."""
    command = typer.main.get_command(app)
    assert isinstance(command, TyperGroup)
    return command


def parsed(given: list[str]) -> str:
    """Reads a call as the command does, without doing it; gives the verb."""
    command, path, left = whole_command(), list[str](), list(given)
    while isinstance(command, TyperGroup) and left and left[0] in command.commands:
        path.append(left.pop(0))
        command = command.commands[path[-1]]
    if left or not path:
        command.make_context(" ".join(path), left)  # raises where an option or an argument is not there
    return " ".join(path)


def verbs(group: TyperGroup, path: str = "") -> Iterator[str]:
    """All verbs of a group."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from verbs(command, f"{path}{name} ")
        else:
            yield f"{path}{name}"


def test_the_page_of_commands_has_each_verb_with_an_example_of_it() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| .* \| `batch-pipeline ([^`]+)` \|$", text_of("docs/commands.md"), re.MULTILINE)
    examples = {verb: arguments(f"batch-pipeline {example}") or [] for verb, example in rows}
    assert {verb: parsed(given) for verb, given in examples.items()} == {verb: verb for verb in examples}
    assert {*verbs(whole_command()), "tasks"} == set(examples)


@pytest.mark.parametrize("page", PAGES)
def test_its_settings_are_there(page: str) -> None:
    pattern = rf"\b{PREFIX}[A-Z_]+|\b(?:OPENAI|ANTHROPIC|GITHUB)_[A-Z_]+|\bDAGSTER_HOME"
    named = {name.removeprefix(PREFIX).lower() for name in re.findall(pattern, text_of(page))}
    assert named - set(Settings.model_fields) == set()


def test_the_page_of_settings_has_each_with_its_default() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| ([^|]+) \| ([^|]+) \| [^|]+ \|$", text_of("docs/settings.md"), re.MULTILINE)
    told = {name.removeprefix(PREFIX).lower(): (kind.strip(), default.strip()) for name, kind, default in rows}
    assert (set(told), len(rows)) == (set(Settings.model_fields), len(told))
    for name, field in Settings.model_fields.items():
        kind, default = told[name]
        assert kind.startswith(_kind(field.annotation)), name
        if field.default_factory is None and field.default not in (None, ()):
            assert default == f"`{_plain(field.default)}`", name
        else:
            assert "`" not in default, name


_KINDS = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    date: "date",
    Path: "path",
    SecretStr: "key",
    tuple: "list",
}


def _kind(annotation: object) -> str:
    """How a page calls the type; nothing, where it may say what it likes."""
    kinds = [one for one in (get_args(annotation) or (annotation,)) if one is not type(None)]
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{one}`" for one in kinds)
    if get_origin(annotation) is tuple:
        return "list"
    return next((name for kind, name in _KINDS.items() if kinds == [kind]), "")


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def tasks_shown() -> list[tuple[str, str]]:
    """Page and source of every task that stands below `<!-- task -->`, or `<!-- task: NAME -->`."""
    return [(page, block.text) for page in PAGES for block in blocks(page, "python") if re.match(r"task\b", block.mark)]


@pytest.mark.parametrize(("page", "source"), tasks_shown(), ids=[page for page, _ in tasks_shown()])
def test_its_task_is_a_task(page: str, source: str, tmp_path: Path) -> None:
    path = tmp_path / "shown_task.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(f"shown_{re.sub('[^a-z]', '_', page.lower())}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    (task,) = [value for value in vars(module).values() if isinstance(value, BatchTask)]
    assert [task.prompt_version(variant) for variant in task.asked_as]
    assert set(task.columns or ()) <= {"title", "body", "text"}
    assert len(source.splitlines()) <= 40


@pytest.mark.parametrize("page", PAGES)
def test_its_python_can_be_read(page: str) -> None:
    for block in blocks(page, "python"):
        ast.parse(block.text)


@pytest.mark.parametrize("page", PAGES)
def test_its_make_targets_are_there(page: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"(?:^|`)make ([a-z]+)", text_of(page), re.MULTILINE)):
        assert f"\n{target}:" in makefile, target


def test_the_workflow_of_ci_does_what_ci_does_and_its_secrets_are_told() -> None:
    workflow = text_of(".github/workflows/ci.yml")
    told = text_of("docs/development.md")
    assert "run: bash .ci/run\n" in workflow
    asked = set(re.findall(r"(?:secrets|vars)\.([A-Z_]+)", workflow))
    assert asked == {"OPENAI_API_KEY", "OPENAI_BASE_URL"}
    assert [name for name in asked if f"| `{name}` |" not in told] == []
    makefile = text_of("Makefile")
    assert [target for target in re.findall(r"\bmake ([a-z]+)", workflow) if f"\n{target}:" not in makefile] == []


def test_the_site_is_built_without_a_warning_and_fetches_nothing_from_elsewhere(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    fetched = (
        r"<(?:script|img|iframe)[^>]* src=\"?https?:|<link[^>]*rel=\"?(?:stylesheet|preconnect|preload)[^>]*https?:"
    )
    for page in tmp_path.rglob("*.html"):
        assert re.findall(fetched, page.read_text(encoding="utf-8")) == [], page.name
