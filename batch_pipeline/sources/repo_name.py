"""What a repository may be called here."""

from __future__ import annotations

import re

from batch_pipeline.errors import InvalidSelection

REPO_NAME = "^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+$"
"""`owner/name`. It becomes part of a partition's key, in which `|` and `...` have a meaning of their own."""
FORBIDDEN = "..."


def check_repo_name(name: str) -> str:
    """Gives `name` back.

    Raises:
        InvalidSelection: It is not `owner/name`.
    """
    if re.fullmatch(REPO_NAME, name) and FORBIDDEN not in name:
        return name
    raise InvalidSelection(f"`{name}` is no repository's name: write OWNER/NAME, such as duckdb/duckdb.")
