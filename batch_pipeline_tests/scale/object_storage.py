"""An object storage that speaks S3's protocol: moto's server, in a process of its own that ends with this one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import IO
from urllib.parse import quote, urlsplit
from uuid import uuid4
from xml.etree import ElementTree

import pytest

REGION = "us-east-1"
KEY_ID, SECRET = "test-key-id", "a secret key & more/of+it"
"""The server looks at neither."""


_ROOT = Path(__file__).parents[2]
_SIGNED = f"AWS4-HMAC-SHA256 Credential={KEY_ID}/20260101/{REGION}/s3/aws4_request, SignedHeaders=host, Signature=0"


class ObjectStorageError(Exception):
    """The server refused something."""


@dataclass(frozen=True)
class ObjectStorage:
    """A server on this machine.

    Attributes:
        endpoint: Its URL.
        bucket: A bucket that is there, for whoever wants no other.
    """

    endpoint: str
    bucket: str

    @property
    def variables(self) -> Mapping[str, str]:
        """What a process has in its environment to find the server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
        }

    def new_bucket(self) -> str:
        """Makes an empty bucket; its name."""
        name = f"bucket-{uuid4().hex[:16]}"
        self._ask("PUT", f"/{name}")
        return name

    def names(self, bucket: str, prefix: str = "") -> list[str]:
        """The names of the objects that begin so, in order; a thousand at most."""
        listed = self._ask("GET", f"/{bucket}?list-type=2&prefix={quote(prefix, safe='')}")
        return [node.text or "" for node in ElementTree.fromstring(listed).iter() if node.tag.endswith("}Key")]

    def read(self, bucket: str, name: str) -> bytes:
        """What an object holds."""
        return self._ask("GET", f"/{bucket}/{quote(name)}")

    def _ask(self, method: str, path: str) -> bytes:
        server = HTTPConnection(urlsplit(self.endpoint).netloc, timeout=30)
        try:
            server.request(method, path, headers={"Authorization": _SIGNED})
            reply = server.getresponse()
            body = reply.read()
        finally:
            server.close()
        if reply.status >= 300:
            raise ObjectStorageError(f"{method} {path}: {reply.status} {body.decode(errors='replace')[:300]}")
        return body


@contextmanager
def running() -> Generator[ObjectStorage]:
    """A server with one bucket, until the end of the block.

    Raises:
        ObjectStorageError: It did not start: moto is not installed, say.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", __name__], cwd=_ROOT, env={}, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        try:
            assert process.stdout is not None
            endpoint = process.stdout.readline().strip()
            if not endpoint:
                raise ObjectStorageError("moto's server did not start: `uv sync --group scale`.")
            yield ObjectStorage(endpoint, ObjectStorage(endpoint, "").new_bucket())
        finally:
            process.kill()


@pytest.fixture(scope="session")
def object_storage() -> Generator[ObjectStorage]:
    """A server that all tests of this process share; each takes a bucket, or a prefix, of its own."""
    try:
        with running() as storage:
            yield storage
    except ObjectStorageError as error:
        pytest.skip(str(error))


def serve(until: IO[str]) -> None:
    """Serves, having told where, until `until` ends: with the process that holds its other end."""
    import logging

    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    _create_in_one_step()
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    print(f"http://{host}:{port}", flush=True)  # noqa: T201 - the process that started this one reads it
    until.read()


def _create_in_one_step() -> None:
    """`If-None-Match` is looked at and obeyed in one step by S3, and in two by moto: of eight at once, two won."""
    from threading import Lock

    from moto.s3.responses import S3Response

    alone = Lock()

    def one_at_a_time(step: Callable[..., object]) -> Callable[..., object]:
        def taken(*args: object, **kwargs: object) -> object:
            with alone:
                return step(*args, **kwargs)

        return taken

    for name in ("put_object", "_key_response_post"):  # of an object, and of one that comes in parts
        setattr(S3Response, name, one_at_a_time(getattr(S3Response, name)))


if __name__ == "__main__":
    serve(sys.stdin)
