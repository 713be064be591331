"""Writes the files of a plan: request lines within the provider's limits, and the two indexes beside them.

Lines and rows stream to disk; what is in memory does not grow with the job.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, cast

from batch_pipeline.batches.files import JobFolder, half
from batch_pipeline.batches.money.estimates import Estimate, Estimator
from batch_pipeline.batches.points import reach
from batch_pipeline.batches.requests.columns import transposed
from batch_pipeline.batches.requests.digest import Digest
from batch_pipeline.batches.requests.indexes import Indexes, Placed, RecordRows
from batch_pipeline.batches.requests.lines import Lines
from batch_pipeline.errors import PlanSuperseded

WRITTEN_AT_ONCE = 1_000
"""Lines that are written at a time: what they take together is the same memory each time, which is twice as fast."""


class Input(NamedTuple):
    """What is bought once: all of a request, or one of the many inputs of a request for embeddings.

    Its custom_id is the request's, where the request has no other; the first one's is that of all.
    """

    custom_id: str
    fingerprint: str
    input_tokens: int


class Request(NamedTuple):
    """One request of a plan: its line as it will be sent, and the inputs that it asks for, in their order."""

    line: bytes
    inputs: tuple[Input, ...]


@dataclass(frozen=True, slots=True)
class Requests:
    """Requests to send: their lines, and column by column the inputs that these ask for, one after the other.

    `inputs` says how many each of them has, where not all have one.
    """

    lines: Lines
    custom_ids: Sequence[str]
    fingerprints: Sequence[str]
    input_tokens: Sequence[int]
    inputs: Sequence[int] | None = None

    @classmethod
    def of(cls, requests: Sequence[Request]) -> Requests:
        """The columns of these rows."""
        columns = transposed((each for request in requests for each in request.inputs), Input._fields)
        names, fingerprints, tokens = cast("Any", columns)
        inputs = [len(request.inputs) for request in requests]
        return cls(Lines.of([request.line for request in requests]), names, fingerprints, tokens, inputs)

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def counts(self) -> Sequence[int]:
        """How many inputs each request has."""
        return self.inputs if self.inputs is not None else [1] * len(self.lines)

    @property
    def tokens(self) -> Sequence[int]:
        """Input tokens of each request."""
        if self.inputs is None:
            return self.input_tokens
        ends = accumulate(self.inputs)
        return [sum(self.input_tokens[end - count : end]) for end, count in zip(ends, self.inputs, strict=True)]

    def part(self, start: int, end: int) -> Requests:
        """The requests from `start` on, to before `end`."""
        if (start, end) == (0, len(self)):
            return self
        if self.inputs is None:
            first, last, inputs = start, end, None
        else:
            first, last = sum(self.inputs[:start]), sum(self.inputs[:end])
            inputs = self.inputs[start:end]
        columns = (column[first:last] for column in (self.custom_ids, self.fingerprints, self.input_tokens))
        return Requests(self.lines.part(start, end), *cast("tuple[Any, Any, Any]", tuple(columns)), inputs)


@dataclass(frozen=True)
class FilePlan:
    """One file of requests, as it lies on the disk."""

    number: int
    sha256: str
    bytes: int
    estimate: Estimate
    records: int = 0
    """Those that its requests answer."""


@dataclass(frozen=True)
class Limits:
    """What one file may hold."""

    max_requests: int
    """Inputs, of which a request for embeddings has many."""
    max_bytes: int
    max_tokens: int | None = None
    """Input tokens, where the provider is known to queue no more of them."""


class RequestFiles:
    """Writes a job's files. To be used in a `with` block; `commit` puts everything in its place.

    Args:
        folder: The job's.
        limits: A request larger than `max_bytes` must not be added.
        estimator: Makes the estimator of a file.
    """

    def __init__(self, folder: JobFolder, limits: Limits, estimator: Callable[[], Estimator]) -> None:
        self._folder = folder
        self._limits = limits
        self._estimator = estimator
        self._stack = ExitStack()
        self._file: _RequestFile | None = None
        self._done: list[FilePlan] = []
        self._halves: list[tuple[Path, Path]] = []

    def __enter__(self) -> RequestFiles:
        self._folder.make()
        requests, records = self._half(self._folder.request_index), self._half(self._folder.record_index)
        strays = self._stack.enter_context(half(self._folder.path / "strays.parquet"))
        self._indexes = self._stack.enter_context(Indexes(requests, records, strays))
        self._waiting = self._stack.enter_context(self._half(self._folder.waiting).open("wb"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> bool | None:
        return self._stack.__exit__(kind, error, at)

    def add(self, requests: Requests, records: RecordRows, waiting: Sequence[bytes]) -> None:
        """Takes more requests to send, more records, and the lines of requests that are waited for."""
        self._indexes.add(list(self._place(requests)), records)
        self._waiting.writelines(waiting)

    def commit(self) -> list[FilePlan]:
        """Syncs all files and gives them their names.

        Raises:
            PlanSuperseded: Files of another plan are there.
        """
        self._finish_file()
        records = self._indexes.close()
        self._waiting.close()
        reach("plan.file_half")
        for temporary, final in self._halves:
            if not self._folder.put(temporary, final):
                raise PlanSuperseded(f"{final} is there already: another process plans this job.")
        return [replace(file, records=records[file.number]) for file in self._done]

    def _place(self, requests: Requests) -> Generator[Placed]:
        """Puts the requests into files; gives, file by file, where each of their inputs is."""
        start = 0
        while start < len(requests):
            file = self._file or self._open_file()
            first, left = file.lines + 1, requests.part(start, len(requests))
            taken = left.part(0, file.take(left, self._limits))
            yield _placed(taken, file.number, first)
            start += len(taken)
            if start < len(requests):
                self._finish_file()

    def _open_file(self) -> _RequestFile:
        number = len(self._done)
        path = self._half(self._folder.requests(number))
        handle = self._stack.enter_context(path.open("wb"))
        digest = self._stack.enter_context(Digest(path))
        self._file = _RequestFile(number, handle, digest, self._estimator())
        return self._file

    def _finish_file(self) -> None:
        if self._file is not None:
            self._done.append(self._file.finish())
            self._file = None

    def _half(self, final: Path) -> Path:
        temporary = self._stack.enter_context(half(final))
        self._halves.append((temporary, final))
        return temporary


def _placed(requests: Requests, number: int, first: int) -> Placed:
    """The requests' inputs, from line `first` of the file `number` on."""
    lines: Sequence[int] = range(first, first + len(requests))
    if requests.inputs is None:
        positions: Sequence[int] = [0] * len(requests)
    else:
        lines = [line for line, count in zip(lines, requests.inputs, strict=True) for _ in range(count)]
        positions = [position for count in requests.inputs for position in range(count)]
    names = requests.custom_ids
    return Placed(names, [number] * len(names), lines, positions, requests.fingerprints, requests.input_tokens)


class _RequestFile:
    """One file while it is being written."""

    def __init__(self, number: int, handle: BinaryIO, digest: Digest, estimator: Estimator) -> None:
        self.number = number
        self._handle = handle
        self._digest = digest
        self._estimator = estimator
        self._bytes = 0
        self._tokens: list[int] = []
        self._inputs = 0
        self._input_tokens = 0

    @property
    def lines(self) -> int:
        """Lines that it has."""
        return len(self._tokens)

    def take(self, requests: Requests, limits: Limits) -> int:
        """Writes as many of the requests as there is room for, in their order; one at least where it is empty."""
        tokens = requests.tokens
        sizes = list(accumulate(requests.lines.sizes, initial=self._bytes))
        inputs = list(accumulate(requests.counts, initial=self._inputs))
        totals = list(accumulate(tokens, initial=self._input_tokens))
        # of sums that only grow, those within a limit come first
        taken = min(bisect_right(sizes, limits.max_bytes), bisect_right(inputs, limits.max_requests)) - 1
        if limits.max_tokens is not None:
            taken = min(taken, bisect_right(totals, limits.max_tokens) - 1)
        if not self._tokens:
            taken = max(taken, 1)
        for start in range(0, taken, WRITTEN_AT_ONCE):
            self._handle.write(requests.lines.joined(start, min(start + WRITTEN_AT_ONCE, taken)))
        self._handle.flush()
        self._digest.go_on(sizes[taken])
        self._bytes, self._inputs, self._input_tokens = sizes[taken], inputs[taken], totals[taken]
        self._tokens += tokens[:taken]
        return taken

    def finish(self) -> FilePlan:
        self._handle.close()
        self._estimator.add(self._tokens)
        return FilePlan(self.number, self._digest.finish(), self._bytes, self._estimator.result())
