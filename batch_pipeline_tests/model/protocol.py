"""What a process does: one turn of `submit`, step by step. A step is what can't be interrupted; between two of them a
process may be killed, or stand for any time.

| step | the code, in `batch_pipeline/batches/` |
| --- | --- |
| `idle` | `recover.recover`; `submit.create`: claims, or reads the open row; `poll.poll`: what failed goes again |
| `upload`, `file_id` | `submit._upload`: the call, then `sends.write` |
| `marker`, `markers_read`, `posted` | `submit._send`: `Markers.create`, `Markers.claims`, then `sends.post` |
| `send`, `reply` | `submit._post`: `provider.create` |
| `created`, `refused` | `settle.record_created`, `record_refused` |
| `list` | `settle.settle`: `provider.list`, `sighted.sighted` |
| `adopt`, `dead` | `settle._adopt`; `record_void`, where it executed nothing |
| `absent` | `settle._fence`: `provider.delete_file`; or `_give_way`: `record_void` |
| `deleted` | `settle._fence`: `sends.write(fenced_at=…)` |

`recover` and what follows it in a turn are not one step: a marker may be written in between. So it is here an action
of its own, that may or may not come first. That `_fence` waits for WAIT after the POST is left out too: nothing rests
on it, and a fence at any time is the more general case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from batch_pipeline_tests.model.rules import Variant
from batch_pipeline_tests.model.state import NOT_FENCED, Ledger, Marker, Message, Process, Remote, Send, State, Step
from batch_pipeline_tests.model.world import Move, files_of, same, world


def moves(variant: Variant, state: State) -> Iterator[Move]:
    """All that can happen next."""
    for label, following in _moves(variant, state):
        yield label, same(variant, following)


def _moves(variant: Variant, state: State) -> Iterator[Move]:
    yield from world(variant, state)
    for number, process in enumerate(state.processes):
        turn = _Turn(variant, state, number, process)
        if process.step != "idle":
            yield turn.then("is killed", current=True)
        yield from STEPS[process.step](turn)


@dataclass(frozen=True)
class _Turn:
    """A process at one of its steps."""

    variant: Variant
    state: State
    number: int
    process: Process

    @property
    def ledger(self) -> Ledger:
        return self.state.ledgers[self.process.ledger]

    @property
    def send(self) -> Send:
        """The row as the process read it."""
        assert self.process.send is not None
        return self.process.send

    @property
    def row(self) -> Send | None:
        """The row as it is."""
        return next((row for row in self.ledger if row.claim == self.send.claim), None)

    @property
    def unchanged(self) -> bool:
        """Whether compare-and-set finds the row as it was read."""
        if self.variant.compare_row_read_before:
            return self.row == self.send
        return self.row is not None and self.row.open

    @property
    def lands_in(self) -> int:
        """The account that a call now reaches."""
        seen = self.variant.own_account_only and not self.variant.gateway_changes
        return self.process.account if seen else self.state.account

    def then(
        self,
        label: str,
        step: Step = "idle",
        send: Send | None = None,
        *,
        current: bool = False,
        age: int = 0,
        late: bool = False,
        file: int = 0,
        **changes: Any,  # noqa: ANN401 - fields of State
    ) -> Move:
        """The process goes on to `step` with the row `send`; `current`: it was started anew."""
        ledger = len(self.state.ledgers) - 1 if current else self.process.ledger
        account = 0 if step == "idle" else self.process.account
        processes = list(self.state.processes)
        processes[self.number] = Process(step, ledger, send, account, age, late, file)
        return f"P{self.number + 1} {label}", self.state._replace(processes=tuple(processes), **changes)

    def writes(self, label: str, step: Step = "idle", **columns: Any) -> Move:  # noqa: ANN401 - columns of Send
        """Compare-and-set: the row with these columns; or nothing, and the process stops."""
        if not self.unchanged or self.row is None:
            return self.then("finds the row changed, and stops")
        written = self.row._replace(**columns)
        return self.then(label, step, written, ledgers=self.with_row(written))

    def with_row(self, send: Send) -> tuple[Ledger, ...]:
        rows = tuple(send if row.claim == send.claim else row for row in self.ledger)
        return self._with(rows if send in rows else (*rows, send))

    def _with(self, rows: Ledger) -> tuple[Ledger, ...]:
        ledgers = list(self.state.ledgers)
        ledgers[self.process.ledger] = rows
        return tuple(ledgers)


def _idle(turn: _Turn) -> Iterator[Move]:
    if turn.process.ledger != len(turn.state.ledgers) - 1:
        yield turn.then("starts anew", current=True)
    yield from _recover(turn)
    yield from _claim(turn)
    for row in turn.ledger:
        if row.remote == 2 and not row.ended:
            yield turn.then(f"sees c{row.claim} failed", ledgers=turn.with_row(row._replace(ended=True)))
        elif row.open and _is_ours(turn, row):
            yield from _next_step(turn, row)


def _recover(turn: _Turn) -> Iterator[Move]:
    known = {row.claim: row for row in turn.ledger}
    for marker in turn.state.markers:
        row = known.get(marker.claim)
        if row is None:
            told = Send(marker.claim, marker.account, marker.file, posted=True)
            yield turn.then(f"remembers c{marker.claim}", ledgers=turn.with_row(told))
        elif turn.variant.marker_means_posted and not row.posted and not row.ended:
            told = row._replace(file=marker.file, posted=True)
            yield turn.then(f"remembers that c{marker.claim} was posted", ledgers=turn.with_row(told))


def _claim(turn: _Turn) -> Iterator[Move]:
    free = all(row.ended for row in turn.ledger) or not turn.variant.claims_wait
    if free and turn.state.claimed < turn.variant.claims:
        number = turn.state.claimed + 1
        send = Send(number, turn.state.account)
        step: Step = "marker" if turn.variant.inline else "upload"
        yield _with_key(turn, turn.then(f"claims c{number}", step, send, ledgers=turn.with_row(send), claimed=number))


def _is_ours(turn: _Turn, row: Send) -> bool:
    hidden = not turn.variant.own_account_only or turn.variant.gateway_changes
    return hidden or row.account == turn.state.account


def _next_step(turn: _Turn, row: Send) -> Iterator[Move]:
    if row.posted:
        yield _with_key(turn, turn.then(f"settles c{row.claim}", "list", row))
    else:
        yield _with_key(turn, turn.then(f"goes on with c{row.claim}", _sends(turn, row), row))


def _sends(turn: _Turn, row: Send) -> Step:
    return "marker" if row.file or turn.variant.inline else "upload"


def _with_key(turn: _Turn, move: Move) -> Move:
    """The process goes on with the key that is set now."""
    label, state = move
    processes = list(state.processes)
    processes[turn.number] = processes[turn.number]._replace(account=state.account)
    return label, state._replace(processes=tuple(processes))


def _upload(turn: _Turn) -> Iterator[Move]:
    used = files_of(turn.state) | {file for file, _ in turn.state.deleted}
    file = next(number for number in range(1, 99) if number not in used)  # forgotten names come again: finitely many
    yield turn.then(f"uploads f{file}", "file_id", turn.send, file=file)


def _file_id(turn: _Turn) -> Iterator[Move]:
    yield turn.writes("writes the file's id", "marker", file=turn.process.file)


def _marker(turn: _Turn) -> Iterator[Move]:
    if not turn.variant.marker:
        yield turn.then("writes no marker", "posted", turn.send)
        return
    there = any(marker.claim == turn.send.claim for marker in turn.state.markers)
    if there and turn.variant.marker_exclusive:
        yield turn.then("finds the marker there, and stops")
        return
    made = Marker(turn.send.claim, turn.send.file, turn.process.account)
    markers = tuple(sorted({*turn.state.markers, made}))
    yield turn.then(f"makes the marker of c{made.claim}", "markers_read", turn.send, markers=markers)


def _markers_read(turn: _Turn) -> Iterator[Move]:
    known = {row.claim for row in turn.ledger} | {turn.send.claim}
    if turn.variant.foreign_markers_stop and any(marker.claim not in known for marker in turn.state.markers):
        yield turn.then("finds a marker that its ledger lacks, and stops")
    else:
        yield turn.then("finds no unknown marker", "posted", turn.send)


def _posted(turn: _Turn) -> Iterator[Move]:
    rival = any(row.claim != turn.send.claim and not row.ended for row in turn.ledger)
    if (rival and turn.variant.alone) or not _may_post(turn):
        yield turn.then("may not post, and stops")
    else:
        written, posted = _row(turn)._replace(posted=True), turn.send._replace(posted=True)
        yield turn.then(f"writes c{posted.claim} as posted", "send", posted, ledgers=turn.with_row(written))


def _may_post(turn: _Turn) -> bool:
    row, rules = turn.row, turn.variant
    if row is None or not row.open:
        return False
    return (row.file == turn.send.file or not rules.post_names_file) and (not row.posted or not rules.posted_once)


def _row(turn: _Turn) -> Send:
    assert turn.row is not None
    return turn.row


def _send(turn: _Turn) -> Iterator[Move]:
    post = Message(turn.send.claim, turn.send.file, 0, turn.lands_in)
    yield turn.then(f"POSTs c{post.claim}", "reply", turn.send, wire=(*turn.state.wire, post))


def _reply(turn: _Turn) -> Iterator[Move]:
    send = turn.send
    if any((remote.claim, remote.file) == (send.claim, send.file) for remote in turn.state.remotes):
        yield turn.then("gets the reply", "created", send)
    if turn.variant.refusals_are_said:
        yield turn.then("loses the reply")
    else:
        yield turn.then("takes the lost reply for a refusal", "refused", send)
    if not turn.variant.posts_once and len(turn.state.wire) + len(turn.state.remotes) < turn.variant.claims:
        yield turn.then("repeats the POST", "send", send)


def _created(turn: _Turn) -> Iterator[Move]:
    alive = any(remote.claim == turn.send.claim and remote.executes for remote in turn.state.remotes)
    yield turn.writes("writes its id", remote=1 if alive else 2)


def _refused(turn: _Turn) -> Iterator[Move]:
    yield turn.writes("writes it as refused", ended=True)


def _list(turn: _Turn) -> Iterator[Move]:
    send = turn.send
    late = send.fenced > turn.variant.wait
    ours = [r for r in turn.state.remotes if r.claim == send.claim and r.account == turn.lands_in]
    seen = [remote for remote in ours if remote.age > turn.variant.lag or not turn.variant.lag]
    for listed in {tuple(ours), tuple(seen)}:
        yield _verdict(turn, listed, late=late)
    if turn.variant.inline:
        yield from _nameless(turn, late=late)
    if not turn.variant.unknown_is_not_absent:
        yield turn.then("takes a failed listing for an empty one", "absent", send, late=late)


def _nameless(turn: _Turn, *, late: bool) -> Iterator[Move]:
    """Results may say at any time whose a batch is, and have not said it yet."""
    known = {row.claim for row in turn.ledger if row.remote}
    if any(remote.claim not in known for remote in turn.state.remotes):
        if turn.variant.candidates_hold:
            yield turn.then("finds one that does not say whose it is, and waits")
        else:
            yield turn.then("takes one that says nothing for another's", "absent", turn.send, late=late)


def _verdict(turn: _Turn, listed: tuple[Remote, ...], *, late: bool) -> Move:
    if any(remote.executes for remote in listed):
        return turn.then("finds it", "adopt", turn.send)
    if listed:
        return turn.then("finds it failed, nothing executed", "dead", turn.send)
    return turn.then("does not find it", "absent", turn.send, late=late)


def _adopt(turn: _Turn) -> Iterator[Move]:
    yield turn.writes("adopts it", remote=1)


def _dead(turn: _Turn) -> Iterator[Move]:
    if turn.send.fenced == NOT_FENCED:
        yield turn.writes("adopts the failed one", remote=2)
    else:
        yield turn.writes("voids it", ended=True)


def _absent(turn: _Turn) -> Iterator[Move]:
    send, late = turn.send, turn.process.late
    if not turn.variant.compare_row_read_before and turn.row is not None:
        send, late = turn.row, turn.row.fenced > turn.variant.wait
    if late:
        yield turn.writes(f"voids c{send.claim}", ended=True)
    elif send.fenced != NOT_FENCED:
        yield turn.then("waits: it is too early")
    elif not turn.variant.fence:
        yield turn.then("begins the wait", "deleted", send)
    else:
        here = turn.lands_in == send.account  # elsewhere a 404 says that it is gone, and nothing is deleted
        deleted = (*turn.state.deleted, (send.file, 0)) if here and send.file not in dict(turn.state.deleted) else None
        yield turn.then(f"DELETEs f{send.file}", "deleted", send, deleted=deleted or turn.state.deleted)


def _deleted(turn: _Turn) -> Iterator[Move]:
    yield turn.writes("writes it as fenced", fenced=turn.process.age)


STEPS: dict[Step, Callable[[_Turn], Iterator[Move]]] = {
    "idle": _idle,
    "upload": _upload,
    "file_id": _file_id,
    "marker": _marker,
    "markers_read": _markers_read,
    "posted": _posted,
    "send": _send,
    "reply": _reply,
    "created": _created,
    "refused": _refused,
    "list": _list,
    "adopt": _adopt,
    "dead": _dead,
    "absent": _absent,
    "deleted": _deleted,
}
