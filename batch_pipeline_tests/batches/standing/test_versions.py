from __future__ import annotations

from dataclasses import replace

import pytest

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.requests.selection import Selection
from batch_pipeline.batches.standing.versions import Version, changes, versions
from batch_pipeline.errors import UsageError
from batch_pipeline_tests.batches.chain import mood, planned, query, run, write_notes

CURRENT = replace(mood, system="Is the note glad, or is it sad?", truncate_at={"text": 100})


def test_each_version_is_counted_with_its_jobs_and_the_records_that_it_answered_last(pipeline: Pipeline) -> None:
    write_notes(pipeline, 3)
    run(pipeline, planned(pipeline))
    run(pipeline, planned(pipeline, force=True, selection=Selection(ids=("note-0",))))
    run(pipeline, planned(pipeline, CURRENT, Selection(which="outdated", limit=1)))
    new, old = versions(pipeline, CURRENT)
    assert (new.version, new.current, new.answers, new.jobs) == (CURRENT.prompt_version(), True, 1, 1)
    assert (old.version, old.current, old.answers, old.jobs) == (mood.prompt_version(), False, 2, 2)
    assert old.first_at is not None
    assert old.last_at is not None
    assert new.first_at is not None
    assert old.first_at < old.last_at < new.first_at


def test_what_changed_is_told_line_by_line(pipeline: Pipeline) -> None:
    write_notes(pipeline, 1)
    planned(pipeline)
    told = changes(versions(pipeline, CURRENT), mood.prompt_version()[:4])
    assert "-Is the note glad or sad?" in told
    assert "+Is the note glad, or is it sad?" in told
    assert '+  "text": 100' in told
    assert not [line for line in told if "label" in line and line[0] in "+-"]
    assert changes(versions(pipeline, CURRENT), CURRENT.prompt_version()) == []


def test_the_text_of_a_version_outlives_its_job_only_in_the_ledger(pipeline: Pipeline) -> None:
    write_notes(pipeline, 1)
    run(pipeline, planned(pipeline))
    known = [replace(each, text="") for each in versions(pipeline, CURRENT)]
    with pytest.raises(UsageError, match="is not known"):
        changes(known, mood.prompt_version())
    with pytest.raises(UsageError, match=f"No version is `nope`; there are: {CURRENT.prompt_version()}"):
        changes(known, "nope")
    with pytest.raises(UsageError, match="More than one version is ``"):
        changes(known, "")


def test_each_variant_has_versions_of_its_own(pipeline: Pipeline) -> None:
    write_notes(pipeline, 2)
    roles = replace(mood, system="", variants={"kind": "Be kind.", "strict": "Be strict."})
    for variant in roles.variants:
        run(pipeline, planned(pipeline, roles, Selection(variant=variant)))
    now = replace(roles, variants={"kind": "Be kinder.", "strict": "Be strict."})
    told = [(each.variant, each.current, each.answers) for each in versions(pipeline, now)]
    assert told == [("kind", True, 0), ("kind", False, 2), ("strict", True, 2)]
    assert "+Be kinder." in changes(versions(pipeline, now), roles.prompt_version("kind"))
    assert planned(pipeline, now, Selection(variant="strict", which="outdated")).records == 0
    assert planned(pipeline, now, Selection(variant="kind", which="outdated")).records == 2
    gone = [each for each in versions(pipeline, replace(now, variants={"strict": "Be strict."})) if not each.current]
    with pytest.raises(UsageError, match="no longer has the variant `kind`"):
        changes(gone, roles.prompt_version("kind"))


def test_a_task_that_was_never_asked_has_its_current_version(pipeline: Pipeline) -> None:
    (only,) = versions(pipeline, mood)
    assert replace(only, text="") == Version(mood.prompt_version(), None, current=True)
    assert query(pipeline, "SELECT count(*) FROM issues") == [(0,)]
