"""An object was created, and the reply to its PUT is lost on the way."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

import pytest

from batch_pipeline.batches.doctor import doctor
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.turn import submit_job
from batch_pipeline.errors import FilesUnreachable
from batch_pipeline_tests.batches.chain import planned, run, write_notes
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.scale.object_storage import ObjectStorage as ObjectServer


@contextmanager
def between(server: str, loses: Callable[[str, str], bool], without: str | None = None) -> Generator[str]:
    """Hands on what it is asked, and of what `loses` says, by method and path, not the reply; its URL.

    The header `without` is handed on to nobody.
    """

    class Handler(BaseHTTPRequestHandler):
        def _hand_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            there = HTTPConnection(urlsplit(server).netloc, timeout=30)
            headers = {name: value for name, value in self.headers.items() if name.lower() != without}
            there.request(self.command, self.path, body, headers)
            reply = there.getresponse()
            content = reply.read()
            there.close()
            if loses(self.command, self.path):
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.getheaders():
                if name.lower() not in ("connection", "date", "server", "transfer-encoding"):
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _hand_on  # noqa: N815 - the names that it looks for

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as proxy:
        proxy.daemon_threads = True
        thread = Thread(target=proxy.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{proxy.server_port}"
        proxy.shutdown()
        thread.join()


@pytest.mark.scale
@pytest.mark.parametrize("what", ["/sends/", "/plan.json", "/requests-0000.jsonl"])
def test_whose_reply_was_lost_is_bought_once(
    make_pipeline: Callable[..., Pipeline],
    books: Books,
    object_storage: ObjectServer,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
) -> None:
    lost: list[str] = []

    def loses(method: str, path: str) -> bool:
        if method == "PUT" and what in path and len(lost) < 2:
            lost.append(path)
            return True
        return False

    for name, value in object_storage.variables.items():
        monkeypatch.setenv(name, value)
    with between(object_storage.endpoint, loses) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        pipeline = make_pipeline(files_url=f"s3://{object_storage.new_bucket()}")
        write_notes(pipeline, 3)
        with suppress(FilesUnreachable):
            planned(pipeline, key="nightly")
        job = planned(pipeline, key="nightly")
        with suppress(FilesUnreachable):
            submit_job(pipeline, job.job_id)
        assert run(pipeline, job).outcomes == {"answered": 3}
    assert lost
    assert books.lines_executed == 3


@pytest.mark.scale
@pytest.mark.parametrize(
    ("without", "level", "says"),
    [(None, "ok", "creates a file once"), ("if-none-match", "problem", "lets a file be created twice")],
)
def test_a_storage_that_would_let_a_batch_be_bought_twice_is_told(
    make_pipeline: Callable[..., Pipeline],
    object_storage: ObjectServer,
    monkeypatch: pytest.MonkeyPatch,
    without: str | None,
    level: str,
    says: str,
) -> None:
    for name, value in object_storage.variables.items():
        monkeypatch.setenv(name, value)

    def loses(_method: str, _path: str) -> bool:
        return False

    with between(object_storage.endpoint, loses, without) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        pipeline = make_pipeline(files_url=f"s3://{object_storage.new_bucket()}")
        before = pipeline.files.names(pipeline.settings.data_dir)
        (found,) = [finding for finding in doctor(pipeline) if finding.what == "files"]
        assert found.level == level
        assert says in found.says
        assert pipeline.files.names(pipeline.settings.data_dir) == before
