"""What the campaign writes to the topic: lives of executions without end, duplicates, reordering, and poison."""

from __future__ import annotations

import json
import zlib
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from random import Random
from typing import Any, NamedTuple

from events import execution_id
from tests.hostile.cases import CASES, Outcome, Sent, hostile
from tests.kafka.poison import HEADERS

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
LIVING = 400  # executions that are told at the same time
WORKFLOWS = 40
POISON_BYTES_MAX = 20_000  # a campaign is about faults; tests/hostile is about size
POISON_KEY = b"poison-"  # how the oracle knows again what it must find among the dead letters
ENDS = ("completed", "completed", "completed", "failed", "cancelled", "timed_out", "terminated")

DUPLICATES, REORDERED, POISON, TOMBSTONES = 0.10, 0.10, 0.02, 0.002


def _poison() -> tuple[Sent, ...]:
    """Single records that must become dead letters, the last of them one that the Kafka client cannot read."""
    dead = (case.sent[0] for case in CASES if case.outcome is Outcome.DEAD_LETTER and len(case.sent) == 1)
    small = [sent for sent in dead if sent.value is not None and len(sent.value) <= POISON_BYTES_MAX]
    plain = [sent for sent in small if sent.timestamp_ms is None and len(sent.headers) <= 10]
    return (*plain, Sent(hostile("never applied"), headers=tuple(HEADERS)))


POISONS = _poison()


class Told(NamedTuple):
    """A record to send; with a place of its own, or wherever its key leads."""

    key: bytes
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    astray: bool = False

    def partition(self, partitions: int, chance: Random) -> int:
        """The partition of its key, or just any."""
        return chance.randrange(partitions) if self.astray else zlib.crc32(self.key) % partitions


def run_of(number: int) -> tuple[str, str]:
    """Temporal's workflow id and run id of the execution with this number."""
    return f"order-{number // 3}", f"run-{number}"


def id_of(number: int) -> Any:
    """The id of the execution with this number."""
    return execution_id("default", *run_of(number))


class Teller:
    """Tells what happens to executions, for ever.

    Attributes:
        begun: how many executions it has begun to tell of.
        poisoned: how many records of poison it has told.
    """

    def __init__(self, chance: Random) -> None:
        self.begun = 0
        self.poisoned = 0
        self._chance = chance
        self._living: list[Iterator[Told]] = []
        self._recent: deque[Told] = deque(maxlen=2_000)
        self._late: list[tuple[int, int, Told]] = []
        self._count = 0

    def next(self) -> Told:
        """The next record to send."""
        self._count += 1
        if self._late and self._late[0][0] <= self._count:
            return heappop(self._late)[2]
        dice = self._chance.random()
        if dice < POISON:
            return self._poison()
        dice -= POISON
        if dice < TOMBSTONES:
            return Told(b"tombstone", None, astray=True)
        dice -= TOMBSTONES
        if dice < DUPLICATES and self._recent:
            return self._chance.choice(self._recent)._replace(astray=self._chance.random() < 0.5)
        told = self.event()
        if dice - DUPLICATES < REORDERED:
            due = self._count + self._chance.randint(10, 3_000)
            heappush(self._late, (due, self._count, told._replace(astray=True)))
            return self.next()
        return told

    def event(self) -> Told:
        """The next thing that happens to some execution."""
        while len(self._living) < LIVING:
            self._living.append(self._life(self.begun))
            self.begun += 1
        place = self._chance.randrange(LIVING)
        told = next(self._living[place], None)
        if told is None:
            self._living[place] = self._life(self.begun)
            self.begun += 1
            return self.event()
        self._recent.append(told)
        return told

    def _poison(self) -> Told:
        which = self._chance.randrange(len(POISONS))
        self.poisoned += 1
        sent = POISONS[which]
        return Told(POISON_KEY + b"%d-%d" % (which, self.poisoned), sent.value, sent.headers, astray=True)

    def _life(self, number: int) -> Iterator[Told]:
        chance = Random(self._chance.random())
        seconds = number * 0.05
        workflow_id, run_id = run_of(number)
        names = {
            "workflow_id": f"workflow-{number % WORKFLOWS}",
            "temporal_workflow_id": workflow_id,
            "temporal_run_id": run_id,
        }
        for step, (verb, data) in enumerate(_steps(chance)):
            seconds += chance.random() * 20
            envelope = {
                "specversion": "1.0",
                "id": f"{run_id}-{step}",
                "source": "/chaos",
                "type": f"workflow.execution.{verb}.v1",
                "time": (BEGIN + timedelta(seconds=seconds)).isoformat(),
                "data": names | data,
            }
            yield Told(run_id.encode(), json.dumps(envelope).encode())


def _steps(chance: Random) -> Iterator[tuple[str, dict[str, Any]]]:
    """The verbs of one life, with their data."""
    if chance.random() < 0.3:
        yield "scheduled", {"queue": "chaos"}
    attempts = chance.choice((1, 1, 1, 2, 3))
    for attempt in range(1, attempts + 1):
        size = 8_000 if chance.random() < 0.01 else 100
        yield "started", {"attempt": attempt, "user_id": f"user-{chance.randrange(50)}", "input": {"text": "x" * size}}
        for beat in range(chance.randrange(4)):
            yield "heartbeat", {"attempt": attempt, "progress": {"done": beat}, "activities_executed": beat}
        if chance.random() < 0.1:
            yield "paused", {"attempt": attempt, "reason": "lunch"}
            yield "resumed", {"attempt": attempt}
        if attempt < attempts:
            yield "retrying", {"attempt": attempt, "error": {"message": f"attempt {attempt} failed"}}
    verb = chance.choice(ENDS)
    end: dict[str, Any] = {"attempt": attempts}
    if verb == "completed":
        end |= {"output": {"total": chance.randrange(1_000)}, "duration_ms": chance.randrange(60_000)}
    elif verb == "failed":
        end |= {"error": {"message": "declined"}}
    yield verb, end
    if chance.random() < 0.01:
        yield "deleted", {}
