"""The simulated PostgreSQL: a store that also writes down what went into it, and judges each transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple
from uuid import UUID

from consumer.chunk import Chunk
from consumer.record import Record
from consumer.work import HaltPartition
from events.fold import FOLD_VERSION
from events.position import TopicPartition
from store import MemoryStore
from store.batch import Batch, Claim, Incident, LogRange, Move
from store.errors import FencedError, RefusedError
from tests.simulation.invariants import Violation
from tests.simulation.log import Log, serial_of

GROUP = "simulated"


class Entry(NamedTuple):
    """What the table knows about an offset that it was moved over: its record's number, if there was a record."""

    serial: int | None
    set_aside: bool = False
    in_batch: bool = False  # one of a batch that was set aside as a whole, and is no anchor therefore


@dataclass
class Ledger:
    """What was applied of a partition, offset by offset from its base on."""

    base: int
    entries: list[Entry] = field(default_factory=list)
    set_aside: int = 0
    compared_from: int = 0  # an operator who moves a position says that what was before is not to be asked for

    @property
    def end(self) -> int:
        """The first offset that was not applied."""
        return self.base + len(self.entries)

    def last_record(self) -> tuple[int, int] | None:
        """Offset and number of the last record by which this log can be told from another."""
        for index in range(len(self.entries) - 1, max(0, self.compared_from - self.base) - 1, -1):
            entry = self.entries[index]
            if entry.serial is not None and not entry.in_batch:
                return self.base + index, entry.serial
        return None

    def copy(self) -> Ledger:
        """A copy that stays as it is."""
        return Ledger(self.base, list(self.entries), self.set_aside, self.compared_from)

    def extend(self, entries: list[Entry]) -> None:
        """Enter the next offsets."""
        self.entries += entries
        self.set_aside += sum(entry.set_aside for entry in entries)


@dataclass(frozen=True)
class Write:
    """A chunk on its way: the moves that guard it, and by partition the number of the claim its writer believes in."""

    chunk: Chunk
    moves: Mapping[TopicPartition, Move]
    claims: Mapping[TopicPartition, int]


Transaction = Callable[[], Awaitable[None]]


class LedgerStore(MemoryStore):
    """The store under test, with a ledger beside it that no guard protects.

    Claims are numbered here as they come, whatever token they carry: that is how a foreign claim is told.
    """

    def __init__(self, logs: Mapping[TopicPartition, Log]) -> None:
        super().__init__()
        self.logs = logs
        self.ledgers: dict[TopicPartition, Ledger] = {}
        self.holders: dict[TopicPartition, int] = {}
        self.halts: dict[TopicPartition, Incident] = {}
        self.letters: Counter[tuple[TopicPartition, int]] = Counter()
        self.last_claim = 0

    def copy(self) -> LedgerStore:
        """A copy that a failover can fall back to."""
        other = LedgerStore(self.logs)
        other.restore(self)
        return other

    def restore(self, other: LedgerStore) -> None:
        """Become what another store was; numbers of claims are never given again."""
        self._claims = dict(other._claims)
        self.ledgers = {partition: ledger.copy() for partition, ledger in other.ledgers.items()}
        self.holders, self.halts, self.letters = dict(other.holders), dict(other.halts), Counter(other.letters)
        self.incidents = list(other.incidents)

    def row(self, partition: TopicPartition) -> Claim | None:
        """A partition's row."""
        return self._claims.get((GROUP, partition))

    async def claim(
        self, consumer_group: str, logs: Mapping[TopicPartition, LogRange], token: UUID, owner: str
    ) -> dict[TopicPartition, Claim]:
        """Claim, and number the claim."""
        claims = await super().claim(consumer_group, logs, token, owner)
        self.last_claim += 1
        for partition, claim in claims.items():
            self.holders[partition] = self.last_claim
            if partition not in self.ledgers:
                self.ledgers[partition] = Ledger(claim.next_offset)
        return claims

    def rebuild(self, token: UUID | None) -> None:
        """An operator begins anew: every position at its log's start, under a token that nobody holds."""
        for (group, partition), row in self._claims.items():
            start = self.logs[partition].start
            again = Claim(start, token or row.token, halted=False, fold_version=FOLD_VERSION)
            self._claims[group, partition] = again
            self.ledgers[partition] = Ledger(start)
            self.last_claim += 1
            self.holders[partition] = self.last_claim
        self.halts.clear()
        self.letters.clear()

    def lift(self, partition: TopicPartition, *, accept: bool) -> None:
        """An operator lets a halted partition go on: where it stands, or behind what is lost, which is accepted."""
        row, ledger, log = self._claims[GROUP, partition], self.ledgers[partition], self.logs[partition]
        del self.halts[partition]
        if not accept:
            self._claims[GROUP, partition] = replace(row, halted=False, token=None)
            return
        if self.differs(partition) is not None or log.end < ledger.end or row.topic_id != log.topic_id:
            ledger = self.ledgers[partition] = Ledger(log.start)
            self.letters = Counter({place: n for place, n in self.letters.items() if place[0] != partition})
        else:
            damage = min((offset for offset in log.corrupt if offset >= ledger.end), default=-1)
            behind = damage + 1 if damage == log.next_record(ledger.end) else log.start
            ledger.extend([Entry(None, in_batch=True)] * (behind - ledger.end))
            ledger.compared_from = ledger.end
        self._claims[GROUP, partition] = replace(
            row, next_offset=ledger.end, halted=False, token=None, anchor=None, topic_id=None
        )

    # Transactions.

    def transactions(self, write: Write) -> list[Transaction]:
        """What a chunk is written in, one after the other: one transaction for everything."""

        async def everything() -> None:
            await self.move(write)
            self.enter(write)

        return [everything]

    def demand_guard(self, write: Write) -> None:
        """Fence a write whose guard does not hold, without moving anything."""
        for partition, move in write.moves.items():
            row = self.row(partition)
            if row is None or row.halted or (row.token, row.next_offset) != (move.token, move.from_offset):
                msg = f"the guard of {partition} does not hold"
                raise FencedError(msg)

    async def move(self, write: Write) -> None:
        """Move the positions, if the guard holds and PostgreSQL refuses no record."""
        before = {partition: self.row(partition) for partition in write.moves}
        await self.apply(Batch(GROUP, dict(write.moves)))
        if write.chunk.refusal is None and self._refuses(write.chunk):
            for partition, row in before.items():
                assert row is not None, "the guard held"
                self._claims[GROUP, partition] = row
            msg = "a record is refused"
            raise RefusedError(msg)

    def _refuses(self, chunk: Chunk) -> bool:
        return any(
            record.offset in refused and record.fault is None
            for partition, records in chunk.records.items()
            if (refused := self.logs[partition].refused)
            for record in records
        )

    def enter(self, write: Write, *, letters: bool = True) -> None:
        """Write the effects down, and judge them."""
        for partition, move in write.moves.items():
            self._demand_right(partition, move, write)
            entries = self._entries(partition, move, write.chunk)
            self._demand_effects(partition, move, entries, new=self._is_after_change(partition, write.chunk))
            self.ledgers[partition].extend(entries)
        if letters:
            self.enter_letters(write)

    def enter_letters(self, write: Write) -> None:
        """Keep what is set aside."""
        for partition, records in write.chunk.records.items():
            self.letters.update(
                (partition, record.offset)
                for record in records
                if record.fault is not None or write.chunk.refusal is not None
            )

    def _demand_right(self, partition: TopicPartition, move: Move, write: Write) -> None:
        ledger = self.ledgers[partition]
        if self.holders[partition] != write.claims.get(partition):
            claim = write.claims.get(partition)
            detail = f"{partition} is held by claim {self.holders[partition]} and was written by claim {claim}"
            raise Violation("own claim", detail)
        if partition in self.halts:
            raise Violation("halted", f"{partition} was halted, and is written from {move.from_offset} on")
        if move.from_offset < ledger.end:
            raise Violation("once", f"{partition}: {move.from_offset} to {ledger.end - 1} are applied again")
        if move.from_offset > ledger.end:
            raise Violation("in order", f"{partition}: {move.from_offset} is applied, the ledger ends at {ledger.end}")
        log = self.logs[partition]
        row = self.row(partition)
        assert row is not None, "the guard held"
        if row.topic_id != log.topic_id and self._is_from(log.born_from, partition, write.chunk):
            detail = f"{partition}: the topic was made anew, and its records are applied from {move.from_offset} on"
            raise Violation("own log", detail)
        if self._is_after_change(partition, write.chunk) and (applied := self.differs(partition)) is not None:
            detail = f"{partition}: the record applied at {applied} is another one in this log, which is read on"
            raise Violation("own log", detail)

    def _is_after_change(self, partition: TopicPartition, chunk: Chunk) -> bool:
        """Whether records were written after the last change of their log."""
        return self._is_from(self.logs[partition].another_from, partition, chunk)

    def _is_from(self, serial: int, partition: TopicPartition, chunk: Chunk) -> bool:
        records = chunk.records.get(partition, ()) if serial else ()
        return any(serial_of(record) >= serial for record in records)

    def differs(self, partition: TopicPartition) -> int | None:
        """The offset of the last applied record, if the log has another one there now."""
        ledger, log = self.ledgers.get(partition), self.logs[partition]
        if ledger is None or (last := ledger.last_record()) is None or last[0] < log.start:
            return None
        there = log.content.get(last[0])
        return last[0] if there is not None and serial_of(there) != last[1] else None

    def _entries(self, partition: TopicPartition, move: Move, chunk: Chunk) -> list[Entry]:
        entries: dict[int, Entry] = {}
        expected = -1
        for record in chunk.records.get(partition, ()):
            if record.offset < expected or not record.next_offset <= move.next_offset:
                raise Violation("in order", f"{partition}: {record.offset} is not between {expected} and {move}")
            expected = record.next_offset
            whole = record.fault is not None and record.fault.last_offset is not None
            aside = record.fault is not None or chunk.refusal is not None
            if aside and self.logs[partition].batch_of(record.offset) is None:
                self._demand_refused(partition, record)
            first = max(record.offset, move.from_offset)
            entries[first] = Entry(serial_of(record), aside, whole)
            entries |= {at: Entry(None, in_batch=True) for at in range(first + 1, record.next_offset)}
        return [entries.get(offset, Entry(None)) for offset in range(move.from_offset, move.next_offset)]

    def _demand_refused(self, partition: TopicPartition, record: Record) -> None:
        log = self.logs[partition]
        if record.offset not in log.refused and log.content.get(record.offset) == record:
            raise Violation("dead letters", f"{partition}: nothing is wrong with {record.offset}, which is set aside")

    def _demand_effects(self, partition: TopicPartition, move: Move, entries: list[Entry], *, new: bool) -> None:
        log = self.logs[partition]
        for offset, entry in enumerate(entries, move.from_offset):
            record = log.content.get(offset)
            if record is None or entry.serial is not None or entry.in_batch:
                continue
            if new or not log.changed or serial_of(record) < log.another_from:
                raise Violation("position with effects", f"{partition} moves over {offset}, which was not applied")

    async def halt_as(self, claims: Mapping[TopicPartition, int], halt: HaltPartition) -> None:
        """Halt for a writer that believes in these claims, and judge the reason."""
        incident = halt.incident
        partition = incident.partition
        await self.halt(GROUP, halt.token, halt.next_offset, incident)
        if self.holders[partition] != claims.get(partition):
            raise Violation("own claim", f"{partition} is halted by a claim that is not its own any more")
        self._demand_reason(incident)
        self.halts[partition] = incident

    def _demand_reason(self, incident: Incident) -> None:
        log, row = self.logs[incident.partition], self.row(incident.partition)
        start, end, position = incident.from_offset, incident.to_offset, self.ledgers[incident.partition].end
        assert start is not None, "every halt names where"
        assert row is not None, "it was just halted"
        changed = log.changed > 0  # since the reason was seen, perhaps
        reasons = {
            "gap": end is not None and start < end and (end <= log.start or changed),
            "truncated": end is not None and end < start and changed,
            "another_log": start < position and changed,
            "recreated": row.topic_id != log.topic_id,
            "corrupt": changed or any(start <= offset for offset in log.corrupt),
        }
        at_position = start == position or incident.kind == "another_log"  # which names the last applied record
        if not at_position or not reasons[incident.kind]:
            raise Violation("incident", f"{incident} at {position}, and the log goes from {log.start} to {log.end}")

    # What must hold between any two transactions.

    def demand_consistency(self) -> None:
        """Compare the rows with the ledger."""
        aside = 0
        for (_, partition), row in self._claims.items():
            ledger = self.ledgers[partition]
            if row.next_offset != ledger.end:
                detail = f"{partition}: the position is {row.next_offset}, the ledger ends at {ledger.end}"
                raise Violation("position with effects", detail)
            if not row.halted and partition in self.halts:
                raise Violation("halted", f"{partition} goes on, and no operator said so")
            aside += ledger.set_aside
        if aside != self.letters.total():
            detail = f"{aside} records are set aside, and there are {self.letters.total()} dead letters"
            raise Violation("dead letters", detail)

    async def release_all(self, tokens: tuple[UUID, ...]) -> None:
        """Give up claims."""
        for token in tokens:
            await self.release(GROUP, token)
