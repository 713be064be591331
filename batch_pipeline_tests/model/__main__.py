"""`python -m batch_pipeline_tests.model`: explores every variant and prints what it found. Takes some minutes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

from batch_pipeline_tests.model import fingerprints, variants
from batch_pipeline_tests.model.explorer import Explored
from batch_pipeline_tests.model.fingerprints import Order
from batch_pipeline_tests.model.rules import Variant


def main() -> int:
    """Prints a line a variant; 1 if one came out otherwise than it must."""
    wrong = 0
    for heading, group, safe in (
        ("Creating a batch: the rules, in the worlds that they must withstand", variants.SAFE, True),
        ("The same, further: longer lags, ledgers lost", variants.SAFE_LONG, True),
        ("Each rule left out", (*variants.LEFT_OUT, *variants.LEFT_OUT_LONG), False),
        ("What stays possible", (*variants.NOT_EXCLUDED, *variants.NOT_EXCLUDED_LONG), False),
    ):
        wrong += _print(heading, [(variant.name, _explored(variant)) for variant in group], safe=safe)
    wrong += _print("Buying a fingerprint", [(fingerprints.SAFE.name, _planned(fingerprints.SAFE))], safe=True)
    orders = [(order.name, _planned(order)) for order in fingerprints.LEFT_OUT]
    wrong += _print("Any other order", orders, safe=False)
    return int(wrong > 0)


def _explored(variant: Variant) -> Callable[[], Explored]:
    return lambda: variants.run(variant)


def _planned(order: Order) -> Callable[[], Explored]:
    return lambda: fingerprints.run(order)


def _print(heading: str, group: Sequence[tuple[str, Callable[[], Explored]]], *, safe: bool) -> int:
    wrong = 0
    print(f"\n{heading}")  # noqa: T201 - a command
    for name, explored in group:
        start = time.monotonic()
        found = explored()
        verdict = "safe" if found.safe else "paid twice"
        wrong += found.safe is not safe
        seconds = time.monotonic() - start
        print(f"  {verdict:10}  {found.states:>9,} states  {seconds:>6.1f} s  {name}", flush=True)  # noqa: T201 - a command
        if found.way:
            print(f"              {found.told()}")  # noqa: T201 - a command
    return wrong


if __name__ == "__main__":
    sys.exit(main())
