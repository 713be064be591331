"""Tokens counted in a process beside are those that are counted here, in the same order, whatever becomes of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import orjson

from batch_pipeline.batches.money.tokens import TokenCounter
from batch_pipeline.batches.requests.counting import FROM, Counting, counting, one_late

COUNTER = TokenCounter("gpt-6-luna")
TEXTS = ["", "a b c", "Größe 😀 <|endoftext|>", "word " * 5_000, '"quoted"\n\\']
BODIES = [orjson.dumps(text) for text in TEXTS]
COUNTS = [COUNTER.count(text) for text in TEXTS]


def test_both_count_the_same_and_keep_the_order() -> None:
    with counting(COUNTER, FROM) as beside, counting(COUNTER, 1) as here:
        begun = [beside.begin(BODIES), beside.begin(BODIES[::-1]), beside.begin([]), here.begin(BODIES)]
        assert [counts() for counts in begun] == [COUNTS, COUNTS[::-1], [], COUNTS]


def serving() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "batch_pipeline.batches.requests.counting", COUNTER.model]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def test_a_process_that_dies_is_done_without() -> None:
    process = serving()
    with process, ThreadPoolExecutor(1) as thread:
        beside = Counting(COUNTER, process, thread)
        assert beside.begin(BODIES)() == COUNTS
        process.kill()
        process.wait()
        assert beside.begin(BODIES)() == COUNTS
        assert beside.begin(BODIES)() == COUNTS


def test_it_ends_with_whoever_started_it() -> None:
    """Killed, and in the middle: its end of the pipe is closed by the operating system."""
    script = """
import time
from batch_pipeline.batches.requests.counting import FROM, counting
from batch_pipeline.batches.money.tokens import TokenCounter
with counting(TokenCounter("gpt-6-luna"), FROM) as beside:
    beside.begin([b'"a"'])()
    print(beside._process.pid, flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while _lives(child):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123 - no file
        return file.read().rpartition(")")[2].split()[0] != "Z"


def test_each_comes_when_the_next_was_begun() -> None:
    begun: list[int] = []

    def begin(number: int) -> int:
        begun.append(number)
        return number

    late = one_late(map(begin, range(3)))
    assert [(each, len(begun)) for each in late] == [(0, 2), (1, 3), (2, 3)]
    assert list(one_late(iter(()))) == []
