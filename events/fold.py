"""The fold: what a set of events says about an execution, whatever order they arrive in.

The rules
---------
A state is a set of *registers*. A register holds an order and values; an empty register has the empty order.

- An event feeds a register only if it carries what the register holds.
- Merging two states keeps, register by register, the cell with the greater order, and nothing else.
- Folding events merges the states of the single events.

Why it works
------------
"The greater order wins" is a maximum, and a maximum is commutative, associative and idempotent: so is the merge.
Folding is therefore a function of the *set* of events. Order, duplicates and the split into batches cannot show.
Two cells of equal order must hold equal values, or the maximum would depend on who came first: every order ends with
a digest of its values, or contains the value. Event ids take no part, since real sources reuse them.

All meaning lies in how an order is made (`events.orders`), once, here in Python. The merge in SQL compares the same
bytes and knows nothing else.

The table
---------
`REGISTERS` below: what feeds each register, the parts of its order from left to right, and the columns it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from . import orders
from .identity import RunKey
from .models import Event, RunReference, stored_json
from .orders import Part
from .payload import JsonText, Withheld
from .vocabulary import VERBS, Verb

# Raised whenever the same events could give another row: a table folded by a newer version is not written by an older.
FOLD_VERSION = 1


class Cell(NamedTuple):
    """What a register holds: the order it was won with, and the values of its columns."""

    order: bytes
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class State:
    """What is known of an execution.

    Attributes:
        run: which execution.
        registers: the registers that something fed, by name.
        created_at: time of the first event.
        updated_at: time of the last event.
    """

    run: RunKey
    registers: Mapping[str, Cell]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Register:
    """One line of the table.

    Attributes:
        name: the register; its order's column is `<name>_order`.
        fed_by: whether an event carries what the register holds.
        order: the parts of the order, most important first.
        columns: the names of the values.
        values: the values an event gives them.
        digested: whether a digest of the values ends the order; false where the order contains the value.
    """

    name: str
    fed_by: Callable[[Event], bool]
    order: tuple[Part, ...]
    columns: tuple[str, ...]
    values: Callable[[Event], tuple[Any, ...]]
    digested: bool = True

    def cell(self, event: Event, known: dict[Part, bytes] | None = None) -> Cell:
        """Return the cell that an event feeds; `known` are the parts that other registers have made of it already."""
        values = self.values(event)
        parts = {} if known is None else known
        for part in self.order:
            if part not in parts:
                parts[part] = part(event)
        order = b"".join([parts[part] for part in self.order])
        return Cell(order + orders.digest(values) if self.digested else order, values)


def carries(field: str) -> Callable[[Event], bool]:
    """Fed by any event that carries a field."""
    return lambda event: getattr(event.data, field) is not None


def says(*verbs: Verb) -> Callable[[Event], bool]:
    """Fed by events of these verbs."""
    return lambda event: event.verb in verbs


def ends_with(field: str) -> Callable[[Event], bool]:
    """Fed by terminal events that carry a field."""
    return lambda event: VERBS[event.verb].terminal and getattr(event.data, field) is not None


def field(name: str) -> Callable[[Event], tuple[Any, ...]]:
    """The field's value."""
    return lambda event: (getattr(event.data, name),)


def payload(name: str) -> Callable[[Event], tuple[JsonText]]:
    """The field's JSON text."""
    return lambda event: (stored_json(getattr(event.data, name)),)


def _status(event: Event) -> tuple[Any, ...]:
    rule, data = VERBS[event.verb], event.data
    completed_at = (data.completed_at or event.time) if rule.terminal else None
    reason = data.reason.text if isinstance(data.reason, Withheld) else data.reason
    return (rule.status, data.attempt, completed_at, None if reason is None else str(reason), data.actor)


def _carries_error(event: Event) -> bool:
    ends = VERBS[event.verb].terminal and event.verb is not Verb.COMPLETED
    return (ends or event.verb is Verb.RETRYING) and event.data.error is not None


def _reference(name: str) -> Callable[[Event], tuple[JsonText]]:
    """The other run's three names and its id."""

    def values(event: Event) -> tuple[JsonText]:
        other = getattr(event.data, name)
        assert isinstance(other, RunReference)
        run = RunKey(other.namespace or event.data.namespace, other.temporal_workflow_id, other.temporal_run_id)
        return (JsonText.of({**run._asdict(), "id": run.id}),)

    return values


# Status, output, error and duration share the shape of their order: one rule tells whether they belong together.
_T = (orders.kind, orders.deciding_time)
_VERDICT = (orders.attempt, orders.terminal, orders.authority, *_T, orders.verb)
_STATUS = (orders.attempt, orders.rank, orders.verdict_authority, *_T, orders.verb)
_CLAIM = (orders.attempt, orders.rank, orders.authority, orders.kind)
_FACT = (orders.authority, orders.kind, orders.fact_time)


def _fact(name: str) -> Register:
    return Register(name, carries(name), _FACT, (name,), field(name))


REGISTERS: tuple[Register, ...] = (
    Register(
        "status",
        lambda event: VERBS[event.verb].status is not None,
        _STATUS,
        ("status", "attempt", "completed_at", "reason", "actor"),
        _status,
    ),
    Register(
        "started",
        lambda event: event.verb is Verb.STARTED or event.data.started_at is not None,
        (orders.attempt, orders.authority, orders.started_earlier),
        ("register_started_at",),
        lambda event: (event.data.started_at or event.time,),
        digested=False,
    ),
    Register("input", carries("input"), (orders.attempt, *_FACT), ("input",), payload("input")),
    Register(
        "output",
        lambda event: event.verb is Verb.COMPLETED and event.data.output is not None,
        _VERDICT,
        ("output",),
        payload("output"),
    ),
    Register("error", _carries_error, _VERDICT, ("error",), payload("error")),
    Register(
        "duration",
        ends_with("duration_ms"),
        (*_VERDICT, orders.duration),
        ("register_duration_ms",),
        field("duration_ms"),
        digested=False,
    ),
    Register(
        "progress",
        carries("progress"),
        (orders.attempt, orders.later_time),
        ("register_progress",),
        payload("progress"),
    ),
    Register(
        "activities",
        carries("activities_executed"),
        (orders.attempt, orders.activities),
        ("register_activities_executed",),
        field("activities_executed"),
        digested=False,
    ),
    Register(
        "cancel_request",
        says(Verb.CANCEL_REQUESTED),
        (orders.attempt, orders.earlier_time),
        ("register_cancel_requested_at",),
        lambda event: (event.time,),
        digested=False,
    ),
    Register(
        "visibility",
        says(Verb.DELETED, Verb.RESTORED),
        (orders.later_time, orders.restored_wins),
        ("deleted_at",),
        lambda event: (event.time if event.verb is Verb.DELETED else None,),
        digested=False,
    ),
    _fact("workflow_id"),
    Register("user_id", carries("user_id"), _FACT, ("created_by",), field("user_id")),
    _fact("workflow_name"),
    # A default is not carried: an event that is silent about its orchestrator must not outbid one that names it.
    Register(
        "orchestrator", lambda event: event.data.states("orchestrator"), _FACT, ("orchestrator",), field("orchestrator")
    ),
    _fact("scheduled_for"),
    _fact("next_run_id"),
    Register("parent", carries("parent"), _FACT, ("parent",), _reference("parent")),
    Register("root", carries("root"), _FACT, ("root",), _reference("root")),
    Register("labels", carries("labels"), (orders.authority, orders.later_time), ("labels",), payload("labels")),
    Register("highest_claim", orders.is_report, (*_CLAIM, orders.verb), (), lambda _: (), digested=False),
    Register("lowest_claim", orders.is_report, (*_CLAIM, orders.verb_reversed), (), lambda _: (), digested=False),
)


def state_of(event: Event) -> State:
    """Return the state that one event alone gives."""
    known: dict[Part, bytes] = {}
    cells = {register.name: register.cell(event, known) for register in REGISTERS if register.fed_by(event)}
    return State(event.data.run, cells, event.time, event.time)


def merge(a: State, b: State) -> State:
    """Return what both states together say.

    Raises:
        ValueError: the states speak of different executions.
    """
    if a.run != b.run:
        msg = f"two executions cannot be merged: {a.run} and {b.run}"
        raise ValueError(msg)
    registers = dict(a.registers)
    for name, cell in b.registers.items():
        held = registers.get(name)
        if held is None or cell.order > held.order:
            registers[name] = cell
    return State(a.run, registers, min(a.created_at, b.created_at), max(a.updated_at, b.updated_at))


def fold(events: Iterable[Event]) -> State:
    """Return what a set of events of one execution says.

    Raises:
        ValueError: there is no event, or they speak of different executions.
    """
    states = map(state_of, events)
    state = next(states, None)
    if state is None:
        msg = "an execution without events has no state"
        raise ValueError(msg)
    for other in states:
        state = merge(state, other)
    return state
