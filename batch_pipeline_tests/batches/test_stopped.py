"""A submitter that is stopped in the middle of a create, while another process settles it and sends anew."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from batch_pipeline.batches import points
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.standing.status import status
from batch_pipeline.settings import Settings
from batch_pipeline_tests.batches.apart import apart, submitted, turns
from batch_pipeline_tests.batches.chain import planned, sends_of, write_notes
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.chaos import wire
from batch_pipeline_tests.processes import processes

WAIT = 0.3


@pytest.mark.skipif(sys.platform != "linux", reason="whether a process is stopped is read in /proc")
@pytest.mark.parametrize(
    ("point", "posts"),
    [
        ("upload.recorded", 1),
        ("send.marker_synced", 1),
        ("send.posted_recorded", 2),
        ("send.connected", 2),
        ("send.reply_unread", 1),
    ],
)
def test_the_late_post_executes_no_line_and_one_batch_is_paid(
    make_pipeline: Callable[..., Pipeline], books: Books, point: str, posts: int
) -> None:
    pipeline = make_pipeline(create_wait_seconds=WAIT)
    write_notes(pipeline, 3)
    job = planned(pipeline)
    stopped = processes.Process(target=submit_and_stop, args=(pipeline.settings, job.job_id, point))
    stopped.start()
    assert stopped.pid is not None
    wait_until_stopped(stopped.pid)
    try:
        assert apart(partial(turns, pipeline.settings, job.job_id, 60.0)) == 0
        assert status(pipeline, job.job_id).outcomes == {"answered": 3}
        before = [send.end for send in sends_of(pipeline, job)]
    finally:
        os.kill(stopped.pid, signal.SIGCONT)
    stopped.join(60)
    assert stopped.exitcode == 0
    stopped.close()
    assert [send.end for send in sends_of(pipeline, job)] == before
    assert before[-1] == "collected"
    assert apart(partial(turns, pipeline.settings, job.job_id, 60.0)) == 0
    assert (len(books.batches), len(books.paid), books.lines_executed) == (posts, 1, 3)


def submit_and_stop(settings: Settings, job_id: str, point: str) -> None:
    """Submits, and stops itself where it comes to the point; goes on when it is let."""

    def stop(reached: str) -> None:
        if reached == point:
            points.hook = None
            os.kill(os.getpid(), signal.SIGSTOP)

    points.hook = stop
    wire.watch(lambda: "")
    submitted(settings, job_id)


def wait_until_stopped(pid: int) -> None:
    """It is no child of ours, so the system is asked."""
    deadline = time.monotonic() + 60
    while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        assert time.monotonic() < deadline
        time.sleep(0.01)
