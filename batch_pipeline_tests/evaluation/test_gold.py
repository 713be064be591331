from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from batch_pipeline.errors import InvalidSelection, UnreadableFile
from batch_pipeline.evaluation.gold import GoldFile, read_gold
from batch_pipeline.settings import project_root
from batch_pipeline.tasks.registry import load_tasks

KIND = load_tasks().get("issue_kind")
SAMPLES = project_root() / "data" / "issues" / "gold.csv"
NLBSE = project_root().parent / "shared" / "data" / "nlbse2024_issues_train.csv"


def read(path: Path, text: str) -> GoldFile:
    path.write_text(text, encoding="utf-8")
    return read_gold(path, KIND)


def labels(gold: GoldFile) -> dict[str, str]:
    return {row.record_id: row.labels["label"][0] for row in gold.rows}


def problems(gold: GoldFile) -> list[tuple[int | None, str]]:
    return [(problem.line, problem.message) for problem in gold.problems]


def test_the_gold_labels_of_the_samples_are_read() -> None:
    gold = read_gold(SAMPLES, KIND)
    assert (len(gold.rows), gold.problems, gold.source) == (30, [], "gold.csv")
    assert labels(gold)["lumenquarry/tessaplot#884"] == "question"


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json", "a.parquet"])
def test_every_kind_of_file_says_the_same(tmp_path: Path, name: str) -> None:
    path, rows = tmp_path / name, [{"record_id": "x#1", "label": "bug"}, {"record_id": "x#2", "label": "question"}]
    if name.endswith("csv"):
        path.write_text("record_id,label\nx#1,bug\nx#2,question\n")
    elif name.endswith("jsonl"):
        path.write_text("\n".join(map(json.dumps, rows)))
    elif name.endswith("json"):
        path.write_text(json.dumps(rows))
    else:
        duckdb.sql("SELECT * FROM (VALUES ('x#1', 'bug'), ('x#2', 'question')) AS t(record_id, label)").write_parquet(
            str(path)
        )
    assert labels(read_gold(path, KIND)) == {"x#1": "bug", "x#2": "question"}


@pytest.mark.parametrize(
    ("head", "row"),
    [
        ("repo,number", "acme/orbit,7"),
        ("repo,number,title", "acme/orbit,7,It breaks"),
        ("html_url", "https://github.com/acme/orbit/issues/7"),
        ("record_id,repo,number", "acme/orbit#7,other/name,9"),
    ],
)
def test_a_record_is_named_as_issues_load_would_name_it(tmp_path: Path, head: str, row: str) -> None:
    assert labels(read(tmp_path / "a.csv", f"{head},label\n{row},bug\n")) == {"acme/orbit#7": "bug"}


@pytest.mark.skipif(not NLBSE.exists(), reason=f"needs {NLBSE.name} in ../shared/data beside the checkout")
def test_fifteen_hundred_real_issues_are_named_by_their_place_in_the_file() -> None:
    found = labels(read_gold(NLBSE, KIND))
    assert len(found) == 1500
    assert sorted(set(found.values())) == ["bug", "feature", "question"]
    assert (found["facebook/react#1"], found["facebook/react#101"]) == ("bug", "feature")


def test_rows_that_can_not_be_taken_are_named_and_the_others_are_taken(tmp_path: Path) -> None:
    text = "record_id,label\nx#1,bug\nx#2,Bug\n,bug\nx#4,\nx#1,question\nx#5,feature\n"
    gold = read(tmp_path / "a.csv", text)
    assert labels(gold) == {"x#1": "bug", "x#5": "feature"}
    assert problems(gold) == [
        (None, "row 2: `label` of x#2: `Bug` is none of bug, feature, question"),
        (None, "row 3: no record: it needs `record_id`, or `repo` and `number`"),
        (None, "row 5: `x#1` has another gold answer further up; that one is taken"),
    ]


def test_what_is_no_gold_file_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"There is no file .*nope.csv"):
        read_gold(tmp_path / "nope.csv", KIND)
    with pytest.raises(UnreadableFile, match=r"no gold answer that can be read: .*a.json:1: not JSON"):
        read(tmp_path / "a.json", "oops")
    with pytest.raises(InvalidSelection, match="have no column that is a field of `issue_kind`"):
        read(tmp_path / "b.csv", "record_id,kind\nx#1,bug\n")
    with pytest.raises(InvalidSelection, match=r"no gold answer for `label`: row 1: .* is none of"):
        read(tmp_path / "c.csv", "record_id,label\nx#1,Bug\n")
