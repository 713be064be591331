from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from batch_pipeline.local_server import LocalServerOptions, RunningServer, start
from batch_pipeline.settings import project_root
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.cli.conftest import Command
from batch_pipeline_tests.command import environment, started

GOLD = project_root() / "data" / "issues" / "gold.csv"


@pytest.fixture
def loaded(command: Command) -> Command:
    """The command, with the sample issues loaded."""
    assert command("issues", "load", project_root() / "data" / "issues" / "*.json").code == 0
    return command


def test_an_evaluation_from_the_issues_to_two_models_side_by_side(loaded: Command, books: Books) -> None:
    ran = loaded("eval", "run", "issue-kind", "--gold", GOLD, "--limit", "12", "--poll-seconds", "0.1")
    assert (ran.code, ran.err) == (0, "")
    assert "12 of 30 gold rows of gold.csv, 0 answered before." in ran.out
    assert "Completed: 12/12 (done)" in ran.out
    for told in ("Rows      12, 12 answered", "(Wilson)", "(bootstrap)", "Precision", "Gold, answered as"):
        assert told in ran.out
    again = ("eval", "run", "issue-kind", "--gold", GOLD, "--limit", "12", "--poll-seconds", "0.1")
    other = loaded(*again, "--model", "other")
    assert "All that were scored on these rows:" in other.out
    assert "Next: batch-pipeline eval compare issue_kind --model " in other.out
    told = loaded(*again, "--json").json
    assert (told["job_id"], told["rows"], told["answered_before"], told["unmatched"]) == (None, 12, 12, [])
    (score,) = told["scores"]
    right = sum(row["gold"] == row["answer"] for row in told["answers"])
    assert (score["rows"], score["accuracy"]) == (12, right / 12)
    assert books.lines_executed == 24
    compared = loaded("eval", "compare", "issue-kind", "--model", "smollm2-135m", "--model", "other")
    assert "issue_kind, field label, 12 rows that both were asked about." in compared.out
    assert "McNemar's exact p = " in compared.out
    as_json = loaded("eval", "compare", "issue-kind", "--model", "smollm2-135m", "--model", "other", "--json").json
    assert as_json["a"]["scores"]["accuracy"] == score["accuracy"]
    assert len(loaded("eval", "scores", "issue-kind", "--json").json) == 3
    assert "smollm2-135m" in loaded("eval", "scores").out


def test_gold_rows_that_match_no_record_are_told_and_the_others_scored(loaded: Command, tmp_path: Path) -> None:
    gold = tmp_path / "gold.csv"
    gold.write_text("record_id,label\nlumenquarry/tessaplot#873,bug\nnobody/nothing#1,bug\nnobody/nothing#2,bug\n")
    ran = loaded("eval", "run", "issue-kind", "--gold", gold, "--poll-seconds", "0.1")
    assert (ran.code, "Rows      1, 1 answered" in ran.out) == (0, True)
    assert ran.sentence == (
        "Error: 2 of 3 gold rows match no record of `issue_kind` and are left out, such as `nobody/nothing#1`, "
        "`nobody/nothing#2`; load those records, or correct `record_id`."
    )


def test_a_gold_file_of_which_no_row_matches_changes_nothing(loaded: Command, books: Books, tmp_path: Path) -> None:
    gold = tmp_path / "gold.csv"
    gold.write_text("record_id,label\nnobody/nothing#1,bug\n")
    ran = loaded("eval", "run", "issue-kind", "--gold", gold)
    assert (ran.code, books.batches) == (2, [])
    assert "None of the 1 gold rows of gold.csv matches a record of `issue_kind`, such as `nobody" in ran.sentence


def test_rows_that_are_no_gold_answer_are_told_in_one_sentence(loaded: Command, tmp_path: Path) -> None:
    gold = tmp_path / "gold.csv"
    gold.write_text("record_id,label\nlumenquarry/tessaplot#873,bug\nlumenquarry/tessaplot#880,Feature\n")
    ran = loaded("eval", "run", "issue-kind", "--gold", gold, "--poll-seconds", "0.1")
    assert ran.code == 0
    assert "row 2: `label` of lumenquarry/tessaplot#880: `Feature` is none of bug, feature, question" in ran.sentence


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "issue-kind", "--gold", "nope.csv"), "There is no file nope.csv."),
        (("run", "issue-kind", "--gold", GOLD, "--field", "mood"), "has no field `mood` that can be scored"),
        (("run", "product-labeling", "--gold", GOLD), "no column that is a field of `product_labeling`"),
        (("run", "nope", "--gold", GOLD), "There is no task `nope`"),
        (("compare", "issue-kind"), "Say what is compared"),
        (("compare", "issue-kind", "--model", "a", "--model", "b"), "`issue_kind` was not evaluated yet"),
        (("compare", "issue-kind", "--model", "a", "--model", "b", "--model", "c"), "once for both sides, or twice"),
    ],
)
def test_what_can_not_be_evaluated_is_told_in_a_sentence(
    offline: Command, arguments: tuple[object, ...], said: str
) -> None:
    ran = offline("eval", *arguments)
    assert ran.code in (1, 2)
    assert said in " ".join(ran.err.split())
    assert "Traceback" not in ran.err


def test_a_dry_run_says_what_it_would_come_to(loaded: Command, books: Books) -> None:
    ran = loaded("eval", "run", "issue-kind", "--gold", GOLD, "--dry-run")
    assert "To ask     30 requests" in ran.out
    told = loaded("eval", "run", "issue-kind", "--gold", GOLD, "--dry-run", "--json").json
    assert (told["dry_run"], told["requests"], told["rows"]) == (True, 30, 30)
    assert (books.batches, loaded("eval", "scores", "--json").json) == ([], [])


def test_without_waiting_it_says_how_to_come_back(loaded: Command, books: Books) -> None:
    books.order({"kind": "slow", "stage": "finalizing", "seconds": 1})
    ran = loaded("eval", "run", "issue-kind", "--gold", GOLD, "--limit", "3", "--no-wait")
    assert f"Next: batch-pipeline eval run issue_kind --gold {GOLD} --limit 3\n" in ran.out
    back = loaded("eval", "run", "issue-kind", "--gold", GOLD, "--limit", "3", "--poll-seconds", "0.1")
    assert "Rows      3, 3 answered" in back.out
    assert len(books.batches) == 1


def test_ctrl_c_leaves_the_work_running_and_says_how_to_come_back(
    loaded: Command, server: RunningServer, books: Books, tmp_path: Path
) -> None:
    books.order({"kind": "slow", "stage": "in_progress", "seconds": 30})
    there = environment(tmp_path / "data", BATCH_PIPELINE_LOCAL_URL=server.url)
    with started(there, "eval", "run", "issue-kind", "--gold", GOLD, "--limit", "3") as waiting:
        assert waiting.stdout is not None
        while b"in flight" not in waiting.stdout.readline():
            pass
        os.kill(waiting.pid, signal.SIGINT)
        _, err = waiting.communicate(timeout=20)
    assert waiting.returncode == 130
    assert f"Come back for the scores with: batch-pipeline eval run issue_kind --gold {GOLD} --limit 3".encode() in err
    assert [job["task"] for job in json.loads(loaded("list", "--json").out)] == ["issue_kind"]


def test_without_a_server_the_job_is_kept_and_goes_on_when_there_is_one(
    offline: Command, settings: Callable[..., None], tmp_path: Path
) -> None:
    with start(LocalServerOptions(port=0, state_dir=tmp_path / "server")) as gone:
        settings(local_url=gone.url)
    offline("issues", "load", project_root() / "data" / "issues" / "*.json")
    again = ("eval", "run", "issue-kind", "--gold", GOLD, "--limit", "2", "--poll-seconds", "0.1")
    ran = offline(*again)
    assert (ran.code, "The local server is not running" in ran.sentence) == (1, True)
    assert f"is kept. Next: batch-pipeline eval run issue_kind --gold {GOLD} --limit 2\n" in ran.out
    port = int(gone.url.rpartition(":")[2].removesuffix("/v1"))
    with start(LocalServerOptions(port=port, state_dir=tmp_path / "server")):
        back = offline(*again)
    assert (back.code, "Rows      2, 2 answered" in back.out) == (0, True)
    assert len(offline("list", "--json").json) == 1
