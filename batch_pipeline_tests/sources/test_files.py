from __future__ import annotations

import gzip
import json
import time
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from batch_pipeline.errors import InvalidSelection
from batch_pipeline.settings import project_root
from batch_pipeline.sources.files import Loaded, load_issues
from batch_pipeline.warehouse.connection import Warehouse

NIGHT = date(2026, 11, 20)
GOOD: dict[str, object] = {"repo": "acme/orbit", "number": 1, "title": "It breaks", "body": "Look"}
NLBSE = project_root().parent / "shared" / "data" / "nlbse2024_issues_train.csv"


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "var" / "warehouse.duckdb")


def load(warehouse: Warehouse, *patterns: Path, repo: str | None = None) -> Loaded:
    return load_issues(warehouse, [str(pattern) for pattern in patterns], NIGHT, repo=repo)


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text(text, encoding="utf-8")
    return path


def issues(warehouse: Warehouse, columns: str) -> list[tuple[Any, ...]]:
    with warehouse.read() as connection:
        return connection.table("issues").order("record_id").select(columns).fetchall()


def problems(loaded: Loaded) -> list[tuple[str, int | None, str]]:
    return [(Path(one.file).name, one.line, one.message) for one in loaded.problems]


@pytest.mark.skipif(not NLBSE.exists(), reason=f"needs {NLBSE.name} in ../shared/data beside the checkout")
def test_fifteen_hundred_real_issues_are_loaded_at_once_and_only_once(warehouse: Warehouse) -> None:
    begin = time.monotonic()
    loaded = load(warehouse, NLBSE)
    assert time.monotonic() - begin < 10  # 0.5 s, and 2 s more where this is the first use of pandas
    assert (loaded.added, loaded.problems) == (1500, ())
    assert set(loaded.repos.values()) == {300}
    assert len(loaded.repos) == 5
    assert load(warehouse, NLBSE).unchanged == 1500
    rows = issues(warehouse, "length(body), content_hash, extra ->> '$.label'")
    assert max(length for length, _, _ in rows) == 207_777
    assert len({content_hash for _, content_hash, _ in rows}) == 1499
    assert {label for _, _, label in rows} == {"bug", "feature", "question"}


def test_the_texts_of_real_issues_come_through_to_the_letter(warehouse: Warehouse) -> None:
    if not NLBSE.exists():
        pytest.skip(f"needs {NLBSE.name} in ../shared/data beside the checkout")
    import csv

    csv.field_size_limit(1 << 20)
    with NLBSE.open(encoding="utf-8", newline="") as file:
        expected = {f"{row['repo']}#{i}": (row["title"], row["body"]) for i, row in enumerate(csv.DictReader(file), 1)}
    load(warehouse, NLBSE)
    assert {record: (title, body) for record, title, body in issues(warehouse, "record_id, title, body")} == expected


def test_an_issue_of_githubs_api_fills_every_column_and_loses_nothing(warehouse: Warehouse, tmp_path: Path) -> None:
    labels = [{"id": 7, "name": "bug", "color": "d73a4a"}, {"id": 8, "name": "good first issue"}]
    write(
        tmp_path / "1.json",
        {
            "id": 99,
            "number": 12,
            "title": "Größe ≠ 大きさ 🚀",
            "body": 'a "quoted"\r\n\ttext \\ with \u0001 everything',
            "state": "closed",
            "repository_url": "https://ghe.example/api/v3/repos/acme/orbit",
            "html_url": "https://ghe.example/acme/orbit/issues/12",
            "user": {"login": "ada", "id": 1},
            "labels": labels,
            "comments": 3,
            "reactions": {"total_count": 5, "+1": 5},
            "created_at": "2026-10-01T12:00:00Z",
            "updated_at": "2026-10-02T12:00:00+02:00",
            "closed_at": "2026-10-02T10:00:00Z",
            "milestone": None,
            "locked": False,
        },
    )
    assert load(warehouse, tmp_path / "1.json").added == 1
    [row] = issues(
        warehouse,
        "record_id, org, name, number, state, title, body, labels, author, comment_count, reactions, url,"
        "epoch(created_at), epoch(updated_at), night",
    )
    assert row == (
        "acme/orbit#12", "acme", "orbit", 12, "closed", "Größe ≠ 大きさ 🚀",
        'a "quoted"\r\n\ttext \\ with \u0001 everything', ["bug", "good first issue"], "ada", 3, 5,
        "https://ghe.example/acme/orbit/issues/12", 1_790_856_000, 1_790_935_200, NIGHT,
    )  # fmt: skip
    [(extra,)] = issues(warehouse, "extra")
    assert json.loads(extra) == {
        "id": 99,
        "user": {"login": "ada", "id": 1},
        "labels": labels,
        "reactions": {"total_count": 5, "+1": 5},
        "milestone": None,
        "locked": False,
    }


@pytest.mark.parametrize(
    "naming",
    [
        {"repository": {"full_name": "acme/orbit", "private": False}},
        {"repository": "acme/orbit"},
        {"repo": "acme/orbit"},
        {"repo": "https://github.com/acme/orbit"},
        {"repository_url": "https://api.github.com/repos/acme/orbit"},
        {"html_url": "https://github.com/acme/orbit/issues/4"},
        {"url": "https://api.github.com/repos/acme/orbit/issues/4"},
    ],
)
def test_a_repository_is_found_wherever_it_is_named(
    warehouse: Warehouse, tmp_path: Path, naming: dict[str, object]
) -> None:
    load(warehouse, write(tmp_path / "a.json", {"title": "T", "number": 4} | naming))
    assert issues(warehouse, "record_id") == [("acme/orbit#4",)]


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ([{"name": "bug"}, {"name": "ui"}], ["bug", "ui"]),
        (["bug", "ui"], ["bug", "ui"]),
        ("bug, ui", ["bug", "ui"]),
        ('["bug", "ui"]', ["bug", "ui"]),
        ("", []),
        ([], []),
        (None, None),
    ],
)
def test_labels_come_in_four_ways(
    warehouse: Warehouse, tmp_path: Path, labels: object, names: list[str] | None
) -> None:
    load(warehouse, write(tmp_path / "a.json", GOOD | {"labels": labels}))
    assert issues(warehouse, "labels") == [(names,)]


def test_every_kind_of_file_gives_the_same_issue(warehouse: Warehouse, tmp_path: Path) -> None:
    two = [GOOD, GOOD | {"number": 2, "title": "It breaks, again"}]
    lines = "".join(json.dumps(row) + "\n" for row in two)
    write(tmp_path / "list.json", two)
    write(tmp_path / "search.json", {"total_count": 2, "items": two})
    write(tmp_path / "lines.jsonl", lines)
    write(tmp_path / "lines-by-another-name.json", lines)
    write(tmp_path / "bom.json", "\ufeff" + json.dumps(two))
    write(
        tmp_path / "table.csv",
        'Repo,Number,Title,body\nacme/orbit,1,It breaks,Look\nacme/orbit,2,"It breaks, again",Look\n',
    )
    write(tmp_path / "table.tsv", "repo\tnumber\ttitle\tbody\nacme/orbit\t1\tIt breaks\tLook\n")
    (tmp_path / "packed.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    with duckdb.connect() as connection:
        relation = connection.sql("SELECT 'acme/orbit' AS repo, 1.0 AS number, 'It breaks' AS title, 'Look' AS body")
        relation.write_parquet(str(tmp_path / "table.parquet"))
    loads = {path.name: load(warehouse, path) for path in sorted(tmp_path.glob("*.*"))}
    assert all(not loaded.problems for loaded in loads.values()), loads
    assert [loaded.added for loaded in loads.values()] == [2, 0, 0, 0, 0, 0, 0, 0, 0]
    assert issues(warehouse, "record_id, body") == [("acme/orbit#1", "Look"), ("acme/orbit#2", "Look")]


def test_a_bad_file_among_good_ones_is_named_with_its_line(warehouse: Warehouse, tmp_path: Path) -> None:
    write(tmp_path / "1.json", GOOD)
    write(tmp_path / "2.json", '{"title": "T",\n "body": oops}')
    (tmp_path / "3.json").write_bytes(b'{"title":\n"\xff\xfe"}')
    write(tmp_path / "4.json", "")
    write(tmp_path / "5.jsonl", '\n{"title": "T", "repo": "acme/orbit"}\nnot json\n')
    (tmp_path / "6.parquet").write_bytes(b"PAR1 or so")
    write(tmp_path / "7.csv", "repo,title\nacme/orbit,T\nacme/orbit\nacme/orbit,a,b,c\n")
    write(tmp_path / "8.xlsx", "PK")
    write(tmp_path / "9.json", '{"title": "half \\ud83d a smile"}')
    loaded = load(warehouse, tmp_path / "*.*")
    assert (loaded.added, loaded.files) == (2, 9)
    found = problems(loaded)
    assert found[:5] == [
        ("2.json", 2, "not JSON: expecting value"),
        ("3.json", 2, "not JSON: not text in UTF-8"),
        ("4.json", 1, "not JSON: expecting value"),
        ("5.jsonl", 3, "not JSON"),
        ("6.parquet", None, found[4][2]),
    ]
    assert found[4][2].startswith("can't be read: ")
    assert [(name, line) for name, line, _ in found[5:]] == [
        ("7.csv", 3), ("7.csv", 4), ("7.csv", None), ("8.xlsx", None), ("9.json", None),
    ]  # fmt: skip
    assert "another row is acme/orbit#" not in str(loaded.problems[0])
    assert str(loaded.problems[0]).endswith("2.json:2: not JSON: expecting value")


def test_rows_that_are_no_issues_are_named_and_the_rest_is_loaded(warehouse: Warehouse, tmp_path: Path) -> None:
    rows: list[object] = [
        GOOD,
        {"repo": "acme/orbit", "body": "no title"},
        {"title": "no repository"},
        GOOD | {"repo": "acme|orbit/x"},
        GOOD | {"repo": "acme/or...bit"},
        GOOD | {"number": "twelve"},
        "a text",
        GOOD | {"number": 3, "pull_request": {"url": "x"}},
        GOOD | {"number": 8},
    ]
    loaded = load(warehouse, write(tmp_path / "a.json", rows))
    assert (loaded.added, loaded.pull_requests, loaded.repos) == (2, 1, {"acme/orbit": 2})
    assert [message for _, _, message in problems(loaded)] == [
        "item 2: no `title`; it has repo",
        "item 3: no repository; add a column `repo` (owner/name), or give one for all with --repo",
        "item 4: `acme|orbit/x` is no repository's name (owner/name)",
        "item 5: `acme/or...bit` is no repository's name (owner/name)",
        "item 6: `number` is `twelve`, not a whole number above 0",
        "item 7: not an issue, but varchar",
    ]


def test_one_repository_can_be_given_for_all(warehouse: Warehouse, tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "title,body\nOne,x\nTwo,y\n")
    assert load(warehouse, path, repo="acme/orbit").added == 2
    assert issues(warehouse, "record_id, title") == [("acme/orbit#1", "One"), ("acme/orbit#2", "Two")]
    with pytest.raises(InvalidSelection, match="`acme` is no repository's name"):
        load(warehouse, path, repo="acme")


def test_two_files_without_numbers_do_not_become_each_other(warehouse: Warehouse, tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "repo,title\nacme/orbit,One\n")
    write(tmp_path / "b.csv", "repo,title\nacme/orbit,Other\nacme/orbit,Second\n")
    loaded = load(warehouse, tmp_path / "*.csv")
    assert issues(warehouse, "record_id, title") == [("acme/orbit#1", "One"), ("acme/orbit#2", "Second")]
    assert problems(loaded) == [
        ("b.csv", None, "row 1: no `number`, and its position is taken: another row is acme/orbit#1")
    ]


@pytest.mark.parametrize("pattern", ["nothing-here.json", "*.nothing", "no/such/**/*.json"])
def test_a_pattern_without_files_is_refused_before_anything_is_loaded(
    warehouse: Warehouse, tmp_path: Path, pattern: str
) -> None:
    good = write(tmp_path / "a.json", GOOD)
    with pytest.raises(InvalidSelection, match=r"No file matches `.*`; nothing was loaded\."):
        load(warehouse, good, tmp_path / pattern)
    assert not warehouse.path.exists()


def test_globs_go_through_folders_and_names_may_have_brackets(warehouse: Warehouse, tmp_path: Path) -> None:
    write(tmp_path / "in" / "a[1].json", GOOD)
    write(tmp_path / "in" / "deeper" / "b.json", GOOD | {"number": 2})
    write(tmp_path / "in" / "c[1].csv", "repo,number,title\nacme/orbit,3,T\n")
    assert load(warehouse, tmp_path / "in" / "**" / "*.json").added == 2
    assert load(warehouse, tmp_path / "in").added == 1
    assert load(warehouse, tmp_path / "in" / "c[1].csv").unchanged == 1


def test_what_a_column_cannot_hold_stays_in_extra(warehouse: Warehouse, tmp_path: Path) -> None:
    load(warehouse, write(tmp_path / "a.json", GOOD | {"created_at": "last Tuesday", "comments": "many"}))
    [(extra, created)] = issues(warehouse, "extra, created_at")
    assert (json.loads(extra), created) == ({"created_at": "last Tuesday", "comments": "many"}, None)


def test_a_time_without_a_zone_is_utc(warehouse: Warehouse, tmp_path: Path) -> None:
    load(warehouse, write(tmp_path / "a.csv", "repo,title,created_at\nacme/orbit,T,2023-08-26 06:33:37\n"))
    assert issues(warehouse, "timezone('UTC', created_at)::VARCHAR") == [("2023-08-26 06:33:37",)]
