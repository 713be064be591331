"""What was really done and billed, whatever clients were told; they can read it and can't change it.

`GET /books` (outside `/v1`). Batches and files that were deleted, failed or never listed are in it too, and metadata
that the server was ordered to forget. A batch of Anthropic's has no metadata: the `custom_id` of its first request
stands there, and `input_sha256` is of the body that created it.
"""

from __future__ import annotations

from typing import cast

import orjson

from batch_pipeline.local_server.store import Store

BATCHES = """
SELECT batch_id, books.account, books.created, object ->> 'status' AS status, input_file_id, input_filename,
       input_sha256, metadata, lines_executed, inputs_embedded, input_tokens, cached_tokens, output_tokens
FROM books JOIN batches ON batches.id = books.batch_id ORDER BY position
"""
FILES = """
SELECT id, account, object ->> 'filename' AS filename, object ->> 'purpose' AS purpose, object ->> 'bytes' AS bytes,
       sha256, deleted_at
FROM files ORDER BY position
"""
TOTALS = """
SELECT count(*) AS batches_created, coalesce(sum(lines_executed), 0) AS lines_executed,
       coalesce(sum(inputs_embedded), 0) AS inputs_embedded, coalesce(sum(input_tokens), 0) AS input_tokens,
       coalesce(sum(cached_tokens), 0) AS cached_tokens, coalesce(sum(output_tokens), 0) AS output_tokens
FROM books
"""
REALTIME = "SELECT requests, input_tokens, cached_tokens, output_tokens FROM realtime"


def books(store: Store) -> dict[str, object]:
    """The books: totals over all batches, `realtime`, and each batch and file, oldest first.

    `lines_executed` counts each line that an engine was asked to answer, failed ones too; inputs embedded
    and tokens are those of successful rows, as the provider bills them. `cached_tokens` are part of the input.
    """
    entries = store.rows(BATCHES)
    for entry in entries:
        entry["metadata"] = orjson.loads(cast(str, entry["metadata"]))
    return {
        **store.rows(TOTALS)[0],
        "realtime": store.rows(REALTIME)[0],
        "batches": entries,
        "files": store.rows(FILES),
    }
