"""The table of what was assumed and what was seen, for docs/operations.md, and the samples as JSON beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import orjson

from batch_pipeline_tests.live.findings import Finding
from batch_pipeline_tests.live.state import State

HEAD = "| assumed | seen | as assumed | if it is wrong |\n| --- | --- | --- | --- |\n"
ANSWERS = {True: "yes", False: "**no**", None: "?"}


def table(findings: Iterable[Finding]) -> str:
    """The findings as one markdown table."""
    return HEAD + "".join(
        f"| {f.assumption.assumed} | {_cell(f.seen.words)} | {ANSWERS[f.seen.holds]} | {f.assumption.if_wrong} |\n"
        for f in findings
    )


def summary(state: State) -> str:
    """One sentence: where, when, with what, and what it came to."""
    batches = sum(sample.batch is not None for sample in state.samples)
    executed = sum(sample.executed for sample in state.samples)
    open_ones = sum(sample.running for sample in state.samples)
    unended = f", {open_ones} under way still" if open_ones else ""
    return (
        f"Seen on {state.begun:%Y-%m-%d} at {state.base_url} with {state.model}: {batches} batches created, {executed} "
        f"of them executed{unended}, for {state.cost_usd:.6f} USD (at most {state.bound_usd:.6f} USD)."
    )


def write_report(folder: Path, state: State, findings: list[Finding]) -> Path:
    """Writes `<date>.md` and `<date>.json`; the path of the first."""
    path = folder / f"{state.report}.md"
    path.write_text(f"{summary(state)}\n\n{table(findings)}", encoding="utf-8")
    told = {
        "summary": summary(state),
        "findings": [{**asdict(f.assumption), "seen": f.seen.words, "as_assumed": f.seen.holds} for f in findings],
        "run": state.model_dump(mode="json"),
    }
    path.with_suffix(".json").write_bytes(orjson.dumps(told, option=orjson.OPT_INDENT_2))
    return path


def _cell(words: str) -> str:
    """Without what names the account: some errors do."""
    return re.sub(r"\b(org-|proj_)\w+", r"\1…", words).replace("|", "\\|").replace("\n", " ")
