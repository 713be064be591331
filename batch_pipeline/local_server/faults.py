"""What can be made to go wrong, to order.

A fault is a JSON object with a `kind`. They come from a file (`--faults FILE`, a list of them), or over HTTP while the
server runs: `POST /faults` adds one or a list, `PUT /faults` replaces all, `GET /faults` shows them with `fired`, how
often each has struck, `DELETE /faults` and `DELETE /faults/{id}` take them away. They are forgotten when the server
ends; what has struck a batch stays with the batch, over a restart too.

Every fault may have `times` (how often it strikes; 1 if not given, null for ever) and `skip` (how many occasions it
lets pass first).

At a route (`on`: one name or a list of `files.create`, `files.list`, `files.get`, `files.content`, `files.delete`,
`batches.create`, `batches.list`, `batches.get`, `batches.cancel`, `chat.create`, `responses.create`,
`embeddings.create`, `models.list`, `models.get`; `"*"` for any of them; Anthropic's batches go by the same names, their
results by `files.content`, and have `batches.delete` and `messages.create` to themselves):

    {"kind": "status", "on": "batches.create", "status": 429, "headers": {"retry-after": "1"}}    `code`, `message`, too
    {"kind": "status", "on": "*", "status": 502, "body": "<html>Bad gateway</html>"}     nothing is done
    {"kind": "status", "on": "files.delete", "status": 405, "times": null}               a server without DELETE
    {"kind": "reply_lost", "on": "batches.create"}      all is done, then the connection is dropped
    {"kind": "request_lost", "on": "batches.create"}    the connection is dropped, nothing is done
    {"kind": "request_late", "on": "batches.create", "seconds": 30}    done late, even if the client is gone by then
    {"kind": "reply_late", "on": "batches.create", "seconds": 30}      done at once, answered late
    {"kind": "listing_empty"}                           200 and no entries (`on`: `batches.list`)
    {"kind": "content_cut", "share": 0.6}               a download ends there, without an error

When a file or a batch is created, or a file deleted (`filename`: a pattern that the file's name must match):

    {"kind": "file_late", "seconds": 5}                 an upload can't be seen for so long, by a create either
    {"kind": "delete_late", "seconds": 3}               confirmed at once, done later
    {"kind": "listing_late", "seconds": 5}              a new batch is listed so much later
    {"kind": "metadata_dropped"}                        the batch forgets its metadata; the books keep it

In the life of a batch, decided when it is created (`filename` as above; `times` counts batches):

    {"kind": "validation", "errors": [{"code": "invalid_json_line", "line": 3}]}   fails so, in the recorded words
    {"kind": "token_limit", "limit": 2000000, "times": null}    fails if the queue of its model would hold more tokens
    {"kind": "expire", "after": 90}                     expires when so many lines were executed
    {"kind": "slow", "stage": "finalizing", "seconds": 5}       stays in a stage longer (any but the last ones)
    {"kind": "counts", "completed": 1}                  `request_counts` of the ended batch are off by so much
    {"kind": "files_late", "seconds": 5}                the ended batch shows its files so much later
    {"kind": "azure", "times": null}                    it lives as Azure's do: codes, words, an error file of 0 bytes
    {"kind": "rows", "status": 429, "code": "rate_limit_exceeded", "every": 10}    rows fail over HTTP
    {"kind": "prose", "text": "Sure! Here you go"}      rows answer in prose, not in JSON
    {"kind": "refusal"}                                 the model refuses
    {"kind": "truncated"}                               the answer ends in the middle, `finish_reason: length`
    {"kind": "embeddings", "damage": "size"}            the last embedding of a row is one number short; `missing`: it
                                                        is not there; `shuffled`: they come in another order
    {"kind": "lines", "damage": "garbled", "file": "output"}    `missing`, `doubled`, `foreign`: lines of a file

The last six take `custom_id` (a pattern) and `every` (each n-th line of the input file, counted from 1) to choose
rows. `lines` also knows the damages `shuffled` and `unended` (the last line break is missing), of the whole file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from batch_pipeline.errors import UsageError
from batch_pipeline.wire.batch import BatchError

RouteName = Literal[
    "files.create",
    "files.list",
    "files.get",
    "files.content",
    "files.delete",
    "batches.create",
    "batches.list",
    "batches.get",
    "batches.cancel",
    "batches.delete",
    "messages.create",
    "chat.create",
    "responses.create",
    "embeddings.create",
    "models.list",
    "models.get",
]
On = RouteName | Literal["*"] | tuple[RouteName, ...]


class _Fault(BaseModel):
    """How often a fault strikes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    times: Annotated[int, Field(ge=0)] | None = 1
    """How often it strikes; null for ever."""
    skip: Annotated[int, Field(ge=0)] = 0
    """How many occasions it lets pass first."""


class _AtRoute(_Fault):
    """Strikes a request."""

    on: On = "batches.create"

    def concerns(self, route: RouteName) -> bool:
        """Whether requests for this route are meant."""
        return route in self.on if isinstance(self.on, tuple) else self.on in ("*", route)


class StatusFault(_AtRoute):
    """Nothing is done; a status and a body are answered."""

    kind: Literal["status"]
    on: On = "*"
    status: Annotated[int, Field(ge=200, le=599)]
    message: str | None = None
    type: str | None = None
    param: str | None = None
    code: str | None = None
    body: object = None
    """Instead of the envelope: text is sent as HTML, anything else as JSON."""
    headers: dict[str, str] = {}


class ReplyLost(_AtRoute):
    """All is done, then the connection is dropped."""

    kind: Literal["reply_lost"]


class RequestLost(_AtRoute):
    """The connection is dropped before anything is done."""

    kind: Literal["request_lost"]


class RequestLate(_AtRoute):
    """Done late, even if the client is gone by then."""

    kind: Literal["request_late"]
    seconds: float


class ReplyLate(_AtRoute):
    """Done at once, answered late."""

    kind: Literal["reply_late"]
    seconds: float


class ListingEmpty(_AtRoute):
    """A listing answers 200 and no entries."""

    kind: Literal["listing_empty"]
    on: On = "batches.list"


class ContentCut(_AtRoute):
    """A download ends after a share of its bytes, without an error."""

    kind: Literal["content_cut"]
    on: On = "files.content"
    share: Annotated[float, Field(ge=0, le=1)] = 0.6


class _OfFile(_Fault):
    """Strikes where a file of a matching name takes part."""

    filename: str = "*"


class FileLate(_OfFile):
    """An upload can't be seen at first."""

    kind: Literal["file_late"]
    seconds: float


class DeleteLate(_OfFile):
    """A delete is confirmed at once and done later."""

    kind: Literal["delete_late"]
    seconds: float


class ListingLate(_OfFile):
    """A new batch is listed late."""

    kind: Literal["listing_late"]
    seconds: float


class MetadataDropped(_OfFile):
    """A batch forgets its metadata."""

    kind: Literal["metadata_dropped"]


class ValidationFault(_OfFile):
    """A batch fails validation, whatever is in its file."""

    kind: Literal["validation"]
    errors: Annotated[list[BatchError], Field(min_length=1)]


class TokenLimit(_OfFile):
    """A batch fails if the queue of its model would hold more tokens than this."""

    kind: Literal["token_limit"]
    limit: int
    model: str = "*"


class Expire(_OfFile):
    """A batch expires when so many lines were executed."""

    kind: Literal["expire"]
    after: Annotated[int, Field(ge=0)]


class Slow(_OfFile):
    """A batch stays in a stage for so much longer."""

    kind: Literal["slow"]
    stage: Literal["validating", "in_progress", "finalizing", "cancelling"]
    seconds: float


class CountsFault(_OfFile):
    """The counts of an ended batch are off by so much."""

    kind: Literal["counts"]
    completed: int = 0
    failed: int = 0


class FilesLate(_OfFile):
    """An ended batch shows its files later."""

    kind: Literal["files_late"]
    seconds: float


class Azure(_OfFile):
    """A batch lives as Azure's do: its codes, its words, an error file in any case."""

    kind: Literal["azure"]


class _OfRows(_OfFile):
    """Strikes chosen rows of a batch."""

    custom_id: str = "*"
    every: Annotated[int, Field(ge=1)] = 1

    def chooses(self, custom_id: str, line: int) -> bool:
        """Whether the request on this line of the input file, counted from 1, is meant."""
        return line % self.every == 0 and fnmatchcase(custom_id, self.custom_id)


class RowStatus(_OfRows):
    """Rows fail over HTTP."""

    kind: Literal["rows"]
    status: Annotated[int, Field(ge=300, le=599)] = 400
    message: str = "This request was ordered to fail."
    type: str = "invalid_request_error"
    param: str | None = None
    code: str | None = None


class Prose(_OfRows):
    """Rows answer in prose where JSON was asked for."""

    kind: Literal["prose"]
    text: str = "Sure! Here is what I think about it, in a few words."


class Refusal(_OfRows):
    """The model refuses."""

    kind: Literal["refusal"]
    text: str = "I'm sorry, but I can't assist with that request."


class Truncated(_OfRows):
    """The answer ends in the middle for want of output tokens."""

    kind: Literal["truncated"]
    text: str = '{"'


class DamagedEmbeddings(_OfRows):
    """Embeddings of a row are not what they should be; `index` says of each which input it is of, as always."""

    kind: Literal["embeddings"]
    damage: Literal["size", "missing", "shuffled"]


class DamagedLines(_OfRows):
    """Lines of a finished file are not what they should be."""

    kind: Literal["lines"]
    damage: Literal["garbled", "missing", "doubled", "foreign", "shuffled", "unended"]
    file: Literal["output", "errors"] = "output"


RowFault = RowStatus | Prose | Refusal | Truncated
RouteFault = StatusFault | ReplyLost | RequestLost | RequestLate | ReplyLate | ListingEmpty | ContentCut
MomentFault = FileLate | DeleteLate | ListingLate | MetadataDropped
BatchFault = Annotated[
    ValidationFault
    | TokenLimit
    | Expire
    | Slow
    | CountsFault
    | Azure
    | FilesLate
    | RowFault
    | DamagedEmbeddings
    | DamagedLines,
    Field(discriminator="kind"),
]
Fault = Annotated[RouteFault | MomentFault | BatchFault, Field(discriminator="kind")]

T = TypeVar("T", bound=_Fault)
M = TypeVar("M", FileLate, DeleteLate, ListingLate, MetadataDropped)

_FAULTS: TypeAdapter[list[Fault]] = TypeAdapter(list[Fault])
_IN_BATCH = (
    ValidationFault,
    TokenLimit,
    Expire,
    Slow,
    CountsFault,
    Azure,
    FilesLate,
    RowStatus,
    Prose,
    Refusal,
    Truncated,
    DamagedEmbeddings,
    DamagedLines,
)


@dataclass(slots=True)
class Ordered:
    """A fault that waits for its occasions."""

    id: int
    fault: Fault
    seen: int = 0
    """Occasions that came."""
    fired: int = 0
    """How often it struck."""

    def strikes(self) -> bool:
        """Counts an occasion; true if this is one to strike at."""
        self.seen += 1
        if self.seen <= self.fault.skip or (self.fault.times is not None and self.fired >= self.fault.times):
            return False
        self.fired += 1
        return True

    def shown(self) -> dict[str, object]:
        """As `GET /faults` shows it."""
        return {"id": self.id, "fired": self.fired, **self.fault.model_dump(mode="json")}


class Faults:
    """All that is ordered, in the order it came; asked on the event loop only."""

    def __init__(self) -> None:
        self._ordered: list[Ordered] = []
        self._next = 1

    def add(self, faults: Iterable[Fault]) -> list[Ordered]:
        """Orders more."""
        added = [Ordered(number, fault) for number, fault in enumerate(faults, self._next)]
        self._next += len(added)
        self._ordered += added
        return added

    def remove(self, number: int | None = None) -> bool:
        """Takes one away, or all; False if there is no such one."""
        kept = [one for one in self._ordered if number is not None and one.id != number]
        found = number is None or len(kept) < len(self._ordered)
        self._ordered = kept
        return found

    def all(self) -> Sequence[Ordered]:
        """What is ordered."""
        return tuple(self._ordered)

    def at_route(self, route: RouteName) -> list[RouteFault]:
        """The faults that strike this request."""
        return [
            fault
            for ordered in self._ordered
            if isinstance(fault := ordered.fault, _AtRoute) and fault.concerns(route) and ordered.strikes()
        ]

    def at_moment(self, kind: type[M], filename: str) -> M | None:
        """The fault that strikes now, where a file of this name takes part."""
        for ordered in self._ordered:
            fault = ordered.fault
            if isinstance(fault, kind) and fnmatchcase(filename, fault.filename) and ordered.strikes():
                return fault
        return None

    def for_batch(self, filename: str) -> list[BatchFault]:
        """What a batch of this input file will suffer."""
        return [
            fault
            for ordered in self._ordered
            if isinstance(fault := ordered.fault, _IN_BATCH)
            and fnmatchcase(filename, fault.filename)
            and ordered.strikes()
        ]


def parse_faults(raw: bytes) -> list[Fault]:
    """Faults out of JSON: one object, or a list of them.

    Raises:
        UsageError: Not JSON, or not a fault; each mistake is named.
    """
    text = raw.strip()
    try:
        return _FAULTS.validate_json(text if text.startswith(b"[") else b"[" + text + b"]")
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False))
        raise UsageError(f"These faults can't be ordered: {wrong}.") from None


def read_faults(path: Path) -> list[Fault]:
    """Faults out of a file.

    Raises:
        UsageError: No such file, or not faults.
    """
    try:
        return parse_faults(path.read_bytes())
    except OSError as error:
        raise UsageError(f"The faults file {path} can't be read: {error.strerror}.") from error


def chosen(faults: Iterable[BatchFault], kind: type[T]) -> T | None:
    """The first fault of a kind among a batch's."""
    return next((fault for fault in faults if isinstance(fault, kind)), None)
