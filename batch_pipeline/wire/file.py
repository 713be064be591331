"""A file at the provider, as OpenAI's `/v1/files` gives it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class FileObject(BaseModel):
    """A file: `bytes` is its length, `created_at` and `expires_at` are unix seconds."""

    model_config = ConfigDict(extra="ignore")

    id: str
    object: Literal["file"] = "file"
    bytes: int | None = None
    created_at: int
    expires_at: int | None = None
    filename: str
    purpose: str
    status: str = "processed"


class FileDeleted(BaseModel):
    """What deleting a file answers."""

    id: str
    object: Literal["file"] = "file"
    deleted: bool
