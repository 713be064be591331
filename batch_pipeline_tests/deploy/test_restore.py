"""What docs/deployment.md says of a restore: an older warehouse and an empty ledger, beside the files as they are."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.recover import recover_all
from batch_pipeline_tests.batches.chain import answers, planned, run, write_notes
from batch_pipeline_tests.books import Books


def test_answers_that_an_older_warehouse_lacks_come_back_from_the_files_and_are_not_bought_again(
    make_pipeline: Callable[..., Pipeline], books: Books
) -> None:
    before = make_pipeline()
    write_notes(before, 3)
    shutil.copy(before.data_dir / "warehouse.duckdb", before.data_dir / "backup")
    job = planned(before)
    assert run(before, job).outcomes == {"answered": 3}
    answered = answers(before)
    before.close()
    for file in before.data_dir.glob("ledger.db*"):
        file.unlink()
    (before.data_dir / "backup").replace(before.data_dir / "warehouse.duckdb")
    after = make_pipeline()
    recover_all(after, "local")
    assert run(after, job).outcomes == {"answered": 3}
    assert answers(after) == answered
    planned(after, key="once more")  # nothing is left to ask
    assert books.lines_executed == 3
