"""The page: whole in itself, of whatever there is, and with nothing in it that a browser would obey."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from sqlalchemy import update
from typing_extensions import override

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.ledger.tables import jobs
from batch_pipeline.reports.page import report_page
from batch_pipeline.reports.words import in_time, in_usd

VOID = {"meta", "path", "use", "rect"}


class Page(HTMLParser):
    """Elements that are open, and the texts and tags that were seen."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self.feed(html)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)

    @override
    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    @override
    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_page_of_what_was_done_has_all_of_it(paid: Pipeline) -> None:
    html = report_page(paid)
    page = Page(html)
    assert page.open == []
    for wanted in ("issue_kind", "product_labeling", "gpt-6-luna", "invalid_prompt", "lumenquarry/tessaplot"):
        assert wanted in page.text
    assert "43" in page.text
    assert html.count("<svg") == 3
    assert "prefers-color-scheme: dark" in html


def test_it_needs_nothing_beside_itself(paid: Pipeline) -> None:
    html = report_page(paid)
    assert not Page(html).tags & {"script", "link", "img", "iframe"}
    assert not re.search(r"""(src|href)\s*=\s*["'](?!#)""", html)
    assert not re.search(r"url\((?!#)|@import", html)


def test_a_page_of_nothing_says_so(pipeline: Pipeline) -> None:
    page = Page(report_page(pipeline))
    assert page.open == []
    assert "Nothing is in flight." in page.text
    assert "there are no jobs yet" in page.text
    assert "$0.00" in page.text


def test_names_are_text_and_no_html(paid: Pipeline) -> None:
    with paid.ledger.begin() as db:
        db.execute(update(jobs).values(partition_key="<script>alert(1)</script>"))
    html = report_page(paid)
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


@pytest.mark.parametrize(
    ("amount", "told"),
    [(0.0, "$0.00"), (1234.5, "$1,234.50"), (0.1, "$0.10"), (0.012, "$0.012"), (0.000_025_4, "$0.000025")],
)
def test_money_has_two_digits_at_least(amount: float, told: str) -> None:
    assert in_usd(amount) == told


@pytest.mark.parametrize(("seconds", "told"), [(0.2, "0 s"), (119, "119 s"), (180, "3 min"), (9000, "2.5 h")])
def test_time_has_the_unit_that_is_read_best(seconds: float, told: str) -> None:
    assert in_time(seconds) == told
