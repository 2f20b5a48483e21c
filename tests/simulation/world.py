"""A small world for the consumer's core: a log, two members, one store, and a seed that orders everything."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from consumer.chunk import Prepared
from consumer.core import Core
from consumer.record import Fault, Record, Stretch
from consumer.work import (
    ApplyChunk,
    BackOff,
    ClaimPartitions,
    Finish,
    HaltPartition,
    Pause,
    PrepareChunk,
    RecordIncident,
    Rejoin,
    Release,
    Resume,
    Resync,
    Seek,
    SourceCommand,
    Work,
)
from events.position import TopicPartition
from store import MemoryStore
from store.batch import Applied, Batch
from store.errors import FencedError

GROUP = "simulated"


class LedgerStore(MemoryStore):
    """A store that also writes down every offset that it was moved over, as often as it was."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger: Counter[tuple[TopicPartition, int]] = Counter()
        self.order: list[tuple[TopicPartition, int]] = []

    def copy(self) -> LedgerStore:
        """A copy that a failover can fall back to."""
        other = LedgerStore()
        other.restore(self)
        return other

    def restore(self, other: LedgerStore) -> None:
        """Become what another store was."""
        self.ledger, self.order, self._claims = other.ledger.copy(), list(other.order), dict(other._claims)

    async def apply(self, batch: Batch) -> Applied:
        """Apply, and enter the offsets."""
        applied = await super().apply(batch)
        for partition, move in sorted(batch.moves.items()):
            offsets = [(partition, offset) for offset in range(move.from_offset, move.next_offset)]
            self.ledger.update(offsets)
            self.order += offsets
        return applied


@dataclass
class Member:
    """One consumer: a core, what its client would fetch next, and the work that is under way."""

    core: Core = field(default_factory=Core)
    positions: dict[TopicPartition, int] = field(default_factory=dict)
    paused: set[TopicPartition] = field(default_factory=set)
    work: list[Work] = field(default_factory=list)
    slow: tuple[int, TopicPartition, Stretch] | None = None  # read under a generation, and on its way to the core
    finished: bool = False

    def perform(self, commands: Iterable[SourceCommand]) -> None:
        """Do what aiokafka would; a partition that is not assigned any more is passed over."""
        for command in commands:
            match command:
                case Pause(partitions):
                    self.paused |= set(partitions) & self.positions.keys()
                case Resume(partitions):
                    self.paused -= set(partitions)
                case Seek(partition, offset) if partition in self.positions:
                    self.positions[partition] = offset
                case Seek():
                    pass


class World:
    """Everything, with one random number generator to order it."""

    def __init__(self, seed: int, partitions: int = 3) -> None:
        self.chance = random.Random(seed)
        self.log: dict[TopicPartition, list[Record]] = {TopicPartition("t", n): [] for n in range(partitions)}
        self.poison: dict[TopicPartition, dict[int, int]] = {partition: {} for partition in self.log}  # first → last
        self.store = LedgerStore()
        self.members = [Member(), Member()]
        self.trace: list[str] = []
        self.split_brain = False
        self._copy = self.store.copy()

    async def run(self, steps: int) -> None:
        """Let anything happen, then let one member finish the rest in peace."""
        self.append(10)
        self.rebalance()
        for _ in range(steps):
            await self.step()
        if self.split_brain:
            self.rebalance()
        for _ in range(3_000):
            if self.caught_up():
                return
            await self.turn(self.chance.choice(self.members), faults=False)

    def caught_up(self) -> bool:
        """Whether the table has everything that is in the log."""
        return sum(self.store.ledger.values()) >= sum(map(len, self.log.values()))

    async def step(self) -> None:
        """One thing happens."""
        what = self.chance.random()
        if what < 0.04:
            self.rebalance()
        elif what < 0.06:
            self.late_revocation()
        elif what < 0.07:
            await self.steal()
        elif what < 0.08:
            self.fail_over()
        elif what < 0.14:
            self.append(self.chance.randrange(1, 6))
        else:
            await self.turn(self.chance.choice(self.members), faults=True)

    def append(self, count: int) -> None:
        """Records arrive in the log."""
        for _ in range(count):
            partition = self.chance.choice(list(self.log))
            log = self.log[partition]
            log.append(Record(len(log), 0, None, b"{}"))
            if self.chance.random() < 0.1:
                self.poison[partition][len(log) - 1] = len(log) - 1
            elif self.chance.random() < 0.03:  # a whole batch
                first = len(log)
                log.extend(Record(first + n, 0, None, b"{}") for n in range(3))
                self.poison[partition][first] = first + 2

    def assign(self, member: Member, partitions: list[TopicPartition]) -> None:
        """Kafka takes everything back from a member, and gives it these."""
        member.core.revoked()
        member.positions = dict.fromkeys(partitions, 0)
        member.paused = set()
        member.perform(member.core.assigned(partitions))
        self.trace.append(f"member {self.members.index(member)} is assigned {[p.partition for p in partitions]}")

    def rebalance(self) -> None:
        """Kafka deals the partitions anew."""
        self.split_brain = False
        cut = self.chance.randrange(len(self.log) + 1)
        partitions = list(self.log)
        self.assign(self.members[0], partitions[:cut])
        self.assign(self.members[1], partitions[cut:])

    def late_revocation(self) -> None:
        """One member gets everything while the other, paused by its machine, has not heard that it lost it."""
        self.split_brain = True
        self.assign(self.chance.choice(self.members), list(self.log))

    async def steal(self) -> None:
        """Somebody else claims a partition, and is never heard of again."""
        self.trace.append("a ghost claims a partition")
        await self.store.claim(GROUP, {self.chance.choice(list(self.log)): 0}, self._token(), "ghost")

    def fail_over(self) -> None:
        """The database falls back to a lagging copy, positions and effects together; or the copy catches up."""
        if self.chance.random() < 0.5:
            self._copy = self.store.copy()
        else:
            self.trace.append("the database fails over to a lagging copy")
            self.store.restore(self._copy)

    async def turn(self, member: Member, *, faults: bool) -> None:
        """A member's loop turns once: it fetches, or a piece of its work ends."""
        member.work += member.core.decide()
        if member.work and self.chance.random() < 0.6:
            await self.end(member, member.work.pop(self.chance.randrange(len(member.work))), faults=faults)
        elif member.core.wants_records:
            self.fetch(member, faults=faults)

    def fetch(self, member: Member, *, faults: bool) -> None:
        """The client drains some partitions; a failure, or a record that it cannot read, loses what it has drained."""
        if member.slow is not None:
            self.deliver_slowly(member)
            return
        fetched = {}
        for partition, position in member.positions.items():
            records = self.log[partition][position : position + self.chance.randrange(1, 5)]
            if partition not in member.paused and records:
                if any(
                    first < records[-1].offset + 1 and position <= last
                    for first, last in self.poison[partition].items()
                ):
                    self.trace.append("a fetch fails at a record that the client cannot read")
                    member.perform(member.core.fetch_failed())
                    self.begin_slowly(member, partition)
                    return
                member.positions[partition] = records[-1].offset + 1
                fetched[partition] = records
        if faults and self.chance.random() < 0.1:
            self.trace.append("a fetch fails, and what it had drained is lost")
            member.perform(member.core.fetch_failed())
        elif fetched:
            member.perform(member.core.fetched(fetched))
        else:
            member.core.drained(member.positions)
            member.core.audit()

    def begin_slowly(self, member: Member, partition: TopicPartition) -> None:
        """The slow path asks for the partition from where the core wants it; much may happen until it has it."""
        start = member.core.starts.get(partition)
        if start is None:
            return
        position, records = start, []
        for _ in range(self.chance.randrange(1, 6)):
            if position >= len(self.log[partition]):
                break
            records.append(self.read_slowly(partition, position))
            position = records[-1].next_offset
        member.slow = (member.core.generation, partition, Stretch(start, position, records))

    def read_slowly(self, partition: TopicPartition, position: int) -> Record:
        """The record at a position as the slow path gives it: with what is wrong with it, or with its batch."""
        record = self.log[partition][position]
        for first, last in self.poison[partition].items():
            if first <= position <= last:
                return record._replace(fault=Fault("poison", "", "", last if last > first else None))
        return record

    def deliver_slowly(self, member: Member) -> None:
        """What the slow path read arrives, unless the assignment is another one by now."""
        assert member.slow is not None
        (generation, partition, stretch), member.slow = member.slow, None
        if generation == member.core.generation:
            self.trace.append(f"read slowly: {partition.partition} from {stretch.from_offset} to {stretch.next_offset}")
            member.perform(member.core.isolated(partition, stretch))

    async def end(self, member: Member, work: Work, *, faults: bool) -> None:
        """A piece of work ends, well or badly."""
        fault = self.chance.random() if faults else 1.0
        self.trace.append(f"member {self.members.index(member)}: {type(work).__name__} ({fault:.2f})")
        match work:
            case PrepareChunk(chunk):
                member.core.prepared(chunk, Prepared())
            case BackOff():
                member.core.waited()
            case Rejoin():
                self.assign(member, list(member.positions))
                member.core.rejoined()
            case Finish():
                member.finished = True
            case _ if fault < 0.05:
                member.core.database_failed()
            case _:
                await self.use_database(member, work, lost_answer=fault < 0.1)

    async def use_database(self, member: Member, work: Work, *, lost_answer: bool) -> None:
        """The database does its part; its answer may be lost."""
        try:
            answer = await self._perform(work)
        except FencedError:
            member.core.fenced()
            return
        if lost_answer:
            member.core.database_failed()
        else:
            member.perform(answer(member.core) or [])

    async def _perform(self, work: Work):  # type: ignore[no-untyped-def] # noqa: ANN202 - a callable over the core, of many shapes
        match work:
            case ClaimPartitions(generation, partitions):
                token = self._token()
                claims = await self.store.claim(GROUP, dict.fromkeys(partitions, 0), token, "m")
                logs = {partition: (0, len(self.log[partition])) for partition in partitions}
                return lambda core: core.claimed(generation, token, claims, logs)
            case Resync(generation):
                claims = await self.store.read_claims(GROUP)
                return lambda core: core.resynced(generation, claims)
            case ApplyChunk(chunk, _, moves):
                for partition, move in moves.items():  # there are no holes in this log: what has no record is lost
                    records = chunk.records.get(partition, ())
                    brought = {offset for record in records for offset in range(record.offset, record.next_offset)}
                    assert brought >= set(range(move.from_offset, move.next_offset)), (partition, move)
                await self.store.apply(Batch(GROUP, dict(moves)))
                return lambda core: core.applied(chunk)
            case HaltPartition() | RecordIncident():
                msg = f"nothing is wrong with this log: {work.incident}"
                raise AssertionError(msg)
            case Release(tokens):
                for token in tokens:
                    await self.store.release(GROUP, token)
                return lambda core: core.released()
            case _:
                raise AssertionError(work)

    def _token(self) -> UUID:
        return UUID(int=self.chance.getrandbits(128))
