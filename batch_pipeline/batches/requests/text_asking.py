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

        def column(name: str) -> pa.Array[Any]:
            return cast("pa.Array[Any]", batch.column(name))

        bodies = json_strings(self._fill(lambda name: column(name).to_pylist()))
        fingerprints = self._envelope.fingerprints(bodies)
        record_ids = [str(record_id) for record_id in column("record_id").to_pylist()]
        names = [custom_id(record_id) for record_id in record_ids]
        repo, night, content_hash = (column(name) for name in ("repo", "night", "content_hash"))
        first = dict(zip(reversed(fingerprints), range(len(bodies) - 1, -1, -1), strict=True))
        at = sorted(first.values())
        prints, ids = [fingerprints[place] for place in at], [names[place] for place in at]
        asked = [bodies[place] for place in at]
        lines = self._envelope.lines(ids, asked)
        return Chunk(
            records=Records(record_ids, repo, night, content_hash, [0] * len(bodies), fingerprints, names),
            lines=dict(zip(prints, lines, strict=True)),
            custom_ids=dict(zip(prints, ids, strict=True)),
            input_tokens=self._tokens(prints, asked),
        )

    def _tokens(self, prints: Sequence[str], bodies: Sequence[bytes]) -> Callable[[Sequence[str]], Counts]:
        """Counts beside begin at once, since they cost this process nothing; here only those that are wanted."""
        if self._counter.beside:
            counts = self._counter.begin(bodies)
            return lambda wanted: lambda: self._in_all(wanted, dict(zip(prints, counts(), strict=True)))
        by_print = dict(zip(prints, bodies, strict=True))

        def count(wanted: Sequence[str]) -> list[int]:
            counts = self._counter.begin([by_print[fingerprint] for fingerprint in wanted])
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
