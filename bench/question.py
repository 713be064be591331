"""What both sides ask of each row."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

MODEL = "gpt-6-luna"
LIMIT = 60
SYSTEM = """\
Say what the GitHub issue is: a bug (something is broken), a feature (something is wanted), \
or a question (something is asked), and why."""


class Kind(BaseModel):
    """What an issue is."""

    label: Literal["bug", "feature", "question"]
    reason: str
