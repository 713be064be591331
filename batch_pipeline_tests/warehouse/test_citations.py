from __future__ import annotations

import json
from collections.abc import Mapping

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_pipeline.warehouse.answers import make_table
from batch_pipeline.warehouse.citations import CITATIONS, plain
from batch_pipeline.warehouse.connection import Warehouse

PAGES = (
    "The tenant pays 900 euros.\nThe dog may stay.",
    "Notice is given three months be-\nfore the end: a well-\nknown rule, “in writing”.\nNothing else binds.",
    "Of\ufb01ce hours are 9\u201317.\nThe dog may stay.",
)


@pytest.fixture
def warehouse(warehouse: Warehouse) -> Warehouse:
    with warehouse.write() as connection:
        connection.execute("INSERT INTO documents (record_id, sha256) VALUES ('lease.pdf', 'a'), ('scan.pdf', 'b')")
        for page, text in enumerate(PAGES, 1):
            connection.execute("INSERT INTO document_pages VALUES ('a', ?, ?)", [page, text])
        connection.execute("INSERT INTO document_pages VALUES ('b', 1, '  ')")
    return warehouse


def answer(warehouse: Warehouse, task: str, citations: Mapping[str, list[tuple[int, str]]]) -> None:
    with warehouse.write() as connection:
        make_table(connection, task, {"answer": "VARCHAR", "citations": CITATIONS})
        for record_id, quotes in citations.items():
            told = json.dumps([{"page": page, "quote": quote} for page, quote in quotes])
            connection.execute(
                f"INSERT INTO {task} (record_id, citations) SELECT ?, json_transform(?, ?)",
                [record_id, told, json.dumps([{"page": "BIGINT", "quote": "VARCHAR"}])],
            )


def findings(warehouse: Warehouse, what: str = "verified, found_on_page, finding") -> list[tuple[object, ...]]:
    with warehouse.read() as connection:
        sql = f"SELECT {what} FROM document_citations ORDER BY task, record_id, position"
        return connection.execute(sql).fetchall()


def test_nothing_is_cited_before_there_is_an_answer(warehouse: Warehouse) -> None:
    assert findings(warehouse) == []


def test_a_task_without_citations_is_not_looked_at(warehouse: Warehouse) -> None:
    with warehouse.write() as connection:
        make_table(connection, "mood", {"label": "VARCHAR"})
        make_table(connection, "sources", {"citations": "VARCHAR[]"})
    assert findings(warehouse) == []


def test_a_quote_is_found_on_its_page_however_it_is_set(warehouse: Warehouse) -> None:
    quotes = [
        (1, "The tenant pays 900 euros."),
        (1, "the TENANT  pays\n900 euros"),
        (2, "three months before the end"),
        (2, "a well-known rule"),
        (2, "rule, 'in writing'"),
        (3, "Office hours are 9-17."),
        (3, "Of\u00adfice hours"),
    ]
    answer(warehouse, "document_questions", {"lease.pdf": quotes})
    assert findings(warehouse) == [(True, page, "on its page") for page, _ in quotes]


def test_a_quote_that_is_elsewhere_says_where(warehouse: Warehouse) -> None:
    looked_for: list[tuple[int, str, int | None, str]] = [
        (2, "The tenant pays 900 euros.", 1, "on another page"),
        (3, "The dog may stay", 3, "on its page"),
        (2, "The dog may stay", 1, "on another page"),
        (9, "Office hours", 3, "on another page"),
        (1, "The tenant pays 90.0 euros.", None, "not in the document"),
        (1, "The tenant pays -900 euros.", None, "not in the document"),
        (1, " “” ", None, "not in the document"),
    ]
    answer(warehouse, "document_questions", {"lease.pdf": [(page, quote) for page, quote, _, _ in looked_for]})
    assert findings(warehouse) == [(finding == "on its page", found, finding) for _, _, found, finding in looked_for]


def test_what_can_not_be_checked_is_neither_true_nor_false(warehouse: Warehouse) -> None:
    answer(warehouse, "document_questions", {"scan.pdf": [(1, "words")], "gone.pdf": [(1, "words")]})
    told = findings(warehouse, "record_id, document, verified, found_on_page, finding")
    assert told == [
        ("gone.pdf", None, None, None, "its document is not loaded"),
        ("scan.pdf", "scan.pdf", None, None, "the document has no text"),
    ]


def test_a_document_may_be_asked_several_things_by_several_tasks(warehouse: Warehouse) -> None:
    answer(warehouse, "document_questions", {"lease.pdf#rent": [(1, "900 euros"), (2, "in writing")], "lease.pdf": []})
    answer(warehouse, "contract_terms", {"lease.pdf#2": [(3, "the cat")]})
    told = findings(warehouse, "task, record_id, position, document, page, verified")
    assert told == [
        ("contract_terms", "lease.pdf#2", 1, "lease.pdf", 3, False),
        ("document_questions", "lease.pdf#rent", 1, "lease.pdf", 1, True),
        ("document_questions", "lease.pdf#rent", 2, "lease.pdf", 2, True),
    ]


CONNECTION = duckdb.connect()


@given(
    st.lists(st.text(alphabet="abcdefgé-1", min_size=1, max_size=8), min_size=1, max_size=8),
    st.lists(st.sampled_from([" ", "\n", "  ", " \u00a0", "\u2009"]), min_size=8, max_size=8),
    st.data(),
)
def test_setting_a_text_anew_changes_nothing(words: list[str], gaps: list[str], data: st.DataObject) -> None:
    text = " ".join(words)
    set_anew = "".join(word.upper() + gap for word, gap in zip(words, gaps, strict=False))
    place = data.draw(st.integers(1, len(set_anew) - 1)) if len(set_anew) > 1 else 0
    if place > 0 and set_anew[place - 1 : place + 1].isalpha():  # within a word
        set_anew = f"{set_anew[:place]}-\n{set_anew[place:]}"
    row = CONNECTION.execute(f"SELECT {plain('$a')}, {plain('$b')}", {"a": text, "b": set_anew}).fetchone()
    assert row is not None
    assert row[0] == row[1]
