"""The rules of creating a batch once, each of which can be left out, and what the world may do."""

from __future__ import annotations

from dataclasses import dataclass

UNBOUNDED = 99


@dataclass(frozen=True)
class Variant:
    """One exploration. The defaults are the rules as they are kept, in a world without losses beyond crashes,
    pauses of any length, lost replies and POSTs that arrive at any time."""

    name: str

    # what submit.py, settle.py, recover.py and ledger/sends.py hold to
    claims_wait: bool = True
    """`sends.claim`: every earlier attempt has ended. Left out: whatever there is."""
    compare_row_read_before: bool = True
    """A write rests on the row as it was read before the outside call. Left out: on the row as it is after it."""
    posted_once: bool = True
    """`sends.post` compares and sets. Left out: it sets."""
    post_names_file: bool = True
    """`sends.post` compares the file too. Left out: only whether the attempt is open."""
    alone: bool = True
    """`sends.post`: no other attempt of the batch is open."""
    posts_once: bool = True
    """`provider.create` POSTs once. Left out: a client repeats it when the reply is lost."""
    refusals_are_said: bool = True
    """`Refused` is what the provider says in its own words. Left out: a reply that is lost counts too."""
    unknown_is_not_absent: bool = True
    """A listing that failed changes nothing. Left out: it lacks the batch."""
    marker: bool = True
    """`Markers.create`, before `sends.post`."""
    marker_exclusive: bool = True
    """Only one process makes a marker."""
    marker_means_posted: bool = True
    """`recover` writes it in as posted. Left out: whoever comes goes on with it."""
    foreign_markers_stop: bool = True
    """`_send` stops where a marker is that the ledger lacks."""
    fence: bool = True
    """`provider.delete_file`. Left out: the wait counts from the first listing that lacks the batch."""
    inline: bool = False
    """There is neither file nor metadata (Anthropic): only its results say whose a batch is, at any time or never."""
    candidates_hold: bool = True
    """`sighted.sighted`: a listed batch that no send knows, and whose results say nothing yet, is unknown. Left out:
    it is another one's."""
    own_account_only: bool = True
    """`create` leaves another account's attempts alone."""
    wait: int = 1
    """WAIT, in ticks: a listing must begin longer than this after the fence."""

    # what the world may do
    lag: int = 1
    """Ticks for which a new batch may be missing in a listing."""
    delete_lag: int = 0
    """Ticks after which a DELETE has its effect at the latest."""
    wire: int = UNBOUNDED
    """Ticks after which a POST has arrived, or never will."""
    pause: int = UNBOUNDED
    """Ticks for which a process may stand between `posted_at` and its POST."""
    claims: int = 2
    """Attempts that are explored."""
    refusals: bool = False
    """The provider may refuse a create."""
    failures_listed: bool = False
    """Batches that executed nothing are listed, and settled by."""
    restored: bool = False
    """The ledger may be set back to any earlier moment, once."""
    replaced: bool = False
    """The same, under a process that goes on in the old file."""
    key_changes: bool = False
    """The key may become another project's, and change back."""
    another_sends: bool = False
    """Somebody else with the same key makes a batch of the same size."""
    gateway_changes: bool = False
    """The same behind one key and URL, which no process can see."""

    @property
    def longest(self) -> int:
        """An age beyond which nothing changes any more."""
        bounds = (self.wait, self.lag, self.delete_lag, self.wire, self.pause)
        return max(bound for bound in bounds if bound != UNBOUNDED) + 1
