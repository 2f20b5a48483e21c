"""Orders sort as byte strings the way their parts sort as values."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import Authority, Event, Verb, orders
from events.fold import REGISTERS, state_of
from events.orders import Part, Slot, Voice
from tests import oracle
from tests.lives import at, event
from tests.strategies import events

times = st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - Hypothesis adds the zone


def oracle_rank(e: Event) -> int:
    """The weight of an event's claim by the rules, read a second time."""
    reports = e.verb in oracle.TERMINAL and e.data.authority in (Authority.WORKER, Authority.SERVER)
    if e.data.authority is Authority.OPERATOR or e.data.revises or reports:
        return 4
    return {"scheduled": 1, "heartbeat": 2}.get(e.verb.value, 3)


def voice(e: Event) -> Voice:
    """How an event speaks."""
    return Voice(e.verb, e.data.authority, e.data.revises)


def bytes_of(part: Part, e: Event) -> bytes:
    """What a part is for an event: bytes that its voice gives, or those of the event's own."""
    piece = part(voice(e))
    return orders.slots(e)[piece] if isinstance(piece, Slot) else piece


# Each part with the value that it stands for: the greater value must give the greater bytes.
PARTS: dict[Part, Callable[[Event], object]] = {
    orders.attempt: lambda e: e.data.attempt,
    orders.authority: lambda e: e.data.authority.level,
    orders.rank: oracle_rank,
    orders.terminal: lambda e: e.verb in oracle.TERMINAL,
    orders.kind: lambda e: e.data.authority is Authority.OPERATOR or e.data.revises,
    orders.later_time: lambda e: e.time,
    orders.earlier_time: lambda e: -e.time.timestamp(),
    orders.started_earlier: lambda e: -(e.data.started_at or e.time).timestamp(),
    orders.activities: lambda e: e.data.activities_executed or 0,
    orders.duration: lambda e: e.data.duration_ms or 0,
    orders.restored_wins: lambda e: e.verb is Verb.RESTORED,
}


@pytest.mark.parametrize(("part", "value"), PARTS.items(), ids=[part.__name__ for part in PARTS])
@given(pair=st.tuples(events(), events()))
def test_a_part_sorts_as_its_value(part: Part, value: Callable[[Event], object], pair: tuple[Event, Event]) -> None:
    """The bytes of a part sort as the value that it stands for, and have the same length for every event."""
    left, right = pair
    one, other = (bytes_of(part, e) for e in pair)
    assert len(one) == len(other)
    a, b = value(left), value(right)
    assert (one > other) == (a > b)  # type: ignore[operator] # the values of one part are of one type


@given(times, times)
def test_times_sort_as_bytes(one: datetime, other: datetime) -> None:
    """A later time has the greater bytes one way and the smaller the other, to the microsecond."""
    assert (orders.later(one) > orders.later(other)) == (one > other)
    assert (orders.earlier(one) > orders.earlier(other)) == (one < other)
    assert orders.microseconds(one) - orders.microseconds(other) == (one - other) // timedelta(microseconds=1)


@pytest.mark.parametrize("bound", [2**8 - 1, 2**16 - 1, 2**31 - 2])
def test_widths_are_fixed(bound: int) -> None:
    """Numbers on both sides of a byte's border keep their order, which decimal text would not."""
    assert bytes_of(orders.attempt, event("started", attempt=bound)) < bytes_of(
        orders.attempt, event("started", attempt=bound + 1)
    )
    fewer, more = (event("heartbeat", activities_executed=n) for n in (bound, bound + 1))
    assert bytes_of(orders.activities, fewer) < bytes_of(orders.activities, more)


@given(events())
def test_an_order_is_its_parts_and_a_digest(e: Event) -> None:
    """Each register's order is its parts one after the other, and a digest of eight bytes unless it holds the value."""
    cells = state_of(e).registers
    for register in REGISTERS:
        if (cell := cells.get(register.name)) is not None:
            parts = b"".join(bytes_of(part, e) for part in register.order)
            assert cell.order.startswith(parts)
            assert len(cell.order) - len(parts) == (8 if register.digest else 0)
            assert len(cell.values) == len(register.columns)


@given(st.lists(events(), min_size=2, max_size=2))
def test_orders_of_one_register_have_one_length(pair: list[Event]) -> None:
    """Two orders of one register are equally long, so that bytes are compared with their like."""
    left, right = (state_of(e).registers for e in pair)
    for name in left.keys() & right.keys():
        assert len(left[name].order) == len(right[name].order), name


def test_a_report_is_a_first_hand_verdict() -> None:
    """Terminal verbs of a worker or a server are reports, unless they revise; guesses and operators' words are not."""
    assert orders.is_report(voice(event("completed")))
    assert orders.is_report(voice(event("failed", authority="server")))
    assert not orders.is_report(voice(event("started")))
    assert not orders.is_report(voice(event("failed", authority="server", revises=True)))
    assert not orders.is_report(voice(event("failed", authority="inferred", attempt=1)))
    assert not orders.is_report(voice(event("failed", authority="operator", attempt=1, completed_at=at(0))))


def test_of_reports_the_earlier_and_of_corrections_the_later_decides() -> None:
    """A run closes once, so the first report stands; a later revision or guess replaces an earlier one."""
    kinds: list[tuple[dict[str, Any], bool]] = [({}, False), ({"authority": "server", "revises": True}, True)]
    for extra, later_wins in kinds:
        first, second = (bytes_of(orders.deciding_time, event("failed", seconds, **extra)) for seconds in (1, 2))
        assert (second > first) == later_wins


def test_digests_differ_with_their_values() -> None:
    """Equal values have equal digests of eight bytes; different ones, also in type, have different ones."""
    values: list[list[object]] = [["a"], ["b"], ["a", None], [1], ["1"], [True], [None], [at(0)], [at(0.000001)]]
    assert len({orders.digest(v) for v in values}) == len(values)
    assert {len(orders.digest(v)) for v in values} == {8}
    assert orders.digest(["a", 1]) == orders.digest(["a", 1])
