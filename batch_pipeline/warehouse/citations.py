"""`document_citations`: what answers quote from documents, each quote looked for on the page that it names.

For every task with citations whose records are documents: the record's id is that of a row of `documents`, or that and
a `#` with something after it, where one document is asked several things.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from batch_pipeline.warehouse.names import quoted, text_literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

CITATIONS = "STRUCT(page BIGINT, quote VARCHAR)[]"
"""The type of the column `citations` of a task that asks for them."""


def make_citations_view(connection: DuckDBPyConnection) -> None:
    """Makes the view `document_citations` anew, over all tasks with citations that have a table.

    Columns: `task, record_id, variant`, and `position` of the citation from 1; `document`, the id in `documents`;
    `page` and `quote` as the answer has them; `verified`: whether the page's text has the quote, NULL where that can't
    be told; `found_on_page`: the page that has it, its own before others; `finding`, the same in words.

    Two texts are the same whatever their case, their white space and line ends, their quotation marks and dashes,
    hyphens within words, soft ones among them, and ligatures. The pages are those of the document as it is loaded now.
    """
    tasks = [str(task) for (task,) in connection.execute(_CITING).fetchall()]
    if tasks:
        cited = "\nUNION ALL BY NAME\n".join(_cited(task) for task in tasks)
        connection.execute(_VIEW.format(cited=cited, quote=plain("quote"), page=plain("text")))


def plain(text: str) -> str:
    """SQL of what is compared of the SQL `text`: letters, digits and most signs, and nothing of how they are set."""
    sql = f"lower(nfc_normalize({text}))"
    for sign, letters in _LIGATURES.items():
        sql = f"replace({sql}, '{sign}', '{letters}')"
    sql = f"regexp_replace({sql}, '{_UNSEEN}', '', 'g')"
    sql = f"regexp_replace({sql}, '[\\p{{Pd}}−]', '-', 'g')"  # noqa: RUF001 - a minus is what is meant
    for _ in range(2):  # a match takes the letter that the next would begin with
        sql = f"regexp_replace({sql}, '(\\pL)-+(\\pL)', '\\1\\2', 'g')"
    return sql


def _cited(task: str) -> str:
    return f"""
        SELECT {text_literal(task)} AS task, record_id, variant, unnest(citations) AS citation,
            generate_subscripts(citations, 1)::INTEGER AS position
        FROM {quoted(task + "_latest")}
    """  # noqa: S608 - names are quoted


_LIGATURES = {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st", "…": "..."}

_UNSEEN = "[\\s\\p{Z}\\p{C}\\p{Pi}\\p{Pf}„‚′″\"''`´]+"  # noqa: RUF001 - the marks themselves
"""White space, control signs, and quotation marks of every kind."""

_CITING = f"""
SELECT columns.table_name
FROM duckdb_columns() AS columns
JOIN duckdb_views() AS views ON views.view_name = columns.table_name || '_latest'
WHERE columns.column_name = 'citations' AND columns.data_type = typeof(NULL::{CITATIONS})
ORDER BY columns.table_name
"""  # noqa: S608 - a constant

_VIEW = """
CREATE OR REPLACE VIEW document_citations AS
WITH cited AS ({cited}),
quotes AS MATERIALIZED (  -- read twice, and numbered once
    SELECT
        row_number() OVER () AS id,
        cited.* EXCLUDE (citation),
        citation.page AS page,
        citation.quote AS quote,
        coalesce(named.record_id, about.record_id) AS document,
        coalesce(named.sha256, about.sha256) AS sha256
    FROM cited
    LEFT JOIN documents AS named USING (record_id)
    LEFT JOIN documents AS about
        ON named.record_id IS NULL AND about.record_id = regexp_replace(cited.record_id, '#[^#]*$', '')
),
plain_quotes AS (
    SELECT *, {quote} AS plain
    FROM quotes
),
plain_pages AS (
    SELECT sha256, page, {page} AS plain
    FROM document_pages
    SEMI JOIN quotes USING (sha256)
),
looked_for AS (
    SELECT
        quotes.id,
        coalesce(bool_or(pages.plain <> ''), false) AS has_text,
        CASE WHEN any_value(quotes.plain) <> '' THEN
            arg_min(pages.page, (pages.page <> quotes.page, pages.page)) FILTER (contains(pages.plain, quotes.plain))
        END AS found_on_page
    FROM plain_quotes AS quotes
    LEFT JOIN plain_pages AS pages USING (sha256)
    GROUP BY quotes.id
)
SELECT
    task,
    record_id,
    variant,
    position,
    document,
    page,
    quote,
    CASE WHEN has_text THEN coalesce(found_on_page = page, false) END AS verified,
    found_on_page,
    CASE
        WHEN document IS NULL THEN 'its document is not loaded'
        WHEN NOT has_text THEN 'the document has no text'
        WHEN found_on_page = page THEN 'on its page'
        WHEN found_on_page IS NOT NULL THEN 'on another page'
        ELSE 'not in the document'
    END AS finding
FROM quotes
JOIN looked_for USING (id)
"""
