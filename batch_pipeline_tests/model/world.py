"""What happens to the processes: time, the provider, the wire, losses; and which differences no longer matter."""

from __future__ import annotations

from collections.abc import Iterator

from batch_pipeline_tests.model.rules import UNBOUNDED, Variant
from batch_pipeline_tests.model.state import NOT_FENCED, Process, Remote, Send, State

Move = tuple[str, State]


def begin(variant: Variant) -> State:
    """Nothing was sent yet."""
    changes = int(variant.key_changes or variant.gateway_changes)
    return State(restores=int(variant.restored), replaces=int(variant.replaced), changes=changes)


def world(variant: Variant, state: State) -> Iterator[Move]:
    """All that can happen without a step of a process."""
    yield from _time(variant, state)
    yield from _losses(state)
    yield from _accounts(state)
    yield from _provider(variant, state)


def _time(variant: Variant, state: State) -> Iterator[Move]:
    stands = (p for p in state.processes if p.step == "send")
    if variant.pause != UNBOUNDED and any(process.age >= variant.pause for process in stands):
        return  # it must go on, or be killed, first
    most = variant.longest
    arriving = (m._replace(age=m.age + (variant.wire != UNBOUNDED)) for m in state.wire)
    yield (
        "tick",
        state._replace(
            ledgers=tuple(tuple(_older(send, most) for send in ledger) for ledger in state.ledgers),
            copy=None if state.copy is None else tuple(_older(send, most) for send in state.copy),
            processes=tuple(_waits(variant, process) for process in state.processes),
            wire=tuple(message for message in arriving if message.age <= variant.wire),
            remotes=tuple(remote._replace(age=min(remote.age + 1, most)) for remote in state.remotes),
            deleted=tuple((file, min(age + 1, most)) for file, age in state.deleted),
        ),
    )


def _older(send: Send, most: int) -> Send:
    return send if send.fenced == NOT_FENCED else send._replace(fenced=min(send.fenced + 1, most))


def _waits(variant: Variant, process: Process) -> Process:
    ages = process.step == "deleted" or (process.step == "send" and variant.pause != UNBOUNDED)
    send = process.send and _older(process.send, variant.longest)
    return process._replace(send=send, age=min(process.age + 1, variant.longest) if ages else process.age)


def _losses(state: State) -> Iterator[Move]:
    if state.copy is None:
        if state.restores or state.replaces:
            yield "the ledger is copied", state._replace(copy=state.ledgers[0])
        return
    gone = state._replace(copy=None, restores=0, replaces=0)
    if state.restores:
        yield "the ledger is restored", gone._replace(ledgers=(state.copy,))
    if state.replaces:
        goes_on, restarted = state.processes
        apart = (goes_on._replace(ledger=0), restarted._replace(ledger=1))
        yield (
            "the ledger is replaced, P1 goes on in the old one",
            gone._replace(ledgers=(state.ledgers[0], state.copy), processes=apart),
        )


def _accounts(state: State) -> Iterator[Move]:
    if state.changes:
        yield "the account changes", state._replace(account=1, changes=0)
    if state.account:
        yield "the account changes back", state._replace(account=0)


def _provider(variant: Variant, state: State) -> Iterator[Move]:
    if variant.another_sends and all(remote.claim for remote in state.remotes):
        theirs = Remote(0, 0, 0, executes=True, account=0)
        yield "another creates a batch of the same size", state._replace(remotes=(*state.remotes, theirs))
    for at, message in enumerate(state.wire):
        arrived = state._replace(wire=state.wire[:at] + state.wire[at + 1 :])
        for executes in _executes(variant, state, message.file):
            remote = Remote(message.claim, message.file, 0, executes, message.account)
            what = "creates a batch" if executes else "creates a batch that fails, its file is gone,"
            yield f"the provider {what} for c{message.claim}", arrived._replace(remotes=(*state.remotes, remote))
        yield f"the POST of c{message.claim} is lost", arrived
        if variant.refusals:
            told = tuple(_refused(process, message.claim) for process in state.processes)
            yield f"the provider refuses c{message.claim}", arrived._replace(processes=told)


def _executes(variant: Variant, state: State, file: int) -> set[bool]:
    age = dict(state.deleted).get(file)
    if age is None:
        return {True}
    return {False} if age > variant.delete_lag or not variant.delete_lag else {True, False}


def _refused(process: Process, claim: int) -> Process:
    waits = process.step == "reply" and process.send is not None and process.send.claim == claim
    return process._replace(step="refused") if waits else process


def same(variant: Variant, state: State) -> State:
    """The one state that stands for all that differ in nothing that matters any more."""
    remotes, wire = state.remotes, state.wire
    if not variant.failures_listed:
        remotes = tuple(remote for remote in remotes if remote.executes)
        gone = {file for file, _ in state.deleted} if not variant.delete_lag else set[int]()
        wire = tuple(message for message in wire if message.file not in gone)
    ledgers = tuple(tuple(_plain(send) for send in ledger) for ledger in state.ledgers)
    processes = tuple(p if p.send is None else p._replace(send=_plain(p.send)) for p in state.processes)
    if len(ledgers) > 1 and all(process.ledger for process in processes):  # nobody is left in the old one
        ledgers, processes = ledgers[-1:], tuple(process._replace(ledger=0) for process in processes)
    return state._replace(
        ledgers=ledgers,
        processes=tuple(sorted(processes, key=_order)) if len(ledgers) == 1 else processes,
        wire=tuple(sorted(wire)),
        remotes=tuple(sorted(remote._replace(age=min(remote.age, variant.lag + 1)) for remote in remotes)),
        deleted=_deleted(variant, state),
        copy=None if state.copy is None else tuple(_plain(send) for send in state.copy),
    )


def _order(process: Process) -> tuple[object, ...]:
    return process.order


def _plain(send: Send) -> Send:
    return send if send.open else send._replace(file=0, fenced=NOT_FENCED)


def _deleted(variant: Variant, state: State) -> tuple[tuple[int, int], ...]:
    known = files_of(state)
    return tuple(sorted((file, min(age, variant.delete_lag + 1)) for file, age in state.deleted if file in known))


def files_of(state: State) -> set[int]:
    """Every file that somebody may still name."""
    sends = [send for ledger in (*state.ledgers, state.copy or ()) for send in ledger]
    sends += [process.send for process in state.processes if process.send]
    return {named.file for named in (*sends, *state.wire, *state.remotes, *state.markers)}
