"""`migrate-to`: what it prints, and what it never does."""

from __future__ import annotations

from pathlib import Path

from batch_pipeline_tests.cli.conftest import Command


def test_it_shows_copies_and_says_what_to_switch(offline: Command, issue_files: Path, tmp_path: Path) -> None:
    offline("issues", "load", issue_files)
    offline("doctor")
    there = (
        *("--ledger-url", f"sqlite:///{tmp_path / 'there' / 'ledger.db'}"),
        *("--warehouse-url", tmp_path / "there" / "warehouse.duckdb"),
    )
    ran = offline("migrate-to", *there, "--dry-run")
    assert (ran.code, "Nothing was copied." in ran.out) == (0, True)
    assert not (tmp_path / "there").exists()
    ran = offline("migrate-to", *there)
    assert (ran.code, ran.err) == (0, "")
    assert "set BATCH_PIPELINE_LEDGER_URL to what --ledger-url was" in ran.out
    assert "let the data folder be" in ran.out
    told = offline("migrate-to", *there, "--json").json
    assert {part["state"] for part in told["parts"]} == {"there already"}
    assert {part["name"]: part["rows"] for part in told["parts"]}["issue_versions"] == 3


def test_what_can_not_be_is_said_in_a_sentence_without_a_password(offline: Command) -> None:
    ran = offline("migrate-to")
    assert (ran.code, "give --ledger-url, --warehouse-url or --files-url" in ran.sentence) == (2, True)
    offline("doctor")
    ran = offline("migrate-to", "--ledger-url", "postgresql://me:secret@127.0.0.1:9/name")
    assert ran.code == 1
    assert "can't be reached" in ran.sentence
    assert "secret" not in ran.out + ran.err
