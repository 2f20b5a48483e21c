"""The witnesses: a reader that never may see a row go back, and a look at what the consumers hold of PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from random import Random
from uuid import UUID

import asyncpg

from events.vocabulary import Status
from store.errors import ExecutionQueryError, StoreError
from store.execution import Execution
from store.reader import ExecutionReader
from tests.chaos.arena import Arena, Missed
from tests.chaos.lives_told import LIVING, id_of

READ_SECONDS = 0.05
READS_AT_ONCE = 4
SAMPLE = 60  # ids that are looked at over and over, exchanged one by one
EXCHANGED = 0.1  # of the looks exchange one id for one of those that are told of now
LOOK_SECONDS = 1.0
TERMINAL = {
    Status.COMPLETED,
    Status.FAILED,
    Status.CANCELLED,
    Status.TERMINATED,
    Status.TIMED_OUT,
    Status.CONTINUED_AS_NEW,
}

STATES = """
SELECT coalesce(state, '') AS state, count(*) AS connections FROM pg_stat_activity
WHERE application_name = 'workflow-executions' GROUP BY 1
"""


def goes_back(before: Execution, after: Execution | None) -> str:
    """What a later look at a row may not show after an earlier one; empty if it shows nothing wrong."""
    if after is None:
        return "the row is gone"
    for column in ("updated_at", "attempt"):
        if getattr(after, column) < getattr(before, column):
            return f"{column} went from {getattr(before, column)} to {getattr(after, column)}"
    if after.created_at > before.created_at:
        return f"created_at went from {before.created_at} to {after.created_at}"
    if after.attempt == before.attempt and before.status in TERMINAL and after.status not in TERMINAL:
        return f"status went from {before.status} to {after.status}"
    return ""


class Witness:
    """Reads while the faults last.

    Attributes:
        reads: answered ones.
        regressions: rows that went back.
        stamped_back: looks at which only applied_at went back, which is no part of the fold.
        excused: errors while PostgreSQL was away.
        errors: errors that nothing excuses.
        connections_peak: the most connections that the consumers held.
        in_transaction: the consumers' connections that were left in a transaction, at the last look.
        connections: the consumers' connections at the last look.
    """

    def __init__(self, arena: Arena, chance: Random, excuse: Callable[[], bool]) -> None:
        self.reads = 0
        self.regressions: list[str] = []
        self.stamped_back = 0
        self.excused = 0
        self.errors: list[str] = []
        self.connections_peak = self.connections = self.in_transaction = 0
        self._arena = arena
        self._chance = chance
        self._excuse = excuse
        self._seen: dict[UUID, Execution] = {}
        self._sample: list[UUID] = []

    async def read_for_ever(self) -> None:
        """Look at some rows twenty times a second."""
        while True:
            try:
                async with ExecutionReader.connect(self._arena.stack.database_url) as reader:
                    while True:
                        began = asyncio.get_running_loop().time()
                        await asyncio.gather(*(self._read(reader, id_) for id_ in self._ids()))
                        spent = asyncio.get_running_loop().time() - began
                        await asyncio.sleep(max(0.0, READ_SECONDS - spent))
            except StoreError as error:
                self._failed(error)
                await asyncio.sleep(0.5)

    async def look_for_ever(self) -> None:
        """Count the consumers' connections."""
        while True:
            with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError, Missed):
                async with self._arena.admin() as connection:
                    while not connection.is_closed():
                        self.note(await connection.fetch(STATES, timeout=3))
                        await asyncio.sleep(LOOK_SECONDS)
            await asyncio.sleep(LOOK_SECONDS)

    def note(self, found: list[asyncpg.Record]) -> None:
        """Note a look at the connections."""
        states = Counter({r["state"]: r["connections"] for r in found})
        self.connections = sum(states.values())
        self.in_transaction = sum(count for state, count in states.items() if state.startswith("idle in transaction"))
        self.connections_peak = max(self.connections_peak, self.connections)

    def _ids(self) -> list[UUID]:
        """Some of the sample, each once, so that no two looks at one row overtake each other."""
        begun = self._arena.producers.counts.get("begun", 0)
        if begun and (len(self._sample) < SAMPLE or self._chance.random() < EXCHANGED):
            id_ = id_of(self._chance.randrange(max(0, begun - LIVING), begun))
            if id_ not in self._sample:
                self._sample.append(id_)
            if len(self._sample) > SAMPLE:
                self._seen.pop(self._sample.pop(0), None)
        return self._chance.sample(self._sample, min(READS_AT_ONCE, len(self._sample)))

    async def _read(self, reader: ExecutionReader, id_: UUID) -> None:
        before = self._seen.get(id_)
        try:
            after = await reader.get_by_id(id_, include_deleted=True)
        except ExecutionQueryError as error:
            self._failed(error)
            return
        except Exception as error:  # noqa: BLE001 - a reader is promised one kind of error, whatever happens
            self.errors.append(f"not an ExecutionQueryError: {type(error).__name__}: {error}")
            return
        self.reads += 1
        if before is not None and (wrong := goes_back(before, after)):
            self.regressions.append(f"{id_}: {wrong}")
        if before is not None and after is not None and after.applied_at < before.applied_at:
            self.stamped_back += 1
        if after is not None:
            self._seen[id_] = after

    def _failed(self, error: Exception) -> None:
        if self._excuse():
            self.excused += 1
        else:
            self.errors.append(str(error))
