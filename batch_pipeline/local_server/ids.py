"""Ids as the provider makes them (docs/wire-facts.md, 1.2), and accounts."""

from __future__ import annotations

import hashlib
import secrets
import string
from collections.abc import Iterator, Mapping

_ALPHABET = string.ascii_letters + string.digits


def batch_id() -> str:
    """`batch_` and 32 hexadecimal digits."""
    return f"batch_{secrets.token_hex(16)}"


def file_id() -> str:
    """`file-` and 24 letters and digits."""
    return "file-" + "".join(secrets.choice(_ALPHABET) for _ in range(24))


def request_id() -> str:
    """What `x-request-id` carries."""
    return f"req_{secrets.token_hex(16)}"


def message_batch_id() -> str:
    """`msgbatch_01` and 22 letters and digits."""
    return "msgbatch_01" + "".join(secrets.choice(_ALPHABET) for _ in range(22))


def row_ids(count: int) -> Iterator[str]:
    """32 hexadecimal digits for each of `count` rows, drawn at once: a call per row would cost more than the row."""
    drawn = secrets.token_bytes(16 * count).hex()
    return (drawn[at : at + 32] for at in range(0, 32 * count, 32))


def account(headers: Mapping[str, str]) -> str:
    """Whose request it is: each project header, else each key, sees its own batches and files.

    Any key is accepted, in OpenAI's header, in Anthropic's (`x-api-key`) or in Azure's (`api-key`). Only a hash of it
    is kept.
    """
    names = ("openai-project", "x-api-key", "api-key")
    given = next((value for name in names if (value := headers.get(name))), None)
    whose = given or headers.get("authorization", "").removeprefix("Bearer ").strip()
    return hashlib.sha256(whose.encode()).hexdigest()[:16] if whose else "nobody"
