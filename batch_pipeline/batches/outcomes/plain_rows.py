"""The rows that nearly all are, chat completions that ended by themselves, taken apart by DuckDB's own JSON reader.

They come to the same as by `wire.lines`, `wire.replies` and `judging`, which look at every row that is not so: line by
line in Python, those took four times as long.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Generator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from batch_pipeline.batches.money.prices import Price
from batch_pipeline.batches.outcomes.judging import Validate

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

LONGEST = 16 * 1024 * 1024
"""Bytes of the longest line that DuckDB reads."""

# values stay JSON, so that a number is known from a text that looks like one
_SHAPE = {
    "custom_id": "JSON",
    "response": {
        "status_code": "JSON",
        "body": {
            "choices": [{"finish_reason": "JSON", "message": {"content": "JSON", "refusal": "JSON"}}],
            "usage": {
                "prompt_tokens": "JSON",
                "completion_tokens": "JSON",
                "prompt_tokens_details": {"cached_tokens": "JSON", "cache_write_tokens": "JSON"},
                "completion_tokens_details": {"reasoning_tokens": "JSON"},
            },
        },
    },
}

_PUT = f"""
    INSERT INTO _collected_rows BY NAME
    WITH lines AS (
        SELECT row_number() OVER () AS place, json AS line, json_transform(json, '{json.dumps(_SHAPE)}') AS parts
        FROM read_ndjson_objects($files, ignore_errors = true)
    ),
    parts AS (
        SELECT place, line, parts.custom_id, parts.response.status_code, parts.response.body.choices[1] AS choice,
            parts.response.body.usage AS usage
        FROM lines
    ),
    said AS (
        SELECT *, choice.message.content AS content, usage.prompt_tokens AS asked, usage.completion_tokens AS answered,
            coalesce(usage.prompt_tokens_details.cached_tokens, '0') AS cached,
            coalesce(usage.prompt_tokens_details.cache_write_tokens, '0') AS written,
            coalesce(usage.completion_tokens_details.reasoning_tokens, '0') AS reasoned,
            status_code = '200' AND choice.finish_reason = '"stop"'
                AND coalesce(choice.message.refusal, 'null') IN ('null', '""')
                AND starts_with(custom_id, '"') AND starts_with(content, '"')
                AND regexp_full_match(concat_ws(' ', asked, answered, cached, written, reasoned), '(\\d{{1,9}} ?){{5}}')
                AS plain
        FROM parts
    ),
    counted AS (
        SELECT place, CASE WHEN plain THEN NULL ELSE line END AS line,
            CASE WHEN plain THEN 'answered' END AS outcome,
            CASE WHEN plain THEN 200 END AS http_status,
            CASE WHEN plain THEN custom_id ->> '$' END AS custom_id,
            CASE WHEN plain THEN content ->> '$' END AS response_text,
            CASE WHEN plain THEN asked::BIGINT END AS input_tokens,
            CASE WHEN plain THEN cached::BIGINT END AS cached_tokens,
            CASE WHEN plain THEN written::BIGINT END AS cache_write_tokens,
            CASE WHEN plain THEN answered::BIGINT END AS output_tokens,
            CASE WHEN plain THEN reasoned::BIGINT END AS reasoning_tokens
        FROM said
    )
    SELECT * EXCLUDE (rates), greatest(input_tokens - cached_tokens - cache_write_tokens, 0) * rates.input
            + cached_tokens * rates.cached_input + cache_write_tokens * rates.cache_write
            + output_tokens * rates.output AS cost_usd
        FROM (SELECT *, CASE WHEN input_tokens > $threshold THEN $long_context ELSE $base END AS rates FROM counted)
"""  # noqa: S608 - a constant

_TEXTS = """
    SELECT DISTINCT response_text FROM _collected_rows WHERE outcome = 'answered'
"""

_WRONG = """
    UPDATE _collected_rows
    SET outcome = 'invalid', error_code = 'invalid_answer', error_message = wrong.why
    FROM (SELECT unnest(from_json($wrong, '[{"text": "VARCHAR", "why": "VARCHAR"}]'), recursive := true)) AS wrong
    WHERE outcome = 'answered' AND response_text = wrong.text
"""

_OTHERS = """
    SELECT place, line
    FROM _collected_rows
    WHERE outcome IS NULL AND line IS NOT NULL AND place > $after
    ORDER BY place
    LIMIT $most
"""


def can_be_read(files: Sequence[Path]) -> bool:
    """Whether no line is longer than DuckDB reads: no window of that length is without the end of one."""
    return all(map(_has_no_long_line, files))


def put_plain_rows(connection: DuckDBPyConnection, files: Sequence[Path], price: Price, validate: Validate) -> int:
    """Puts the rows of chat completions into `_collected_rows`; those that are not plain without an outcome.

    Returns:
        How many lines are no JSON.
    """
    long_context = price.long_context or price.base
    rates = {"base": asdict(price.base), "long_context": asdict(long_context), "threshold": price.threshold}
    connection.execute(_PUT, {"files": [str(file) for file in files], **rates})
    texts, wrong = connection.execute(_TEXTS), list[dict[str, str]]()
    while found := texts.fetchmany(10_000):
        wrong += [{"text": text, "why": why} for (text,) in found if (why := validate(text)) is not None]
    if wrong:
        connection.execute(_WRONG, {"wrong": json.dumps(wrong)})
    ((garbled,),) = connection.execute(
        "SELECT count(*) FROM _collected_rows WHERE outcome IS NULL AND line IS NULL"
    ).fetchall()
    return int(garbled)


def take_others(connection: DuckDBPyConnection, most: int) -> Generator[list[tuple[int, bytes]]]:
    """The rows that are not plain, by their place, so many at a time; afterwards they are no longer there."""
    after = 0
    while found := connection.execute(_OTHERS, {"after": after, "most": most}).fetchall():
        after = found[-1][0]
        yield [(place, line.encode()) for place, line in found]
    connection.execute("DELETE FROM _collected_rows WHERE outcome IS NULL")


def _has_no_long_line(file: Path) -> bool:
    size, start = file.stat().st_size, 0
    if size <= LONGEST:
        return True
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
        while start + LONGEST < size:
            start = content.rfind(b"\n", start, start + LONGEST) + 1
            if start == 0:
                return False
    return True
