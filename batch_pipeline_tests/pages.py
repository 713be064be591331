"""The pages, README among them: their blocks of code, and a shell that runs what they show.

A block of `sh` stands below a mark: `<!-- runnable -->` runs in a test, block after block, as one script of its page;
`<!-- not run: WHY -->` does not, and its calls are only held to the command's own verbs, options and arguments.
"""

from __future__ import annotations

import os
import re
import shlex
import string
import subprocess
import sys
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

from batch_pipeline.settings import project_root

ROOT = project_root()
PAGES = ("README.md", *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")))

_BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>[^\n]*?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
_KEPT = re.compile(r"JOB=\$\((?P<call>batch-pipeline .*?) \| (?P<rest>.*)\)", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block of code: the mark above it, without which it is empty, its language and its text."""

    mark: str
    language: str
    text: str


def text_of(page: str) -> str:
    """The page, as it is written."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[Block]:
    """Its blocks in this language, in order."""
    found = _BLOCK.finditer(text_of(page))
    return [Block(one["mark"] or "", language, one["text"]) for one in found if one["language"] == language]


def script(page: str) -> str:
    """What the page shows and can be run."""
    return "".join(block.text for block in blocks(page, "sh") if block.mark == "runnable")


def calls(text: str) -> Generator[str]:
    """The commands of a script one by one, each as long as its quotation marks, parentheses and backslashes ask for."""
    call = ""
    for line in text.splitlines():
        call = f"{call}\n{line}" if call else line
        if _is_whole(call):
            if call.strip() and not call.lstrip().startswith("#"):
                yield call.strip()
            call = ""
    assert not call, f"no end: {call}"


def _is_whole(call: str) -> bool:
    try:
        shlex.split(call, comments=True)
    except ValueError:
        return False
    return not call.endswith("\\") and call.count("$(") <= call.count(")")


def arguments(call: str) -> list[str] | None:
    """The arguments of a call of `batch-pipeline`, also of one whose output is kept; None of another program's."""
    kept = _KEPT.fullmatch(call)
    words = shlex.split(kept["call"] if kept else call, comments=True)
    return words[1:] if words[:1] == ["batch-pipeline"] else None


class Shell:
    """Runs a script's calls one after the other: those of `batch-pipeline` in this process, the others in `sh`.

    Args:
        command: Runs a call in this process, and gives exit code, stdout and stderr.
        put: Sets a variable of the environment, until the test ends.
        folder: Where it runs.
        replaced: What stands in the place of an address or a key that a page names.
    """

    def __init__(
        self,
        command: Callable[..., tuple[int, str, str]],
        put: Callable[[str, str], None],
        folder: Path,
        replaced: dict[str, str],
    ) -> None:
        self._command = command
        self._put = put
        self._folder = folder
        self._replaced = replaced

    def run(self, text: str) -> str:
        """Everything that the script prints; a call that fails, or says something on stderr, fails the test."""
        for old, new in self._replaced.items():
            text = text.replace(old, new)
        return "".join(self._run(call) for call in calls(text))

    def _run(self, call: str) -> str:
        if call.startswith("export "):
            for word in shlex.split(self._filled(call))[1:]:
                self._put(*word.split("=", 1))
            return ""
        if kept := _KEPT.fullmatch(call):
            self._put("JOB", self._in_sh(kept["rest"], self._run(kept["call"])).strip())
            return ""
        if not call.startswith("batch-pipeline "):
            return self._in_sh(call)
        code, out, err = self._command(*shlex.split(self._filled(call), comments=True)[1:])
        assert (code, err) == (0, ""), f"{call}: {err or out}"
        return out

    def _in_sh(self, call: str, given: str = "") -> str:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        ran = subprocess.run(
            ["sh", "-eu", "-c", call],
            cwd=self._folder,
            env={**os.environ, "PATH": path},
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ran.returncode, ran.stderr) == (0, ""), call
        return ran.stdout

    def _filled(self, call: str) -> str:
        return string.Template(call).safe_substitute({**os.environ, "PWD": str(self._folder)})
