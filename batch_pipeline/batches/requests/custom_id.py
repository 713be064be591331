"""How a request is found again."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

LONGEST = 55
"""Providers take 64 characters of `[a-zA-Z0-9_-]`; a claim of eight and a hyphen may be put before ours."""

_ISSUE = re.compile(r"(?P<owner>[A-Za-z0-9-]+)/(?P<name>[A-Za-z0-9_-]+)#(?P<number>[0-9]+)")
_SAFE = re.compile(r"[A-Za-z0-9_-]+")
_HASHED = re.compile(r"-[0-9a-f]{16}$")
_ALL_SAFE = re.compile(r"[A-Za-z0-9_-]+(?:\n[A-Za-z0-9_-]+)*")
_ANOTHER_FORM = re.compile(r"_issue_|-[0-9a-f]{16}$", re.MULTILINE)


def custom_id(record_id: str, part: int = 0) -> str:
    """The id of a record's request: readable, fits every provider, and no two records share one.

    An issue reads `owner_name_issue_123`: an owner has no underscore, so the first one ends it, and nothing is lost.
    An id that is safe as it is stays so. Any other gets a hash of 64 bits: where characters would be lost, where it
    is too long, and where it looks like one of those two forms.

    Args:
        record_id: Any text.
        part: Which request of the record, where it needs several.
    """
    readable = _readable(record_id)
    if readable is not None and not part:
        return readable
    digest = hashlib.sha256(f"{record_id}\n{part}".encode()).hexdigest()[:16]
    slug = re.sub(r"[^A-Za-z0-9]+", "_", record_id).strip("_")[: LONGEST - 17]
    return f"{slug}-{digest}"


def custom_ids(record_ids: Sequence[str]) -> list[str]:
    """The same of many. Where all may stay as they are, they are looked at together."""
    listed = "\n".join(record_ids)
    each_on_a_line = listed.count("\n") == len(record_ids) - 1 and max(map(len, record_ids)) <= LONGEST
    if each_on_a_line and _ALL_SAFE.fullmatch(listed) and not _ANOTHER_FORM.search(listed):
        return list(record_ids)
    return [custom_id(record_id) for record_id in record_ids]


def _readable(record_id: str) -> str | None:
    if "#" in record_id and (issue := _ISSUE.fullmatch(record_id)):
        name = f"{issue['owner']}_{issue['name']}_issue_{issue['number']}"
        return name if len(name) <= LONGEST else None
    if len(record_id) > LONGEST or not _SAFE.fullmatch(record_id):
        return None
    looks_like_another = "_issue_" in record_id or (record_id[-17:-16] == "-" and _HASHED.search(record_id))
    return None if looks_like_another else record_id
