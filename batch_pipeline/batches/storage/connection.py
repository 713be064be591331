"""The connection to an object storage, and what is said when it fails."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from batch_pipeline.errors import FilesUnreachable, InvalidSettings

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

VARIABLE = "BATCH_PIPELINE_FILES_URL"

_CLIENT: ClientConfig = {
    "allow_http": True,  # a server of one's own, at AWS_ENDPOINT_URL
    "connect_timeout": timedelta(seconds=10),
    "read_timeout": timedelta(seconds=60),
    "timeout": timedelta(hours=1),  # of one request: a file comes down in one
}
_RETRIES: RetryConfig = {
    "max_retries": 3,
    "backoff": {"init_backoff": timedelta(milliseconds=200), "max_backoff": timedelta(seconds=5), "base": 3},
    "retry_timeout": timedelta(seconds=60),
}


def connect(url: str) -> ObjectStore:
    """Opens the storage and looks into it, once.

    Credentials, region and endpoint are those of the `AWS_…` variables, or of the machine's role.

    Raises:
        InvalidSettings: obstore is not installed, or the URL names no storage.
        FilesUnreachable: It does not answer, refuses the key, or has no such bucket.
    """
    try:
        from obstore.exceptions import BaseError
        from obstore.store import from_url
    except ImportError as error:
        raise InvalidSettings(f"{VARIABLE} needs obstore: pip install 'batch_pipeline[s3]'.") from error
    try:
        match urlsplit(url).scheme:
            case "file":
                store = from_url(url, mkdir=True)
            case "s3":
                # a file in parts is created by a copy that fails if there is one
                once = "multipart"
                store = from_url(url, client_options=_CLIENT, retry_config=_RETRIES, copy_if_not_exists=once)
            case _:
                store = from_url(url)
    except (BaseError, ValueError, OSError):
        raise InvalidSettings(f"{VARIABLE}, {shown(url)}, names no storage: it is s3://BUCKET/PREFIX.") from None
    with told(url):
        next(iter(objects_in(store)), None)  # a bucket that is missing looks like a missing object
    return store


def objects_in(store: ObjectStore, folder: str | None = None) -> Iterator[ObjectMeta]:
    """All objects below a folder, as they are asked for."""
    from obstore import list as listed  # pyright: ignore[reportUnknownVariableType] - its other form is of arro3, which is not here

    return chain.from_iterable(listed(store, folder))


def folders_in(store: ObjectStore, folder: str) -> set[str]:
    """The names of the folders in a folder."""
    from obstore import list_with_delimiter  # pyright: ignore[reportUnknownVariableType] - the same

    return {prefix.rpartition("/")[2] for prefix in list_with_delimiter(store, folder)["common_prefixes"]}


@contextmanager
def told(url: str) -> Generator[None]:
    """Says in a sentence what went wrong with the storage: never in its own words, in which a key may be.

    `AlreadyExistsError` and `FileNotFoundError` that the block lets through are of the storage too.

    Raises:
        FilesUnreachable: What was asked may have been done or not.
    """
    from obstore.exceptions import AlreadyExistsError, BaseError

    try:
        yield
    except AlreadyExistsError:
        raise
    except (BaseError, FileNotFoundError) as error:
        raise FilesUnreachable(f"The storage {shown(url)} {_why(error)}") from None


def shown(url: str) -> str:
    """The URL without what a key may be in."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _why(error: Exception) -> str:
    """What a person can do; the error's own words may hold what was signed, and with what key."""
    words = str(error)
    status = re.search(r"status code: (\d{3})", words)
    if "NoSuchBucket" in words:
        return "does not exist: make the bucket, or correct BATCH_PIPELINE_FILES_URL."
    if status and status[1] in ("401", "403"):
        return "refused the key: check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, and what the key may do."
    if status:
        return f"answered with {status[1]}: run this again when it is well."
    if "credential" in words.lower() or "169.254.169.254" in words:
        return "wants a key: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run where a role gives one."
    return "did not answer: check AWS_ENDPOINT_URL and the network, and run this again."
