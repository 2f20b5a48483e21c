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
`REGISTERS` below: what feeds each register, the parts of its order from left to right, and the columns it holds. It is
read once for each voice in which an event can speak (`_plan`); folding an event is then filling in its own bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from operator import itemgetter
from typing import Any, NamedTuple

from msgspec import Struct

from . import orders
from .identity import RunKey
from .models import Event, RunReference, stored_json
from .orders import Part, Slot, Voice
from .payload import JsonText, Withheld
from .vocabulary import VERBS, Authority, Verb

# Raised whenever the same events could give another row: a table folded by a newer version is not written by an older.
FOLD_VERSION = 1


class Cell(Struct, frozen=True, gc=False):
    """What a register holds.

    Attributes:
        order: what it was won with.
        values: the values of its columns.
    """

    order: bytes
    values: tuple[Any, ...]


class State(Struct, frozen=True, gc=False):
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


Condition = bool | str  # whether events feed a register; a name is the field that they must carry for it


@dataclass(frozen=True, slots=True)
class Register:
    """One line of the table.

    Attributes:
        name: the register; its order's column is `<name>_order`.
        fed_by: whether events of a voice feed the register.
        order: the parts of the order, most important first.
        columns: the names of the values.
        values: the values an event gives them.
        digest: what ends the order; None where the order contains the value.
    """

    name: str
    fed_by: Callable[[Voice], Condition]
    order: tuple[Part, ...]
    columns: tuple[str, ...]
    values: Callable[[Event], tuple[Any, ...]]
    digest: Callable[[tuple[Any, ...]], bytes] | None = orders.digest


def carries(field: str) -> Callable[[Voice], Condition]:
    """Fed by any event that carries a field."""
    return lambda _: field


def says(*verbs: Verb) -> Callable[[Voice], Condition]:
    """Fed by events of these verbs."""
    return lambda voice: voice.verb in verbs


def ends_with(field: str) -> Callable[[Voice], Condition]:
    """Fed by terminal events that carry a field."""
    return lambda voice: VERBS[voice.verb].terminal and field


def field(name: str) -> Callable[[Event], tuple[Any, ...]]:
    """The field's value."""
    return lambda event: (getattr(event.data, name),)


def payload(name: str) -> Callable[[Event], tuple[JsonText]]:
    """The field's JSON text."""
    return lambda event: (stored_json(getattr(event.data, name)),)


def _status(event: Event) -> tuple[Any, ...]:
    rule, data = VERBS[event.verb], event.data
    completed_at = (data.completed_at or event.time) if rule.terminal else None
    reason = None if data.reason is None else _text(data.reason)
    return (rule.status, data.attempt, completed_at, reason, data.actor)


def _text(reason: str | Withheld) -> str:
    return str(reason.text) if isinstance(reason, Withheld) else reason


def _with_error(voice: Voice) -> Condition:
    ends = VERBS[voice.verb].terminal and voice.verb is not Verb.COMPLETED
    return (ends or voice.verb is Verb.RETRYING) and "error"


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


def _fact(name: str, column: str = "") -> Register:
    return Register(name, carries(name), _FACT, (column or name,), field(name), orders.digest_of_name)


REGISTERS: tuple[Register, ...] = (
    Register(
        "status",
        lambda voice: VERBS[voice.verb].status is not None,
        _STATUS,
        ("status", "attempt", "completed_at", "reason", "actor"),
        _status,
    ),
    Register(
        "started",
        lambda voice: voice.verb is Verb.STARTED or "started_at",
        (orders.attempt, orders.authority, orders.started_earlier),
        ("register_started_at",),
        lambda event: (event.data.started_at or event.time,),
        digest=None,
    ),
    Register("input", carries("input"), (orders.attempt, *_FACT), ("input",), payload("input")),
    Register(
        "output",
        lambda voice: voice.verb is Verb.COMPLETED and "output",
        _VERDICT,
        ("output",),
        payload("output"),
    ),
    Register("error", _with_error, _VERDICT, ("error",), payload("error")),
    Register(
        "duration",
        ends_with("duration_ms"),
        (*_VERDICT, orders.duration),
        ("register_duration_ms",),
        field("duration_ms"),
        digest=None,
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
        digest=None,
    ),
    Register(
        "cancel_request",
        says(Verb.CANCEL_REQUESTED),
        (orders.attempt, orders.earlier_time),
        ("register_cancel_requested_at",),
        lambda event: (event.time,),
        digest=None,
    ),
    Register(
        "visibility",
        says(Verb.DELETED, Verb.RESTORED),
        (orders.later_time, orders.restored_wins),
        ("deleted_at",),
        lambda event: (event.time if event.verb is Verb.DELETED else None,),
        digest=None,
    ),
    _fact("workflow_id"),
    _fact("user_id", "created_by"),
    _fact("workflow_name"),
    _fact("orchestrator"),
    _fact("scheduled_for"),
    _fact("next_run_id"),
    Register("parent", carries("parent"), _FACT, ("parent",), _reference("parent")),
    Register("root", carries("root"), _FACT, ("root",), _reference("root")),
    Register("labels", carries("labels"), (orders.authority, orders.later_time), ("labels",), payload("labels")),
    Register("highest_claim", orders.is_report, (*_CLAIM, orders.verb), (), lambda _: (), digest=None),
    Register("lowest_claim", orders.is_report, (*_CLAIM, orders.verb_reversed), (), lambda _: (), digest=None),
)


class _Feed(NamedTuple):
    """A register as events of one voice feed it.

    `parts` picks the parts of its order from their bytes; registers whose orders have the same parts share it.
    """

    name: str
    values: Callable[[Event], tuple[Any, ...]]
    parts: Callable[[tuple[bytes, ...]], tuple[bytes, ...]]
    digest: Callable[[tuple[Any, ...]], bytes] | None


class _Plan(NamedTuple):
    """What events of one voice feed: in any case, and by the field that they carry; and the bytes they share."""

    always: tuple[_Feed, ...]
    by_field: Mapping[str, tuple[_Feed, ...]]
    fields: frozenset[str]
    shared: tuple[bytes, ...]


@cache
def _plan(verb: Verb, authority: Authority, revises: bool) -> _Plan:
    """Read the table for one voice."""
    voice = Voice(verb, authority, revises)
    shared: list[bytes] = [b""]
    always: list[_Feed] = []
    by_field: dict[str, tuple[_Feed, ...]] = {}
    pickers: dict[tuple[Part, ...], Callable[[tuple[bytes, ...]], tuple[bytes, ...]]] = {}
    for register in REGISTERS:
        places = []
        for part in register.order:
            piece = part(voice)
            if isinstance(piece, bytes):
                places.append(len(Slot) + len(shared))
                shared.append(piece)
            else:
                places.append(int(piece))
        # The last is b"", for a getter of one thing returns no tuple.
        parts = pickers.setdefault(register.order, itemgetter(*places, len(Slot)))
        feed = _Feed(register.name, register.values, parts, register.digest)
        condition = register.fed_by(voice)
        if isinstance(condition, str):
            by_field[condition] = (*by_field.get(condition, ()), feed)
        elif condition:
            always.append(feed)
    return _Plan(tuple(always), by_field, frozenset(by_field), tuple(shared))


def state_of(event: Event) -> State:
    """Return the state that one event alone gives."""
    data = event.data
    plan = _plan(event.verb, data.authority, data.revises)
    feeds = [*plan.always]
    for carried in plan.fields.intersection(data.model_fields_set):
        if getattr(data, carried) is not None:
            feeds += plan.by_field[carried]
    bytes_ = orders.slots(event) + plan.shared
    heads: dict[object, bytes] = {}
    cells = {}
    for name, values_of, parts_of, digest in feeds:
        values = values_of(event)
        head = heads.get(parts_of)
        if head is None:
            head = heads[parts_of] = b"".join(parts_of(bytes_))
        cells[name] = Cell(head if digest is None else head + digest(values), values)
    return State(data.run, cells, event.time, event.time)


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
