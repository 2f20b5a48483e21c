"""A small world for the consumer's core: Kafka, PostgreSQL, two members, and a seed that orders everything.

A seed first chooses the weather: which kinds of trouble there are at all. Then step follows step, each chosen by the
seed: something happens to Kafka, to PostgreSQL or to a member, or a member's loop turns once, which means that it
fetches, or that one piece of its work ends, well or badly, in whatever order. After every step the invariants are
looked at (`tests.simulation.invariants`). In the end all trouble stops, and everything must be applied or halted.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from itertools import count
from uuid import UUID

from consumer.chunk import Prepared, Refusal
from consumer.core import CHUNKS_MAX, Core
from consumer.record import Record, Stretch
from consumer.work import (
    ApplyChunk,
    BackOff,
    ClaimPartitions,
    Finish,
    HaltPartition,
    Pause,
    PrepareChunk,
    Rejoin,
    Release,
    Resume,
    Resync,
    Seek,
    SourceCommand,
    Work,
)
from events.position import TopicPartition
from store.batch import LogRange
from store.errors import FencedError, RefusedError
from tests.simulation.copies import CHUNK_BYTES, core_of
from tests.simulation.database import GROUP, LedgerStore, Write
from tests.simulation.invariants import Violation
from tests.simulation.log import Log

STEPS = 150
STEPS_TO_HEAL = 3_000
TROUBLES = (
    "two owners",
    "thefts",
    "deaths",
    "stops",
    "failed statements",
    "lost answers",
    "late writes",
    "failovers",
    "rebuilds",
    "lifted halts",
    "failed fetches",
    "lost records",
    "late pauses",
    "transactions",
    "compaction",
    "retention",
    "changed logs",
    "growth",
    "corruption",
    "stalls",
)

SHIPPED_CORE = core_of()

Happening = Callable[[], Awaitable[None] | None]


@dataclass
class Job:
    """Work under way, whose it is, and the numbers of the claims that its member believed in when it began."""

    work: Work
    owner: str
    claims: dict[TopicPartition, int]


@dataclass
class Member:
    """One consumer: a core, what its client would fetch next, and the work that is under way."""

    name: str
    core: Core
    positions: dict[TopicPartition, int] = field(default_factory=dict)
    paused: set[TopicPartition] = field(default_factory=set)
    jobs: list[Job] = field(default_factory=list)
    claims: dict[TopicPartition, int] = field(default_factory=dict)
    seeks: int = 0
    errand: Callable[[], None] | None = None  # what the loop that fetches waits for, instead of fetching

    def perform(self, commands: Iterable[SourceCommand]) -> None:
        """Do what aiokafka would; a partition that is not assigned any more is passed over."""
        for command in commands:
            match command:
                case Pause(partitions):
                    self.paused |= set(partitions) & self.positions.keys()
                case Resume(partitions):
                    self.paused -= set(partitions)
                case Seek(partition, offset) if partition in self.positions:
                    self.seeks += 1
                    self.positions[partition] = offset
                case Seek():
                    pass

    def decide(self) -> None:
        """Begin what the core wants to be done."""
        self.jobs += [Job(work, self.name, dict(self.claims)) for work in self.core.decide()]

    def held_bytes(self) -> int:
        """Bytes that were accepted, and are not applied."""
        chunks = self.core._queue._chunks
        return sum(record.size for chunk in chunks for records in chunk.records.values() for record in records)


class World:
    """Everything, with one random number generator to order it."""

    core_class: type[Core] = SHIPPED_CORE
    store_class: type[LedgerStore] = LedgerStore

    def __init__(self, seed: int, partitions: int = 3) -> None:
        self.chance = random.Random(seed)
        self.weather = {trouble for trouble in TROUBLES if self.chance.random() < 0.5}
        self._serial = count(100)
        self.logs: dict[TopicPartition, Log] = {}
        for _ in range(partitions):
            self.add_partition()
        self.store = self.store_class(self.logs)
        self.members = [Member("A", self.core_class()), Member("B", self.core_class())]
        self.told: list[str] = []
        self.split_brain = False
        self._copy = self.store.copy()
        self._late: list[Job] = []
        self._lost: set[tuple[TopicPartition, int]] = set()
        self._happenings, self._weights = self._choose_happenings()

    def add_partition(self) -> None:
        """Another partition, on which the client fetches transactions and compacted logs or not."""
        plain = not self.weather & {"transactions", "compaction"} or self.chance.random() < 0.5
        self.logs[TopicPartition("t", len(self.logs))] = Log(self._serial, self._new_id(), plain=plain)

    def _new_id(self) -> UUID:
        return UUID(int=self.chance.getrandbits(128))

    def tell(self, what: str) -> None:
        """Write down what happened, for a person to read."""
        self.told.append(what)

    # The course of things.

    async def run(self, steps: int = STEPS) -> None:
        """Let anything happen, then let the members finish in peace.

        Raises:
            Violation: an invariant does not hold.
        """
        self.append(10)
        self.rebalance()
        for _ in range(steps):
            await self.step()
            self.demand_invariants()
        await self.heal()

    async def heal(self) -> None:
        """No trouble any more; everything must come to its end."""
        self.tell("from here on nothing goes wrong any more")
        while self._late:
            await self.land()
        self.rebalance()
        await self.settle()
        if self.store.halts and "lifted halts" in self.weather:
            for partition in sorted(self.store.halts):
                self.tell(f"an operator accepts what is wrong with {partition.partition}")
                self.store.lift(partition, accept=True)
            await self.settle()

    async def settle(self) -> None:
        """Turn in peace until every partition has come to its end."""
        for _ in range(STEPS_TO_HEAL):
            if all(map(self.settled, self.logs)):
                return
            await self.turn(self.chance.choice(self.members), faults=False)
            self.demand_invariants()
        partition = next(partition for partition in self.logs if not self.settled(partition))
        detail = f"{partition} is at {self.store.row(partition)}, and the log goes to {self.logs[partition].end}"
        raise Violation("live", detail)

    def settled(self, partition: TopicPartition) -> bool:
        """Whether a partition is applied to its end, or halted for a reason."""
        row = self.store.row(partition)
        return row is not None and (row.halted or row.next_offset == self.logs[partition].end)

    def demand_invariants(self) -> None:
        """Look at what must hold after every step."""
        self.store.demand_consistency()
        for member in self.members:
            if len(member.core._queue) and (held := member.held_bytes()) > CHUNKS_MAX * CHUNK_BYTES:
                raise Violation(
                    "bounded", f"member {member.name} holds {held} bytes in {len(member.core._queue)} chunks"
                )

    async def step(self) -> None:
        """One thing happens."""
        [happening] = self.chance.choices(self._happenings, cum_weights=self._weights)
        if (coroutine := happening()) is not None:
            await coroutine

    def _choose_happenings(self) -> tuple[list[Happening], list[int]]:
        every: tuple[tuple[str, int, Happening], ...] = (
            ("", 1000, lambda: self.turn(self.chance.choice(self.members), faults=True)),
            ("", 70, lambda: self.append(self.chance.randrange(1, 6))),
            ("", 30, self.rebalance),
            ("two owners", 25, self.late_revocation),
            ("thefts", 12, self.steal),
            ("deaths", 10, self.die),
            ("stops", 15, self.stop),
            ("late writes", 60, self.land),
            ("failovers", 30, self.follow),
            ("failovers", 10, self.fail_over),
            ("rebuilds", 10, self.rebuild),
            ("lifted halts", 20, self.lift_halt),
            ("compaction", 10, self.compact),
            ("retention", 10, self.delete_records),
            ("changed logs", 6, self.change_log),
            ("changed logs", 6, self.make_anew),
            ("growth", 3, self.grow),
            ("stalls", 6, self.stall),
        )
        chosen = [(weight, what) for trouble, weight, what in every if not trouble or trouble in self.weather]
        sums, total = [], 0
        for weight, _ in chosen:
            sums.append(total := total + weight)
        return [what for _, what in chosen], sums

    # Kafka.

    def append(self, records: int) -> None:
        """Records arrive in the log."""
        for _ in range(records):
            log = self.chance.choice(list(self.logs.values()))
            log.append_something(self.chance, trouble="corruption" in self.weather)

    def assign(self, member: Member, partitions: list[TopicPartition]) -> None:
        """Kafka takes everything back from a member, and gives it these."""
        member.core.revoked()
        member.seeks += 1
        member.positions = dict.fromkeys(partitions, 0)
        member.paused = set()
        member.perform(member.core.assigned(partitions))
        self.tell(f"member {member.name} is assigned {[partition.partition for partition in partitions]}")

    def rebalance(self) -> None:
        """Kafka deals the partitions anew."""
        self.split_brain = False
        cut = self.chance.randrange(len(self.logs) + 1)
        partitions = list(self.logs)
        self.assign(self.members[0], partitions[:cut])
        self.assign(self.members[1], partitions[cut:])

    def late_revocation(self) -> None:
        """One member gets everything while the other, paused by its machine, has not heard that it lost it."""
        self.split_brain = True
        self.assign(self.chance.choice(self.members), list(self.logs))

    def grow(self) -> None:
        """The topic gets another partition."""
        if len(self.logs) < 5:
            self.add_partition()
            self.tell(f"the topic grows to {len(self.logs)} partitions")
            self.rebalance()

    def delete_records(self) -> None:
        """Retention takes the beginning of a log; seldom also what was not applied yet."""
        partition = self.chance.choice(list(self.logs))
        log, row = self.logs[partition], self.store.row(partition)
        applied = log.start if row is None else min(row.next_offset, log.end)
        upto = self.chance.randrange(log.start, applied + 1) if applied >= log.start else log.start
        if self.chance.random() < 0.25:
            upto = self.chance.randrange(upto, log.end + 1)
        if upto > log.start:
            log.delete_until(upto)
            self.tell(f"retention: the log of {partition.partition} begins at {upto}")

    def compact(self) -> None:
        """Compaction leaves holes in a log."""
        partition = self.chance.choice(list(self.logs))
        log = self.logs[partition]
        if not log.plain and not log.clean_below:
            log.compact(self.chance)
            self.tell(f"compaction of {partition.partition}")

    def change_log(self) -> None:
        """An unclean election cuts a log off; the leader changes, and the group notices.

        The consumer can tell the logs from one another where the last applied record was, and at their ends. So what
        is cut off goes back to that record at least, and other records follow there.
        """
        partition = self.chance.choice(list(self.logs))
        log, ledger = self.logs[partition], self.store.ledgers.get(partition)
        if ledger is None or (last := ledger.last_record()) is None or not log.start <= last[0] < log.end:
            return
        if self.store.differs(partition) is not None:
            return
        offset = self.chance.randrange(log.start, last[0] + 1)
        log.cut(offset, clean_below=ledger.end + 5)
        log.append(self.chance.randrange(0, ledger.end + 4 - log.end))
        self.tell(f"the log of {partition.partition} is cut off at {offset}, and ends at {log.end}")
        self.rebalance()

    def make_anew(self) -> None:
        """A topic is made anew and filled, perhaps beyond what was applied of the old one; nobody need notice."""
        partition = self.chance.choice(list(self.logs))
        log = self.logs[partition]
        upto = log.end + 4
        log.make_anew(self._new_id())
        log.append(self.chance.randrange(upto))
        self.tell(f"the topic of {partition.partition} is made anew, and its log ends at {log.end}")
        if self.chance.random() < 0.5:
            self.rebalance()

    # PostgreSQL.

    async def steal(self) -> None:
        """Somebody else claims a partition, and is never heard of again."""
        partition = self.chance.choice(list(self.logs))
        self.tell(f"a ghost claims {partition.partition}")
        await self.store.claim(GROUP, {partition: self.bounds(partition)}, self.token("ghost"), "ghost")

    def follow(self) -> None:
        """The database's copy, to which it may fail over, catches up."""
        self._copy = self.store.copy()

    def fail_over(self) -> None:
        """The database falls back to a lagging copy, positions and effects together."""
        self.tell("the database fails over to a lagging copy")
        self.store.restore(self._copy)
        self._late.clear()  # whatever was under way went to the database that is gone

    def rebuild(self) -> None:
        """An operator begins the table anew, and with it accepts every log as it is."""
        self.tell("an operator rebuilds the table: every position is at its log's start, under a new token")
        self.store.rebuild(self.rebuild_token())

    def lift_halt(self) -> None:
        """An operator lets a halted partition go on; nobody tells the consumer."""
        if self.store.halts:
            partition, accept = self.chance.choice(sorted(self.store.halts)), self.chance.random() < 0.7
            self.store.lift(partition, accept=accept)
            where = self.store.ledgers[partition].end
            self.tell(f"an operator {'accepts the loss' if accept else 'resumes'}: {partition.partition} at {where}")

    def rebuild_token(self) -> UUID | None:
        """The token of a position that was rewound; None leaves it as it was."""
        return UUID(int=self.chance.getrandbits(128))

    async def land(self) -> None:
        """A transaction that its writer has given up is committed after all, if its guard holds."""
        if self._late:
            job = self._late.pop(self.chance.randrange(len(self._late)))
            self.tell(f"what was given up is committed late, if its guard holds: {describe(job.work)}")
            try:
                await self._perform(job, None, lost=True)
            except (FencedError, RefusedError):
                self.told[-1] += " … which it does not"

    def token(self, owner: str) -> UUID:
        """A token for a claim."""
        del owner
        return UUID(int=self.chance.getrandbits(128))

    # A member.

    def stall(self) -> None:
        """A member's client is found to bring nothing although there is more."""
        self.chance.choice(self.members).core.stalled()

    def stop(self) -> None:
        """A member is asked to stop."""
        member = self.chance.choice(self.members)
        self.tell(f"member {member.name} is asked to stop")
        member.core.stop()

    def die(self) -> None:
        """A member is killed; what it had sent to the database may still be committed."""
        member = self.chance.choice(self.members)
        self.tell(f"member {member.name} is killed, and started again")
        self._late += [job for job in member.jobs if self.chance.random() < 0.5 and is_a_write(job.work)]
        self.restart(member)

    def restart(self, member: Member) -> None:
        """A new consumer takes a member's place, and the group notices."""
        index = self.members.index(member)
        self.members[index] = Member(chr(ord(member.name) + 2), self.core_class())
        self.rebalance()

    async def turn(self, member: Member, *, faults: bool) -> None:
        """A member's loop turns once: it fetches, or a piece of its work ends."""
        member.decide()
        if member.jobs and self.chance.random() < 0.6:
            job = member.jobs.pop(self.chance.randrange(len(member.jobs)))
            await self.end(member, job, faults=faults)
        elif member.core.wants_records:
            self.fetch(member, faults=faults)

    def fetch(self, member: Member, *, faults: bool) -> None:
        """The client drains some partitions; a failure, or a record that it cannot read, loses what it has drained."""
        if member.errand is not None:
            errand, member.errand = member.errand, None
            errand()
            return
        fetched = {}
        for partition, position in member.positions.items():
            if partition in member.paused and not (faults and self.happens("late pauses", 0.02)):
                continue
            log = self.logs[partition]
            if not log.holds(position):
                self.begin_to_ask(member, faults=faults)
                return
            if self.chance.random() < 0.15:
                continue  # nothing came in time
            records = log.read(position, self.chance.randrange(1, 5))
            if records and log.defeats_client(position, records[-1].offset):
                self.tell(
                    f"member {member.name}: a fetch fails at what the client cannot read of {partition.partition}"
                )
                member.perform(member.core.fetch_failed())
                self.begin_slowly(member, partition)
                return
            if records:
                fetched[partition] = self.lose(partition, records) if faults else records
            after = records[-1].next_offset if records else position
            member.positions[partition] = log.next_record(after) if self.chance.random() < 0.5 else after
        self.deliver(member, fetched, faults=faults)

    def deliver(self, member: Member, fetched: dict[TopicPartition, list[Record]], *, faults: bool) -> None:
        """Give the core what the client returns."""
        if faults and self.happens("failed fetches", 0.1):
            self.tell(f"member {member.name}: a fetch fails, and what it had drained is lost")
            member.perform(member.core.fetch_failed())
        elif fetched:
            got = "; ".join(f"{p.partition}: {[r.offset for r in records]}" for p, records in fetched.items())
            self.tell(f"member {member.name} fetches {got}")
            self.ask_and_accept(member, fetched)
        else:
            positions = self.drained_positions(member)
            member.perform(member.core.drained(positions, self.topic_ids(positions)))
            if self.chance.random() < 0.2:
                member.core.audit()

    def ask_and_accept(self, member: Member, fetched: dict[TopicPartition, list[Record]]) -> None:
        """Ask for the topics' ids after the records have come; much may happen until they are there."""
        seeks = member.seeks

        def accept() -> None:
            if not self.is_overtaken(member, seeks):
                member.perform(member.core.fetched(fetched, self.topic_ids(fetched)))
            else:
                member.perform(member.core.fetch_failed())

        if self.chance.random() < 0.5:
            accept()
        else:
            member.errand = accept

    def is_overtaken(self, member: Member, seeks: int) -> bool:
        """Whether positions were moved since the records came."""
        return seeks != member.seeks

    def topic_ids(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, UUID]:
        """What Kafka says that topics are known by."""
        return {partition: self.logs[partition].topic_id for partition in partitions}

    def drained_positions(self, member: Member) -> dict[TopicPartition, int]:
        """Where the client would fetch next, of what is claimed."""
        return {name: member.positions[name] for name in member.core.next_offsets if name in member.positions}

    def happens(self, trouble: str, probability: float) -> bool:
        """Whether there is this trouble now."""
        return trouble in self.weather and self.chance.random() < probability

    def lose(self, partition: TopicPartition, records: list[Record]) -> list[Record]:
        """Records without one in their midst, once for each; only where a hole is not normal."""
        if len(records) > 2 and self.logs[partition].plain and self.happens("lost records", 0.1):
            lost = (partition, records[1].offset)
            if lost not in self._lost:
                self._lost.add(lost)
                self.tell(f"the client loses {lost[1]} of {partition.partition}")
                return [records[0], *records[2:]]
        return records

    def begin_to_ask(self, member: Member, *, faults: bool) -> None:
        """A fetch was out of range, so that Kafka is asked where the logs begin and end."""
        outside = [
            name for name, at in member.positions.items() if name not in member.paused and not self.logs[name].holds(at)
        ]
        self.tell(f"member {member.name}: a fetch is out of range of {[name.partition for name in outside]}")

        def ask() -> None:
            if faults and self.happens("failed fetches", 0.3):
                member.perform(member.core.fetch_failed())
            else:
                member.perform(self.out_of_range(member, {name: self.bounds(name) for name in outside}))

        member.errand = ask

    def out_of_range(self, member: Member, logs: dict[TopicPartition, LogRange]) -> list[SourceCommand]:
        """Tell the core what Kafka says about logs that do not hold a position."""
        return member.core.out_of_range(logs)

    def bounds(self, partition: TopicPartition) -> LogRange:
        """Start and end of a log, and what its topic is known by."""
        log = self.logs[partition]
        return LogRange(log.start, log.end, log.topic_id)

    def begin_slowly(self, member: Member, partition: TopicPartition) -> None:
        """The slow path asks for the partition from where the core wants it; much may happen until it has it."""
        start, log = member.core.starts.get(partition), self.logs[partition]
        if start is None or not log.holds(start):
            return
        generation, stretch = member.core.generation, log.read_slowly(start, self.chance.randrange(1, 6))

        def arrive() -> None:
            if generation == member.core.generation:
                member.perform(self.read_slowly(member, partition, stretch))

        member.errand = arrive

    def read_slowly(self, member: Member, partition: TopicPartition, stretch: Stretch | None) -> list[SourceCommand]:
        """Give the core what the slow path has read, or could not read."""
        if stretch is None:
            self.tell(f"member {member.name} cannot read {partition.partition} slowly either")
            return member.core.unreadable(partition, "corrupt", "simulated")
        self.tell(f"member {member.name} reads {partition.partition} slowly: {stretch[0]} to {stretch[1]}")
        return member.core.isolated(partition, stretch, self.topic_ids([partition]))

    # Its work.

    async def end(self, member: Member, job: Job, *, faults: bool) -> None:
        """A piece of work ends, well or badly."""
        match job.work:
            case PrepareChunk(chunk):
                member.core.prepared(chunk, Prepared())
            case BackOff():
                member.core.waited()
            case Rejoin(generation, _):
                if generation == member.core.generation:
                    self.assign(member, list(member.positions))
                member.core.rejoined()
            case Finish():
                self.finish(member, job.work)
            case HaltPartition() if faults and self.happens("failovers", 0.3):
                self.fail_over()  # seldom by chance alone, between a reason to halt and the halt
                member.jobs.append(job)
            case _ if faults and self.happens("failed statements", 0.06):
                await self.fail(member, job)
            case _ if faults and self.happens("late writes", 0.06):
                self.tell(f"member {member.name} gives up, but it may be committed late: {describe(job.work)}")
                self._late += [job] if is_a_write(job.work) else []
                member.core.database_failed()
            case _:
                await self.use_database(member, job, lost=faults and self.happens("lost answers", 0.06))

    def finish(self, member: Member, work: Finish) -> None:
        """A member ends, and is started again."""
        self.tell(f"member {member.name} ends")
        if work.problem:
            raise Violation("live", f"member {member.name} ends: {work.problem}")
        core = member.core
        if core._failures == 0 and not core._doubt and len(core._queue):
            raise Violation("clean stop", f"member {member.name} ends with {len(core._queue)} chunks")
        self.restart(member)

    async def fail(self, member: Member, job: Job) -> None:
        """The database fails before the last of the transactions that a piece of work consists of."""
        self.tell(f"member {member.name} fails: {describe(job.work)}")
        if isinstance(job.work, ApplyChunk):
            transactions = self.store.transactions(Write(job.work.chunk, job.work.moves, job.claims))
            try:
                for transaction in transactions[: self.chance.randrange(len(transactions))]:
                    await transaction()
            except (FencedError, RefusedError):
                pass
        member.core.database_failed()

    async def use_database(self, member: Member, job: Job, *, lost: bool) -> None:
        """The database does its part; its answer may be lost."""
        self.tell(f"member {member.name}{' does not hear the answer to' if lost else ''}: {describe(job.work)}")
        try:
            await self._perform(job, member, lost=lost)
        except FencedError:
            self.told[-1] += " … is fenced"
            member.core.fenced()
        except RefusedError:
            assert isinstance(job.work, ApplyChunk)
            self.told[-1] += " … is refused"
            member.core.refused(job.work.chunk, Refusal("refused", "", "simulated"))
        else:
            if lost:
                member.core.database_failed()

    async def _perform(self, job: Job, member: Member | None, *, lost: bool) -> None:
        core = None if lost or member is None else member.core
        match job.work:
            case ClaimPartitions():
                await self._claim(job.work, job.owner, None if lost else member)
            case Resync(generation):
                claims = await self.store.read_claims(GROUP)
                if core is not None and member is not None:
                    member.perform(core.resynced(generation, claims))
            case _:
                await self._write(job)
                if core is not None:
                    answer(core, job.work)

    async def _write(self, job: Job) -> None:
        match job.work:
            case ApplyChunk(chunk, _, moves):
                for transaction in self.store.transactions(Write(chunk, moves, job.claims)):
                    await transaction()
            case HaltPartition():
                await self.store.halt_as(job.claims, job.work)
            case Release(tokens):
                await self.store.release_all(tokens)
            case _:
                raise AssertionError(job.work)

    async def _claim(self, work: ClaimPartitions, owner: str, member: Member | None) -> None:
        token = self.token(owner)
        claims = await self.store.claim(GROUP, self._bounds_of(work.partitions), token, owner)
        if self.happens("failovers", 0.3):
            self.follow()  # a copy lags by a few transactions, and mostly knows the claims
        if member is None:
            return
        logs = self._bounds_of(work.partitions)
        member.perform(member.core.claimed(work.generation, token, claims, logs))
        for name in work.partitions:
            partition = member.core._partitions.get(name)
            if partition is not None and partition.token == token:
                member.claims[name] = self.store.last_claim

    def _bounds_of(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, LogRange]:
        return {partition: self.bounds(partition) for partition in partitions}


def answer(core: Core, work: Work) -> None:
    """Tell the core that what it wanted to be written is written."""
    match work:
        case ApplyChunk(chunk):
            core.applied(chunk)
        case HaltPartition():
            core.halted_in_table(work)
        case Release():
            core.released()
        case _:
            raise AssertionError(work)


def is_a_write(work: Work) -> bool:
    """Whether work changes the database."""
    return isinstance(work, ApplyChunk | ClaimPartitions | HaltPartition | Release)


def describe(work: Work) -> str:
    """Work in a few words."""
    match work:
        case ApplyChunk(_, _, moves):
            steps = "; ".join(
                f"{name.partition}: {move.from_offset} to {move.next_offset}" for name, move in moves.items()
            )
            return f"apply {steps}"
        case ClaimPartitions(_, partitions):
            return f"claim {[partition.partition for partition in partitions]}"
        case HaltPartition(_, _, incident):
            return f"{incident.kind} of {incident.partition.partition}, {incident.from_offset} to {incident.to_offset}"
        case Resync():
            return "read the claims"
        case _:
            return type(work).__name__.lower()
