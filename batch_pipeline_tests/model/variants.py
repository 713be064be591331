"""The variants that are explored: the rules in worlds that they must withstand, and each rule left out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from batch_pipeline_tests.model.explorer import Explored, explore
from batch_pipeline_tests.model.protocol import moves
from batch_pipeline_tests.model.rules import UNBOUNDED, Variant
from batch_pipeline_tests.model.state import paid_twice
from batch_pipeline_tests.model.world import begin


def run(variant: Variant) -> Explored:
    """Explores a variant: is there a way to two paid batches?"""
    return explore(begin(variant), lambda state: moves(variant, state), paid_twice)


_inline = partial(Variant, fence=False, inline=True, pause=1, wire=1, wait=3)

SAFE: Sequence[Variant] = (
    Variant("crashes, pauses, lost replies, late POSTs"),
    Variant("refusals too", refusals=True),
    Variant("a listing that lags two ticks, WAIT 2", lag=2, wait=2),
    Variant("a DELETE that works a tick late, WAIT 2", delete_lag=1, wait=2),
    Variant("the failed batches of late POSTs are listed", failures_listed=True, lag=0, wait=0),
    Variant("three attempts", claims=3),
    Variant("the key becomes another project's, and again ours", key_changes=True, lag=0, wait=0),
    Variant("no DELETE; pause, wire and lag 1, WAIT 3", fence=False, pause=1, wire=1, wait=3),
    _inline("no file, no metadata, and another one's batches; the same bounds", another_sends=True),
)
"""Explored by the tests."""

SAFE_LONG: Sequence[Variant] = (
    Variant("a DELETE that works after two ticks, WAIT 3", delete_lag=2, wait=3),
    Variant("the failed batches of late POSTs are listed, and lag", failures_listed=True),
    Variant("the key becomes another project's, and the listing lags", key_changes=True),
    Variant("the ledger restored to any earlier moment", restored=True),
    Variant("the ledger replaced, P1 goes on in the old one", replaced=True, lag=0, wait=0),
)
"""Explored by `python -m batch_pipeline_tests.model` alone: minutes."""

LEFT_OUT: Sequence[Variant] = (
    _inline("a batch that may be ours is taken for another one's", candidates_hold=False),
    Variant("a claim beside an open one", claims_wait=False, alone=False),
    Variant("a verdict on the row as it is after the listing", compare_row_read_before=False, lag=2, wait=2),
    Variant("`posted` is set, not compared, and the marker not exclusive", posted_once=False, marker_exclusive=False),
    Variant("the client repeats the POST", posts_once=False),
    Variant("a lost reply is read as a refusal", refusals_are_said=False),
    Variant("a failed listing is read as an empty one", unknown_is_not_absent=False),
    Variant("no markers", marker=False, restored=True),
    Variant("a marker counts as not posted", marker_means_posted=False, marker_exclusive=False, restored=True),
    Variant("markers that the ledger lacks stop nobody", foreign_markers_stop=False, replaced=True),
    Variant("no fence", fence=False, wait=3, wire=1),
    Variant("WAIT as short as the listing lags", lag=2, wait=1),
    Variant("WAIT as short as a DELETE takes", delete_lag=2, wait=2),
    Variant("no DELETE, and WAIT no longer than pause, wire and lag", fence=False, pause=1, wire=1, wait=2),
)
"""Each must find two paid batches."""

LEFT_OUT_LONG: Sequence[Variant] = (
    Variant("the right to POST does not name the file", post_names_file=False, restored=True, lag=0, wait=0),
    Variant("the right to POST while another attempt is open", alone=False, replaced=True),
    Variant("another account's attempts are settled", own_account_only=False, key_changes=True, lag=0, wait=0),
)
"""The same, explored by `python -m batch_pipeline_tests.model` alone: 5 s each."""

NOT_EXCLUDED: Sequence[Variant] = (
    Variant("no DELETE, and a process that stands for any time", fence=False, pause=UNBOUNDED, wire=1, wait=3),
    Variant("a listing that hides a batch for longer than WAIT", lag=3, wait=2),
)
"""What stays possible (docs/how-it-works.md): two paid batches are found here as well."""

NOT_EXCLUDED_LONG: Sequence[Variant] = (
    Variant("a gateway that leads to another account unseen", gateway_changes=True, lag=0, wait=0),
)
"""The same, explored by `python -m batch_pipeline_tests.model` alone."""
