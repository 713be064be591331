"""Two plans of one fingerprint, and a collector: when is an answer bought twice?

A plan takes the fingerprint in the ledger (`Planner.decide` → `fingerprints.take`), looks whether it was answered
(`Planner._bought_before` → `lookups.answered`), and sends it. The collector commits the answer in the warehouse
(`collect._store`) and frees the fingerprint in the ledger (`collect._settle`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from batch_pipeline_tests.model.explorer import Explored, explore

Planning = Literal["take", "look", "send"]
Collecting = Literal["commit", "free"]

NOBODY = -1


@dataclass(frozen=True)
class Order:
    """In which order a plan and the collector take their steps."""

    name: str
    plan: Sequence[Planning] = ("take", "look", "send")
    collect: Sequence[Collecting] = ("commit", "free")


SAFE = Order("taken before it is looked up, freed after the answer is committed")
LEFT_OUT = (
    Order("not taken at all", plan=("look", "send")),
    Order("taken after it is looked up", plan=("look", "take", "send")),
    Order("freed before the answer is committed", collect=("free", "commit")),
)


class Plan(NamedTuple):
    """A job's plan: steps done, whether it saw an answer, and how far its batch is collected."""

    done: int = 0
    saw_answer: bool = False
    sent: bool = False
    collected: int = 0


class State(NamedTuple):
    """Two plans, the row of `inflight`, and whether the warehouse has the answer."""

    plans: tuple[Plan, ...] = (Plan(), Plan())
    holder: int = NOBODY
    answered: bool = False


def run(order: Order) -> Explored:
    """Explores an order: is there a way to buy the fingerprint twice?"""
    return explore(State(), lambda state: _moves(order, state), _bought_twice)


def _bought_twice(state: State) -> bool:
    return all(plan.sent for plan in state.plans)


def _moves(order: Order, state: State) -> Iterator[tuple[str, State]]:
    for number, plan in enumerate(state.plans):
        if plan.done < len(order.plan):
            yield _plan(order, state, number)
            yield f"J{number + 1} is killed", _abandoned(order, state, number)
        if plan.sent and plan.collected < len(order.collect):
            yield _collect(order, state, number)


def _plan(order: Order, state: State, number: int) -> tuple[str, State]:
    plan, who = state.plans[number], f"J{number + 1}"
    match order.plan[plan.done]:
        case "take" if plan.saw_answer:
            return f"{who} uses the answer", _through(order, state, number)
        case "take" if state.holder != NOBODY:
            return f"{who} waits for the other's answer", _through(order, state, number)
        case "take":
            return f"{who} takes it", _with(state, number, plan._replace(done=plan.done + 1))._replace(holder=number)
        case "look":
            seen = plan._replace(done=plan.done + 1, saw_answer=state.answered)
            return f"{who} sees {'the' if state.answered else 'no'} answer", _with(state, number, seen)
        case "send" if plan.saw_answer:
            return f"{who} uses the answer and frees it", _abandoned(order, state, number)
        case "send":
            return f"{who} buys it", _with(state, number, plan._replace(done=plan.done + 1, sent=True))


def _collect(order: Order, state: State, number: int) -> tuple[str, State]:
    plan = state.plans[number]
    state = _with(state, number, plan._replace(collected=plan.collected + 1))
    if order.collect[plan.collected] == "commit":
        return f"the collector commits the answer of J{number + 1}", state._replace(answered=True)
    return f"the collector frees what J{number + 1} took", _freed(state, number)


def _abandoned(order: Order, state: State, number: int) -> State:
    """`plan.abandon_dead_plans`: what it had taken is free, and nothing was sent."""
    return _freed(_through(order, state, number), number)


def _through(order: Order, state: State, number: int) -> State:
    return _with(state, number, state.plans[number]._replace(done=len(order.plan)))


def _freed(state: State, number: int) -> State:
    return state._replace(holder=NOBODY) if state.holder == number else state


def _with(state: State, number: int, plan: Plan) -> State:
    plans = list(state.plans)
    plans[number] = plan
    return state._replace(plans=tuple(plans))
