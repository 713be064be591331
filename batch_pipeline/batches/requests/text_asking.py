"""What most tasks ask: a template filled in, text alone, one request a record. The path of a million rows.

It comes to the same chunks as `asking.py`, column by column instead of record by record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import orjson

from batch_pipeline.batches.requests.candidates import Chunk, Records
from batch_pipeline.batches.requests.counting import Counting, Counts
from batch_pipeline.batches.requests.custom_id import custom_id
from batch_pipeline.batches.requests.envelope import Envelope
from batch_pipeline.batches.requests.prepared import CONTENT_HASH
from batch_pipeline.batches.requests.rendering import Columns

if TYPE_CHECKING:
    import pyarrow as pa


class TextAsking:
    """Turns columns of records into chunks.

    Args:
        fill: Fills the prompt in.
        envelope: Makes lines and fingerprints.
        counter: Counts what the model would read, here or beside.
        constant: Gives the tokens that every request has beside its text.
    """

    def __init__(
        self, fill: Callable[[Columns], list[str]], envelope: Envelope, counter: Counting, constant: Counts
    ) -> None:
        self._fill = fill
        self._envelope = envelope
        self._counter = counter
        self._constant = constant

    def chunk(self, batch: pa.RecordBatch) -> Chunk:
        """What is asked of these records; identical requests are one."""

        def column(name: str) -> list[Any]:  # no part of the batch itself: it would keep all of it in memory
            return cast("pa.Array[Any]", batch.column(name)).to_pylist()

        bodies = json_strings(self._fill(column))
        fingerprints = self._envelope.fingerprints(bodies)
        record_ids = [str(record_id) for record_id in column("record_id")]
        names = [custom_id(record_id) for record_id in record_ids]
        repo, night, content_hash = (column(name) for name in ("repo", "night", CONTENT_HASH))
        first = dict(zip(reversed(fingerprints), range(len(bodies) - 1, -1, -1), strict=True))
        at = sorted(first.values())
        ids = {fingerprints[place]: names[place] for place in at}
        by_print = {fingerprints[place]: bodies[place] for place in at}
        return Chunk(
            records=Records(record_ids, repo, night, content_hash, [0] * len(bodies), fingerprints, names),
            bodies=by_print,
            lines=lambda wanted: self._envelope.lines([ids[fp] for fp in wanted], [by_print[fp] for fp in wanted]),
            around=self._envelope.around,
            custom_ids=ids,
            input_tokens=self._tokens(by_print),
        )

    def _tokens(self, bodies: Mapping[str, bytes]) -> Callable[[Sequence[str]], Counts]:
        """Counts beside begin at once, since they cost this process nothing; here only those that are wanted."""
        if self._counter.beside:
            counts = self._counter.begin(list(bodies.values()))
            return lambda wanted: lambda: self._in_all(wanted, dict(zip(bodies, counts(), strict=True)))

        def count(wanted: Sequence[str]) -> list[int]:
            counts = self._counter.begin([bodies[fingerprint] for fingerprint in wanted])
            return self._in_all(wanted, dict(zip(wanted, counts(), strict=True)))

        return lambda wanted: lambda: count(wanted)

    def _in_all(self, wanted: Sequence[str], counts: Mapping[str, int]) -> list[int]:
        (constant,) = self._constant()
        return [constant + counts[fingerprint] for fingerprint in wanted]


def json_strings(texts: Sequence[str]) -> list[bytes]:
    """Each text as JSON. In one go: for a text alone orjson takes eight times its memory, and ten times as long.

    Indented, the texts are apart by a line feed, which no string of JSON has in it.
    """
    return orjson.dumps(texts, option=orjson.OPT_INDENT_2)[4:-2].split(b",\n  ") if texts else []
