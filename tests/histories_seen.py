"""A pytest plugin: every law over generated histories must have tried enough of them, of every nasty kind.

The strategies note each history's kinds with `hypothesis.event`. After a law (a test marked `law`) has passed, the
plugin counts them in Hypothesis' own statistics of that run and fails the law if they fall short; at the end it prints
the counts of all laws. Without the plugin the laws run all the same, and demand nothing of their generator.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import hypothesis
import pytest
from hypothesis.statistics import collector

from events import Authority, Event, Verb
from events.fold import Cell, state_of
from events.vocabulary import VERBS

History = Sequence[Event]

# How many histories each law tries: `ci` the same ones in every run, `deep` others in every run.
HISTORIES = {"ci": 300, "deep": 5_000}
PERCENT_MIN = 5.0
TRIED = "histories"

# The registers whose order ends with a digest of the values; every other order contains its value.
DIGESTED = frozenset(
    {"status", "input", "output", "error", "progress", "labels", "workflow_id", "user_id", "workflow_name"}
    | {"orchestrator", "scheduled_for", "next_run_id", "parent", "root"}
)
DIGEST_BYTES = 8

TERMINAL = frozenset(verb for verb in Verb if VERBS[verb].terminal)
# Where a verb stands in a normal life.
PLACES = {Verb.SCHEDULED: 0, Verb.STARTED: 1} | dict.fromkeys(TERMINAL, 3)
PLACES |= dict.fromkeys((Verb.HEARTBEAT, Verb.PAUSED, Verb.RESUMED, Verb.RETRYING, Verb.CANCEL_REQUESTED), 2)


def profile() -> str:
    """The profile of Hypothesis that WEX_LAWS asks for."""
    asked = os.environ.get("WEX_LAWS", "ci")
    assert asked in HISTORIES, f"WEX_LAWS must be one of {sorted(HISTORIES)}, not {asked!r}"
    return asked


def cells(event: Event) -> Mapping[str, Cell]:
    """The registers that an event feeds."""
    return state_of(event).registers


def pairs(history: History) -> Iterator[tuple[Event, Event]]:
    """Every two different events of a history."""
    return ((a, b) for a, b in combinations(history, 2) if a is not b and a != b)


def equal_times(history: History) -> bool:
    """Two events happened at one instant."""
    times = Counter(e.time for e in history)
    return len(times) < len(history) and any(a.time == b.time for a, b in pairs(history))


def equal_orders(history: History) -> bool:
    """Two events feed a register with orders that differ in the digest alone, because their values differ."""
    fed: defaultdict[tuple[str, bytes], set[bytes]] = defaultdict(set)
    for event in history:
        for name, cell in cells(event).items():
            if name in DIGESTED:
                fed[name, cell.order[:-DIGEST_BYTES]].add(cell.order)
    return any(len(orders) > 1 for orders in fed.values())


def several_attempts(history: History) -> bool:
    """The run was opened more than once."""
    return len({e.data.attempt for e in history}) > 1


def conflicting_verdicts(history: History) -> bool:
    """Two reports end one attempt in two ways."""
    verdicts = defaultdict(set)
    for e in history:
        if e.verb in TERMINAL and e.data.authority in (Authority.WORKER, Authority.SERVER) and not e.data.revises:
            verdicts[e.data.attempt].add(e.verb)
    return any(len(verbs) > 1 for verbs in verdicts.values())


def operator_corrections(history: History) -> bool:
    """An operator says how the run ended."""
    return any(e.verb in TERMINAL and e.data.authority is Authority.OPERATOR for e in history)


def guesses(history: History) -> bool:
    """Somebody inferred that the run ended."""
    return any(e.verb in TERMINAL and e.data.authority is Authority.INFERRED for e in history)


def revisions(history: History) -> bool:
    """A server revises."""
    return any(e.data.revises for e in history)


def clock_skew(history: History) -> bool:
    """By the clocks of those who saw it, a step comes before an earlier step of a normal life."""
    seen = [
        ((e.data.attempt, PLACES[e.verb]), e.time)
        for e in history
        if e.verb in PLACES and e.data.authority in (Authority.WORKER, Authority.SERVER)
    ]
    seen.sort()
    return any(place < later and time > other for (place, time), (later, other) in combinations(seen, 2))


def missing_start(history: History) -> bool:
    """The run did something, and nothing says that or when it started."""
    did_something = any(PLACES.get(e.verb, 0) > 1 for e in history)
    return did_something and not any(e.verb is Verb.STARTED or e.data.started_at for e in history)


KINDS: dict[str, Callable[[History], bool]] = {
    kind.__name__.replace("_", " "): kind
    for kind in (
        equal_times,
        equal_orders,
        several_attempts,
        conflicting_verdicts,
        operator_corrections,
        guesses,
        revisions,
        clock_skew,
        missing_start,
    )
}


def note(histories: Iterable[History]) -> None:
    """Tell Hypothesis how many histories an example holds, and how many of each kind."""
    counts: Counter[str] = Counter()
    for history in histories:
        counts.update([TRIED, *kinds_of(history)])
    for name, number in counts.items():
        hypothesis.event(name, number)


def kinds_of(history: History) -> list[str]:
    """The nasty kinds that a history is of."""
    return [name for name, is_of_kind in KINDS.items() if is_of_kind(history)]


@dataclass
class Seen:
    """What a law has tried: how many histories, and how many of each kind."""

    counts: Counter[str] = field(default_factory=Counter)

    def add(self, statistics: Mapping[str, Any]) -> None:
        """Count what Hypothesis noted of the examples that passed."""
        phases = [phase for name, phase in statistics.items() if name.endswith("-phase")]
        for case in (case for phase in phases for case in phase["test-cases"] if case["status"] == "valid"):
            for noted in case["events"]:
                name, _, number = noted.rpartition(": ")
                if name in KINDS or name == TRIED:
                    self.counts[name] += int(number)

    @property
    def tried(self) -> int:
        """How many histories."""
        return self.counts[TRIED]

    def percent(self, kind: str) -> float:
        """How many of a hundred histories are of a kind."""
        return 100 * self.counts[kind] / max(1, self.tried)


def shortcomings(seen: Seen, demanded: int) -> list[str]:
    """What a law's histories lack."""
    few = [f"{seen.tried} histories tried, {demanded} demanded"] if seen.tried < demanded else []
    rare = [name for name in KINDS if seen.percent(name) < PERCENT_MIN]
    return few + [f"{name}: {seen.percent(name):.1f} %, {PERCENT_MIN} % demanded" for name in rare]


def table(laws: Mapping[str, Seen]) -> list[str]:
    """The lines of a table of all laws and of their sum."""
    total = Seen(sum((seen.counts for seen in laws.values()), Counter()))
    headings = [name.split(" ", 1) for name in (TRIED, *KINDS)]
    widths = [max(map(len, ["100.0 %", *words])) + 2 for words in headings]
    lines = []
    for line in range(2):
        words = [heading[line] if line < len(heading) else "" for heading in headings]
        lines.append("".join(f"{word:>{width}}" for word, width in zip(words, widths, strict=True)))
    for name, seen in (*laws.items(), ("all laws", total)):
        numbers = [f"{seen.tried:,}", *(f"{seen.percent(kind):.1f} %" for kind in KINDS)]
        lines.append("".join(f"{n:>{width}}" for n, width in zip(numbers, widths, strict=True)) + f"  {name}")
    return lines


class HistoriesSeen:
    """The plugin."""

    def __init__(self) -> None:
        self.laws: dict[str, Seen] = {}

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None]:
        """Listen to Hypothesis while a law runs, and fail a law that passed on too poor a sample."""
        if item.get_closest_marker("law") is None:
            return (yield)
        seen = Seen()
        hypothesis_listens: Any = collector  # whose own annotations know only the empty one
        outer = hypothesis_listens.value

        def listen(statistics: Mapping[str, Any]) -> None:
            seen.add(statistics)
            if outer is not None:
                outer(statistics)

        with hypothesis_listens.with_value(listen):
            yield
        self.laws[item.nodeid.partition("::")[2]] = seen
        if lacking := shortcomings(seen, HISTORIES[profile()]):
            pytest.fail("the law held, but its histories fall short: " + "; ".join(lacking), pytrace=False)
        return None

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print what the laws have tried."""
        if self.laws:
            terminalreporter.section(f"histories tried (profile {profile()})")
            terminalreporter.write("\n".join([*table(self.laws), ""]))


def pytest_configure(config: pytest.Config) -> None:
    """Watch the laws of this session; works with `-p tests.histories_seen` as well."""
    config.pluginmanager.register(HistoriesSeen(), "histories seen")
