"""A storage that is not there, has no such bucket or refuses the key: in a sentence, in which no key is."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.storage.connection import connect
from batch_pipeline.batches.storage.objects import ObjectStorage
from batch_pipeline.errors import FilesUnreachable, InvalidSettings
from batch_pipeline.settings import Settings, load_settings
from batch_pipeline_tests.scale.object_storage import ObjectStorage as ObjectServer

KEY_ID, SECRET = "AKIDNOTTOBESHOWN", "a/secret+not&to=be+shown"


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1"}
    for name, value in values.items():
        monkeypatch.setenv(name, value)


@contextmanager
def answering(status: int, body: str) -> Generator[str]:
    """A server that answers all alike; its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def said(url: str = "s3://bucket/prefix") -> str:
    """The sentence in which a first look ends."""
    with pytest.raises(FilesUnreachable) as error:
        connect(url)
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__
    assert KEY_ID not in str(error.value)
    assert SECRET not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("status", "code", "sentence"),
    [
        (403, "InvalidAccessKeyId", "refused the key: check AWS_ACCESS_KEY_ID"),
        (403, "SignatureDoesNotMatch", "refused the key: check AWS_ACCESS_KEY_ID"),
        (404, "NoSuchBucket", "does not exist: make the bucket, or correct BATCH_PIPELINE_FILES_URL."),
        (418, "Teapot", "answered with 418: run this again when it is well."),
    ],
)
def test_what_the_storage_refuses_is_said(
    monkeypatch: pytest.MonkeyPatch, status: int, code: str, sentence: str
) -> None:
    shown = f"<AWSAccessKeyId>{KEY_ID}</AWSAccessKeyId><StringToSign>{SECRET}</StringToSign>"
    words = f"<Error><Code>{code}</Code>{shown}</Error>"
    with answering(status, words) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        assert said().startswith(f"The storage s3://bucket/prefix {sentence}")


def test_a_storage_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert said() == (
        "The storage s3://bucket/prefix did not answer: check AWS_ENDPOINT_URL and the network, and run this again."
    )


@pytest.mark.scale
def test_a_bucket_that_is_missing_is_said_by_a_server_too(
    object_storage: ObjectServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in object_storage.variables.items():
        monkeypatch.setenv(name, value)
    assert "does not exist: make the bucket" in said("s3://no-such-bucket/prefix")
    with pytest.raises(FilesUnreachable, match="s3://no-such-bucket does not exist"):
        ObjectStorage("s3://no-such-bucket", tmp_path).fetch(tmp_path / "a")


def test_a_url_shows_no_key_that_somebody_put_into_it() -> None:
    url = f"nowhere://{KEY_ID}:secret@bucket/prefix"
    with pytest.raises(InvalidSettings) as error:
        connect(url)
    assert str(error.value) == (
        "BATCH_PIPELINE_FILES_URL, nowhere://bucket/prefix, names no storage: it is s3://BUCKET/PREFIX."
    )
    assert KEY_ID not in repr(Settings.model_validate({"files_url": url}))


def test_without_obstore_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    with pytest.raises(InvalidSettings, match=r"pip install 'batch_pipeline\[s3\]'"):
        connect("s3://bucket")


@pytest.mark.parametrize("url", ["bucket/prefix", "s3://", "s3:///prefix", "/a/folder"])
def test_what_names_no_storage_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("BATCH_PIPELINE_FILES_URL", url)
    with pytest.raises(InvalidSettings, match="BATCH_PIPELINE_FILES_URL"):
        load_settings()


def test_a_storage_is_not_asked_before_it_is_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    pipeline = Pipeline(Settings.model_validate({"files_url": "s3://bucket", "data_dir": tmp_path}))
    assert pipeline.folder("job").requests(0).name == "requests-0000.jsonl"
