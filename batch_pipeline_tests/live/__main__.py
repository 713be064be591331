"""Tries at the provider, with a real key and for less than a cent, what docs/operations.md can only assume.

`make live LIVE=1` (or `python -m batch_pipeline_tests.live --yes`), with OPENAI_API_KEY. Exit code 0: all is as
assumed; 1: something is not, or the provider refused; 2: wrong usage; 3: batches are under way, run it again; 130:
Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys

from batch_pipeline.errors import PipelineError, UsageError
from batch_pipeline.settings import load_settings
from batch_pipeline_tests.live.options import Options
from batch_pipeline_tests.live.run import INTERRUPTED, run


def main() -> int:
    """Runs it; a sentence on stderr where it can't."""
    given = _parser().parse_args()
    try:
        settings = load_settings()
        if not (given.yes or os.environ.get("LIVE") == "1"):
            raise UsageError("This sends requests that are paid for, under a cent in all. Say `LIVE=1` if you mean it.")
        model = given.model or settings.model_for("openai")
        return run(settings, model, _options(given), _say)
    except PipelineError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    default = Options()
    parser = argparse.ArgumentParser(
        prog="make live", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--yes", action="store_true", help="as LIVE=1")
    add("--model", help="a cheap one that OpenAI's Batch API takes; default: as for all tasks")
    add("--limit", type=float, default=default.limit, help="seconds that batches get to end (%(default)g)")
    add("--samples", type=int, default=default.samples, help="of each lag (%(default)d)")
    add("--every", type=float, default=default.every, help="seconds between two looks at a lag (%(default)g)")
    add("--longest", type=float, default=default.longest, help="seconds that a lag is followed (%(default)g)")
    add(
        "--posts-after",
        type=float,
        nargs="*",
        default=default.posts_after,
        help="seconds after a DELETE at which batches of the file are created",
    )
    return parser


def _options(given: argparse.Namespace) -> Options:
    return Options(
        samples=given.samples,
        posts_after=tuple(given.posts_after),
        every=given.every,
        longest=given.longest,
        limit=given.limit,
    )


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a command


if __name__ == "__main__":
    sys.exit(main())
