"""The plan of a campaign: which fault begins when, all of it decided by the seed before anything starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from tests.chaos.faults import FAULTS, Fault, Parameters

GAP_SECONDS = 2.6  # between two faults, on average; many last longer, so that they meet
HEALING_SECONDS = {"kafka": 6.0, "postgres": 3.0, "membership": 8.0}  # what comes after the fault: a start, a session


@dataclass(frozen=True)
class Planned:
    """One fault of the plan: when it is to begin, in seconds after the first moment, and with which parameters."""

    at: float
    fault: Fault
    parameters: Parameters

    @property
    def until(self) -> float:
        """When it should be over."""
        return self.at + float(self.parameters.get("seconds", 0))


def draw(seed: int, seconds: float, *, only: Iterable[str] = ()) -> list[Planned]:
    """The faults of a campaign.

    A kind that came often is drawn less often, so that a long run meets all kinds and a short one many.

    Args:
        seed: decides everything.
        seconds: after which no fault begins.
        only: names of the faults to draw from; all where none is named.
    """
    chance = Random(seed)
    names = set(only) or {fault.name for fault in FAULTS}
    possible = [fault for fault in FAULTS if fault.name in names]
    drawn: Counter[str] = Counter()
    busy: dict[str, float] = {}
    plan: list[Planned] = []
    at = 0.0
    while (at := at + chance.uniform(0.2, 2 * GAP_SECONDS - 0.2)) < seconds:
        free = [fault for fault in possible if busy.get(fault.resource, 0.0) <= at]
        if not free:
            continue
        [fault] = chance.choices(free, [fault.weight / (1 + drawn[fault.name]) ** 2 for fault in free])
        planned = Planned(round(at, 2), fault, fault.draw(chance))
        drawn[fault.name] += 1
        if fault.resource:
            busy[fault.resource] = planned.until + HEALING_SECONDS.get(fault.resource, 0.5)
        plan.append(planned)
    return plan
