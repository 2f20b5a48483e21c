"""One campaign, from the start of the servers to the verdict."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import platform
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import Any

from consumer.errors import WexError
from consumer.local import jars
from tests.chaos import oracles, plan
from tests.chaos.arena import GROUP, TOPIC, Arena, Missed
from tests.chaos.faults import BY_NAME
from tests.chaos.oracles import Finding
from tests.chaos.plan import Planned
from tests.chaos.segments import read_topic
from tests.chaos.witness import STATES, Witness
from tests.consuming import fetch

WARM_UP_SECONDS = 6.0  # the consumers have claimed, the producers are at their rate
LAST_FAULT_SECONDS = 8.0  # before the end of the time given, the last fault begins
STRIKE_SECONDS_MAX = 90.0
CATCH_UP_SECONDS = 60.0
PRODUCERS_STOP_SECONDS = 90.0
EXCUSE_SECONDS = 6.0  # a reader's pool notices later that PostgreSQL is back
REPORT_SECONDS = 10.0

CONNECTIONS_MAX = 24  # of three consumers with one each, and of those that died or are cut off
CONNECTIONS_AFTER_MAX = 3
RESIDENT_MAX = 350_000_000
EVENTS_PER_SECOND_MIN = 500
LAGGING_SHARE_MIN = 0.8
OVERLAPPING_SHARE_MIN = 0.3
LONG_SECONDS, EACH_KIND_MIN = 540, 3  # what takes longer meets every kind as often

Report = Callable[[str], None]


@dataclass
class Struck:
    """One fault as it happened; times in seconds after the first moment."""

    name: str
    parameters: dict[str, Any]
    start: float
    lag: int
    others: list[str]
    end: float | None = None
    outcome: str = "struck"

    def to_json(self) -> dict[str, Any]:
        """As it stands in the verdict."""
        return {**self.__dict__, "parameters": dict(self.parameters)}


@dataclass
class Campaign:
    """A campaign under way."""

    seed: int
    seconds: float
    report: Report
    weakened: bool = False
    only: Sequence[str] = ()
    struck: list[Struck] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._began = time.monotonic()
        self._active: list[Struck] = []
        self._durations: dict[str, float] = {}

    @property
    def _now(self) -> float:
        return round(time.monotonic() - self._began, 2)

    async def run(self, folder: Path) -> dict[str, Any]:
        """Run it in a folder, and return the verdict."""
        async with Arena(folder, seed=self.seed, weakened=self.weakened, report=self.report) as arena:
            self.report(f"servers, {len(arena.members)} consumers and the producers run; seed {self.seed}")
            witness = Witness(arena, Random(self.seed + 2), self._postgres_is_away)
            meanwhile = (arena.beat_for_ever(), witness.read_for_ever(), witness.look_for_ever())
            async with self._meanwhile(*meanwhile, self._report_for_ever(arena)):
                await asyncio.sleep(WARM_UP_SECONDS)
                self._began = time.monotonic()
                await self._strike_all(arena)
                self.report("the faults are over; healing")
                await arena.heal()
                await arena.producers.stop(PRODUCERS_STOP_SECONDS)
                self._durations["producing"] = self._now + WARM_UP_SECONDS
                caught_up = await self._catch_up(arena)
                await asyncio.sleep(1.5)  # a look at rest
                connections = await fetch(arena.stack.database_url, STATES)
                witness.note(list(connections))
            for member in arena.members:
                await member.stop()
            self.report("judging")
            findings = await self._judge(arena, witness, caught_up)
            return self._verdict(arena, findings)

    @asynccontextmanager
    async def _meanwhile(self, *loops: Any) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:  # one that fails ends the campaign
            tasks = [group.create_task(loop) for loop in loops]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()

    # Faults.

    async def _strike_all(self, arena: Arena) -> None:
        seconds = self.seconds - WARM_UP_SECONDS - LAST_FAULT_SECONDS
        planned = plan.draw(self.seed, seconds, only=self.only or self._possible(arena))
        async with asyncio.TaskGroup() as tasks:
            for each in planned:
                await asyncio.sleep(max(0.0, each.at - self._now))
                tasks.create_task(self._strike(arena, each))

    def _possible(self, arena: Arena) -> list[str]:
        return [name for name in BY_NAME if name != "disk full" or arena.small_disk]

    async def _strike(self, arena: Arena, planned: Planned) -> None:
        fault = planned.fault
        async with arena.exclusively(fault.resource):
            others = [other.name for other in self._active]
            struck = Struck(fault.name, planned.parameters, self._now, arena.lag, others)
            self.struck.append(struck)
            self._active.append(struck)
            try:
                await asyncio.wait_for(fault.strike(arena, planned.parameters), STRIKE_SECONDS_MAX)
            except Missed as missed:
                struck.outcome = f"missed: {missed}"
            except (OSError, TimeoutError, WexError) as error:
                struck.outcome = f"failed: {type(error).__name__}: {error}"
            finally:
                struck.end = self._now
                self._active.remove(struck)

    def _postgres_is_away(self) -> bool:
        return any(
            BY_NAME[each.name].readers_may_fail and (each.end is None or self._now < each.end + EXCUSE_SECONDS)
            for each in self.struck
        )

    # The end.

    async def _catch_up(self, arena: Arena) -> bool:
        began = time.monotonic()
        while time.monotonic() - began < CATCH_UP_SECONDS:
            log = await asyncio.to_thread(read_topic, arena.stack.kafka.folder / "log", TOPIC)
            found = await fetch(arena.stack.database_url, "SELECT partition, next_offset FROM positions")
            if {n: each.end for n, each in log.items()} == {r["partition"]: r["next_offset"] for r in found}:
                self._durations["catching up"] = round(time.monotonic() - began, 1)
                self.report(f"caught up after {self._durations['catching up']} s")
                return True
            await asyncio.sleep(0.5)
        self._durations["catching up"] = round(time.monotonic() - began, 1)
        return False

    async def _judge(self, arena: Arena, witness: Witness, caught_up: bool) -> dict[str, Finding]:
        url = arena.stack.database_url
        log = await asyncio.to_thread(read_topic, arena.stack.kafka.folder / "log", TOPIC)
        return {
            "O1 ledger": await oracles.judge_ledger(url, log),
            "O2 tables": await oracles.judge_tables(url, log, Random(self.seed + 3)),
            "O3 commit order": await oracles.judge_order(url),
            "O4 dead letters": await oracles.judge_dead_letters(url, log),
            "O5 readers": _judge_witness(witness),
            "O6 liveness": self._judge_liveness(arena, caught_up),
            "O7 resources": _judge_resources(arena, witness),
            "O8 incidents": await oracles.judge_incidents(url),
            "conditions": self._judge_conditions(arena),
        }

    def _judge_liveness(self, arena: Arena, caught_up: bool) -> Finding:
        wrong = [end for member in arena.members for end in member.wrong_ends]
        if not caught_up:
            wrong.append(f"not caught up {CATCH_UP_SECONDS:g} s after everything healed")
        wrong += [f"{each.name} {each.outcome}" for each in self.struck if each.outcome.startswith("failed")]
        ends = sum((member.ends for member in arena.members), Counter[str]())
        return Finding({"seconds": self._durations["catching up"], "exit codes": dict(ends)}, tuple(wrong))

    def _judge_conditions(self, arena: Arena) -> Finding:
        struck = [each for each in self.struck if each.outcome == "struck"]
        counts = arena.producers.counts
        events = counts.get("acknowledged", 0) + counts.get("committed", 0)
        measured = {
            "events per second": (round(events / self._durations["producing"]), EVENTS_PER_SECOND_MIN),
            "share of faults under lag": (_share(each.lag > 0 for each in struck), LAGGING_SHARE_MIN),
            "share of faults beside another": (_share(bool(each.others) for each in struck), OVERLAPPING_SHARE_MIN),
        }
        if self.seconds >= LONG_SECONDS and not self.only:
            kinds = Counter(each.name for each in struck)
            measured["least faults of a kind"] = (min(kinds[name] for name in self._possible(arena)), EACH_KIND_MIN)
        wrong = tuple(f"{name} {value}, not {least}" for name, (value, least) in measured.items() if value < least)
        counts_shown = {name: value for name, (value, _) in measured.items()}
        return Finding({**counts_shown, "lag peak": arena.lag_peak, "struck": len(struck), "produced": counts}, wrong)

    def _verdict(self, arena: Arena, findings: dict[str, Finding]) -> dict[str, Any]:
        names = ("aiokafka", "asyncpg", "uvloop")
        versions = {"python": platform.python_version(), "kafka": jars.KAFKA, **{name: version(name) for name in names}}
        return {
            "passed": not any(finding.wrong for finding in findings.values()),
            "seed": self.seed,
            "weakened": self.weakened,
            "versions": versions,
            "seconds": self._durations | {"given": self.seconds},
            "group": GROUP,
            "partitions": arena.partitions,
            "faults by kind": dict(
                Counter(each.name for each in self.struck if each.outcome == "struck").most_common()
            ),
            "oracles": {name: finding.to_json() for name, finding in findings.items()},
            "faults": [each.to_json() for each in self.struck],
        }

    async def _report_for_ever(self, arena: Arena) -> None:
        while True:
            await asyncio.sleep(REPORT_SECONDS)
            sent = arena.producers.counts.get("acknowledged", 0)
            now = ", ".join(each.name for each in self._active) or "nothing"
            self.report(f"{self._now:6.0f} s: {sent} records, lag {arena.lag}, {len(self.struck)} faults; now {now}")


def _share(values: Any) -> float:
    answers = list(values)
    return round(sum(answers) / len(answers), 2) if answers else 0.0


def _judge_witness(witness: Witness) -> Finding:
    wrong = tuple(witness.regressions[:5] + witness.errors[:5])
    counts = {"regressions": len(witness.regressions), "errors": len(witness.errors), "excused": witness.excused}
    counts["applied_at went back"] = witness.stamped_back
    return Finding({"reads": witness.reads, **counts}, wrong)


def _judge_resources(arena: Arena, witness: Witness) -> Finding:
    peaks = [member.resident_peak for member in arena.members]
    measured = {
        "idle in transaction": (witness.in_transaction, 0),
        "connections": (witness.connections, CONNECTIONS_AFTER_MAX),
        "connections peak": (witness.connections_peak, CONNECTIONS_MAX),
        "resident peak": (max(peaks), RESIDENT_MAX),
    }
    wrong = tuple(f"{name} {value}, not at most {most}" for name, (value, most) in measured.items() if value > most)
    return Finding({**{name: value for name, (value, _) in measured.items()}, "resident peaks": peaks}, wrong)


async def run(
    *,
    minutes: float,
    seed: int,
    report: Report,
    weakened: bool = False,
    only: Sequence[str] = (),
    keep: Path | None = None,
) -> dict[str, Any]:
    """Run a campaign and return its verdict.

    Args:
        minutes: how long the producers produce.
        seed: decides which faults come when.
        report: takes progress lines.
        weakened: leave out the consumers' guard; the verdict must then be bad.
        only: names of the faults to draw from; all where none is named.
        keep: a folder to work in, which stays; a temporary one that goes if None.
    """
    logging.getLogger("asyncpg").setLevel(logging.CRITICAL)  # a pool tells at length that PostgreSQL is away
    campaign = Campaign(seed, minutes * 60, report, weakened, only)
    with contextlib.ExitStack() as exits:
        folder = keep or Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="wex-chaos-")))
        folder.mkdir(parents=True, exist_ok=True)
        return await campaign.run(folder)
