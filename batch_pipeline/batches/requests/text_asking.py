"""What most tasks ask: a template filled in, text alone, one request a record. The path of a million rows.

It comes to the same chunks as `asking.py`, column by column instead of record by record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import orjson

from batch_pipeline.batches.requests.candidates import Chunk, Records
from batch_pipeline.batches.requests.columns import Value, at_keys
from batch_pipeline.batches.requests.counting import Counting, Counts
from batch_pipeline.batches.requests.custom_id import custom_ids
from batch_pipeline.batches.requests.envelope import Envelope
from batch_pipeline.batches.requests.prepared import CONTENT_HASH
from batch_pipeline.batches.requests.rendering import Columns

if TYPE_CHECKING:
    import pyarrow as pa

JSON_AT_ONCE = 1_000
"""Texts that become JSON at a time: what they take together is the same memory each time."""


class TextAsking:
    """Turns columns of records into chunks.

    Args:
        fill: Fills the prompt in.
        envelope: Makes lines and fingerprints.
        counter: Counts what the model would read, here or beside.
        constant: Begins to count, once, the tokens that every request has beside its text.
    """

    def __init__(
        self,
        fill: Callable[[Columns], list[str]],
        envelope: Envelope,
        counter: Counting,
        constant: Callable[[], Counts],
    ) -> None:
        self._fill = fill
        self._envelope = envelope
        self._counter = counter
        self._constant = constant

    def chunk(self, batch: pa.RecordBatch) -> Chunk:
        """What is asked of these records; identical requests are one."""

        def column(name: str) -> list[Any]:  # no part of the batch itself: it would keep all of it in memory
            return cast("pa.Array[Any]", batch.column(name)).to_pylist()

        texts = self._fill(column)
        bodies = json_strings(texts)
        fingerprints = self._envelope.fingerprints(bodies)
        record_ids = [str(record_id) for record_id in column("record_id")]
        names = custom_ids(record_ids)
        repo, night, content_hash = (column(name) for name in ("repo", "night", CONTENT_HASH))
        ids, by_print = of_first(fingerprints, names), of_first(fingerprints, bodies)
        return Chunk(
            records=Records(record_ids, repo, night, content_hash, [0] * len(bodies), fingerprints, names),
            bodies=by_print,
            lines=lambda wanted: self._envelope.lines(at_keys(ids, wanted), at_keys(by_print, wanted)),
            around=self._envelope.around,
            custom_ids=ids,
            input_tokens=self._tokens(of_first(fingerprints, texts)),
        )

    def _tokens(self, texts: Mapping[str, str]) -> Callable[[Sequence[str]], Counts]:
        """Counts beside begin at once, since they cost this thread nothing; here only those that are wanted."""
        if self._counter.beside:
            asked, counts = list(texts), self._counter.begin(list(texts.values()))
            self._constant()
            return lambda wanted: lambda: self._in_all(wanted, dict(zip(asked, counts(), strict=True)))

        def count(wanted: Sequence[str]) -> list[int]:
            counts = self._counter.begin(at_keys(texts, wanted))
            return self._in_all(wanted, dict(zip(wanted, counts(), strict=True)))

        return lambda wanted: lambda: count(wanted)

    def _in_all(self, wanted: Sequence[str], counts: Mapping[str, int]) -> list[int]:
        (constant,) = self._constant()()
        return [constant + count for count in at_keys(counts, wanted)]


def of_first(keys: Sequence[str], values: Sequence[Value]) -> dict[str, Value]:
    """The value that stands first at each key, in the order of the keys."""
    first = dict(zip(keys, values, strict=True))
    if len(first) < len(keys):
        first.update(zip(reversed(keys), reversed(values), strict=True))
    return first


def json_strings(texts: Sequence[str]) -> list[bytes]:
    """Each text as JSON, many in one go: for a text alone orjson takes eight times its memory, and ten times as long.

    Indented, each is on a line of its own, since no string of JSON has a line feed in it: `  "text",`.
    """
    strings: list[bytes] = []
    for start in range(0, len(texts), JSON_AT_ONCE):
        listed = orjson.dumps([*texts[start : start + JSON_AT_ONCE], None], option=orjson.OPT_INDENT_2)
        strings += [line[2:-1] for line in listed.split(b"\n")[1:-2]]
    return strings
