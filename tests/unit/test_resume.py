"""The core beside an operator who lifts halts: what goes on in the table goes on here too, without a restart."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from uuid import UUID

import pytest

from consumer.chunk import Prepared
from consumer.core import Core
from consumer.record import Record
from consumer.work import (
    ApplyChunk,
    BackOff,
    ClaimPartitions,
    HaltPartition,
    Pause,
    PrepareChunk,
    Rejoin,
    Resume,
    Resync,
    Seek,
    SourceCommand,
    Work,
)
from events.fold import FOLD_VERSION
from events.position import TopicPartition
from store import MemoryStore
from store.batch import Anchor, Batch, Claim, LogRange
from store.errors import FencedError

T0, T1 = TopicPartition("t", 0), TopicPartition("t", 1)
TOKEN, OTHER = UUID(int=1), UUID(int=2)
GROUP = "simulated"
SEEDS_PER_TEST = 100


def records(*offsets: int) -> list[Record]:
    """Records at these offsets."""
    return [Record(offset, 0, None, b"v%d" % offset) for offset in offsets]


def claim(
    next_offset: int = 0, token: UUID | None = TOKEN, *, halted: bool = False, anchor: Anchor | None = None
) -> Claim:
    """A row of the table."""
    return Claim(next_offset, token, halted, fold_version=FOLD_VERSION, anchor=anchor)


def halted_core(*, in_table: bool = True) -> Core:
    """A core that holds one partition, and another one that met a gap at 5, up to 9."""
    core = Core()
    core.assigned([T0, T1])
    core.decide()
    core.claimed(1, TOKEN, {T0: claim(5), T1: claim(0)}, {T0: LogRange(9, 20), T1: LogRange(0, 20)})
    [work] = core.decide()
    assert isinstance(work, HaltPartition)
    if in_table:
        core.halted_in_table(work)
    else:
        core.database_failed()
        core.decide()
        core.waited()
    return core


def audited(core: Core, row: Claim) -> list[SourceCommand]:
    """What the core does once it has looked at its rows, of which the halted one is this."""
    core.audit()
    work = core.decide()
    assert Resync(1, reconnect=False) in work
    return core.resynced(1, {T0: row, T1: claim(0)})


def test_a_lifted_halt_is_claimed_anew() -> None:
    """A partition that the table shows live and unclaimed is claimed alone, and read from where the operator said."""
    core = halted_core()
    assert audited(core, claim(9, None)) == []
    assert core.decide() == [ClaimPartitions(1, (T0,))]
    assert core.claimed(1, OTHER, {T0: claim(9, OTHER)}, {T0: LogRange(9, 20)}) == [Seek(T0, 9), Resume((T0,))]
    assert core.halted == ()
    assert core.next_offsets == {T0: 9, T1: 0}
    core.fetched({T0: records(9)})
    [prepare] = core.decide()
    assert isinstance(prepare, PrepareChunk)
    core.prepared(prepare.chunk, Prepared())
    [work] = core.decide()
    assert isinstance(work, ApplyChunk)
    assert work.moves[T0][:3] == (OTHER, 9, 10)


def test_a_halt_that_nobody_lifted_stays() -> None:
    """Looking at a row that is halted changes nothing, however often."""
    core = halted_core()
    for _ in range(3):
        assert audited(core, claim(5, halted=True)) == []
        assert core.decide() == []
    assert core.halted == (T0,)


def test_a_cause_that_was_not_mended_halts_again() -> None:
    """A partition that was resumed into the same gap is halted again, with a new incident under the new claim."""
    core = halted_core()
    audited(core, claim(5, None))
    core.decide()
    assert core.claimed(1, OTHER, {T0: claim(5, OTHER)}, {T0: LogRange(9, 20)}) == [Pause((T0,))]
    [work] = core.decide()
    assert isinstance(work, HaltPartition)
    assert (work.token, work.incident.kind) == (OTHER, "gap")


def test_a_busy_consumer_looks_after_what_is_halted_and_drops_nothing() -> None:
    """While other partitions are read without a pause, a lifted halt is noticed, and chunks on their way stay."""
    core = halted_core()
    core.fetched({T1: records(0)})
    [prepare] = core.decide()
    assert isinstance(prepare, PrepareChunk)
    core.prepared(prepare.chunk, Prepared())
    [apply] = core.decide()
    assert isinstance(apply, ApplyChunk)
    core.audit()
    assert core.decide() == []
    core.fetched({T1: records(1)})
    core.applied(prepare.chunk)
    prepare, resync = core.decide()
    assert isinstance(prepare, PrepareChunk)
    assert isinstance(resync, Resync)
    core.prepared(prepare.chunk, Prepared())
    assert core.resynced(1, {T0: claim(9, None), T1: claim(1)}) == []
    assert core.starts == {T1: 2}
    assert core.decide() == [ClaimPartitions(1, (T0,))]
    core.claimed(1, OTHER, {T0: claim(9, OTHER)}, {T0: LogRange(9, 20)})
    [apply] = core.decide()
    assert isinstance(apply, ApplyChunk)
    assert apply.moves.keys() == {T1}


def test_a_busy_consumer_without_halts_is_left_alone() -> None:
    """Where nothing is halted, rows are looked at only when there is nothing to do."""
    core = Core()
    core.assigned([T1])
    core.decide()
    core.claimed(1, TOKEN, {T1: claim(0)}, {T1: LogRange(0, 20)})
    core.fetched({T1: records(0)})
    core.audit()
    assert [type(work) for work in core.decide()] == [PrepareChunk]


def test_a_halt_on_its_way_into_the_table_is_not_taken_for_a_lifted_one() -> None:
    """A row that is live because the halt has not reached it yet is halted, not read."""
    core = halted_core(in_table=False)
    assert core.decide() == [Resync(1)]
    core.resynced(1, {T0: claim(5), T1: claim(0)})
    assert core.halted == (T0,)
    [work] = core.decide()
    assert isinstance(work, HaltPartition)


def test_a_halt_whose_answer_was_lost_is_recorded_once() -> None:
    """A halt that reached the table although its answer did not is not done again."""
    core = halted_core(in_table=False)
    core.decide()
    core.resynced(1, {T0: claim(5, halted=True), T1: claim(0)})
    assert core.halted == (T0,)
    assert core.decide() == []


def test_a_halt_that_a_failover_lost_is_found_again() -> None:
    """A row that fell back to before the halt is claimed anew, which finds what is wrong with the log once more."""
    core = halted_core()
    audited(core, claim(5))
    assert core.decide() == [ClaimPartitions(1, (T0,))]


def test_a_lifted_halt_that_somebody_else_claimed_is_a_fence() -> None:
    """A partition that Kafka gives to us and the table to another is left to the group to decide."""
    core = halted_core()
    audited(core, claim(9, OTHER))
    assert core.decide() == [Rejoin(1, fenced=True)]


def test_nothing_of_the_log_before_is_remembered() -> None:
    """A partition that was halted while its anchor was not compared yet does not go back there after its halt."""
    core = Core()
    core.assigned([T0])
    core.decide()
    core.claimed(1, TOKEN, {T0: claim(5, anchor=Anchor(4, b"x"))}, {T0: LogRange(0, 20)})
    core.unreadable(T0, "corrupt", "")
    [work] = core.decide()
    assert isinstance(work, HaltPartition)
    core.halted_in_table(work)
    core.audit()
    core.decide()
    core.resynced(1, {T0: claim(9, None)})
    core.decide()
    assert core.claimed(1, OTHER, {T0: claim(9, OTHER)}, {T0: LogRange(0, 20)}) == [Seek(T0, 9), Resume((T0,))]


Answer = Callable[[Core], list[SourceCommand] | None]


class Site:
    """One consumer, a log that retention shortens, a database that fails, and an operator who accepts every gap."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.core = Core()
        self.store = MemoryStore()
        self.logs: dict[TopicPartition, list[Record]] = {T0: [], T1: []}
        self.starts = {T0: 0, T1: 0}
        self.positions: dict[TopicPartition, int] = {}
        self.paused: set[TopicPartition] = set()
        self.work: list[Work] = []
        self.applied: Counter[tuple[TopicPartition, int]] = Counter()
        self.given_up: set[tuple[TopicPartition, int]] = set()
        self.lifted = 0

    async def run(self, steps: int) -> None:
        """Let anything happen, then let the consumer and the operator finish in peace."""
        self.assign()
        for _ in range(steps):
            await self.step(faults=True)
        for _ in range(2_000):
            if self.settled():
                return
            await self.step(faults=False)

    def settled(self) -> bool:
        """Whether every record that was written is applied, or was given up by the operator."""
        seen = self.applied.keys() | self.given_up
        return all((name, record.offset) in seen for name, log in self.logs.items() for record in log)

    async def step(self, *, faults: bool) -> None:
        """One thing happens."""
        what = self.chance.random()
        if faults and what < 0.1:
            log = self.logs[self.chance.choice([T0, T1])]
            log += [Record(len(log) + n, 0, None, b"{}") for n in range(self.chance.randint(1, 6))]
        elif faults and what < 0.16:
            name = self.chance.choice([T0, T1])
            self.starts[name] = self.chance.randint(self.starts[name], len(self.logs[name]))
        elif faults and what < 0.18:
            self.assign()
        elif what < 0.22:
            self.operate()
        elif what < 0.27:
            self.core.audit()
        else:
            await self.turn(faults=faults)

    def assign(self) -> None:
        """Kafka takes everything back and gives it again."""
        self.core.revoked()
        self.positions, self.paused = dict.fromkeys(self.logs, 0), set()
        self.perform(self.core.assigned(self.logs))

    def operate(self) -> None:
        """The operator lifts one halt: at the same offset if the log has it, or else at the log's start."""
        for (group, name), row in self.store._claims.items():
            if row.halted:
                to = max(row.next_offset, self.starts[name])
                self.given_up |= {(name, offset) for offset in range(row.next_offset, to)}
                lifted = replace(row, next_offset=to, halted=False, token=None, anchor=None)
                self.store._claims[group, name] = lifted
                self.lifted += 1
                return

    async def turn(self, *, faults: bool) -> None:
        """The consumer fetches, or a piece of its work ends."""
        self.work += self.core.decide()
        if self.work and self.chance.random() < 0.7:
            await self.end(self.work.pop(self.chance.randrange(len(self.work))), faults=faults)
        elif self.core.wants_records:
            self.fetch()

    def fetch(self) -> None:
        """The client drains what is not paused; a position that the log has lost makes it fail."""
        reading = {name: at for name, at in self.positions.items() if name not in self.paused}
        if lost := {name: self.range(name) for name, at in reading.items() if at < self.starts[name]}:
            self.perform(self.core.out_of_range(lost))
            return
        fetched = {name: self.logs[name][at : at + 3] for name, at in reading.items() if self.logs[name][at : at + 3]}
        for name, found in fetched.items():
            self.positions[name] = found[-1].next_offset
        self.perform(self.core.fetched(fetched))

    def range(self, name: TopicPartition) -> LogRange:
        """Start and end of a log."""
        return LogRange(self.starts[name], len(self.logs[name]))

    def perform(self, commands: Iterable[SourceCommand]) -> None:
        """Do what the client would."""
        for command in commands:
            match command:
                case Pause(partitions):
                    self.paused |= set(partitions)
                case Resume(partitions):
                    self.paused -= set(partitions)
                case Seek(partition, offset):
                    self.positions[partition] = offset

    async def end(self, work: Work, *, faults: bool) -> None:
        """A piece of work ends; the database may fail before it did its part, or after."""
        fault = self.chance.random() if faults else 1.0
        match work:
            case PrepareChunk(chunk):
                self.core.prepared(chunk, Prepared())
                return
            case BackOff():
                self.core.waited()
                return
            case Rejoin():
                self.assign()
                self.core.rejoined()
                return
        if fault < 0.05:
            self.core.database_failed()
            return
        try:
            await self.use_database(work, answered=fault > 0.1)
        except FencedError:
            self.core.fenced()

    async def use_database(self, work: Work, *, answered: bool) -> None:
        """The database does its part; its answer may be lost."""
        answer = await self.done(work)
        if answered:
            self.perform(answer(self.core) or [])
        else:
            self.core.database_failed()

    async def done(self, work: Work) -> Answer:
        """Do a piece of work in the database, and return how the core is told."""
        match work:
            case ClaimPartitions(generation, partitions):
                token = UUID(int=self.chance.getrandbits(128))
                claims = await self.store.claim(GROUP, dict.fromkeys(partitions, LogRange(0, 0)), token, "m")
                logs = {name: self.range(name) for name in partitions}
                return lambda core: core.claimed(generation, token, claims, logs)
            case Resync(generation):
                rows = await self.store.read_claims(GROUP)
                return lambda core: core.resynced(generation, rows)
            case ApplyChunk(chunk, _, moves):
                await self.store.apply(Batch(GROUP, dict(moves)))
                self.applied.update((name, each.offset) for name, found in chunk.records.items() for each in found)
                return lambda core: core.applied(chunk)
            case HaltPartition(token, next_offset, incident):
                await self.store.halt(GROUP, token, next_offset, incident)
                return lambda core: core.halted_in_table(work)
            case _:
                raise AssertionError(work)


@pytest.mark.parametrize("block", range(5))
async def test_lifted_halts_lose_nothing_but_what_was_accepted(block: int) -> None:
    """Under any order of failures, rebalances, halts and lifted halts each record is applied once or was given up."""
    lifted = 0
    for seed in range(block * SEEDS_PER_TEST, (block + 1) * SEEDS_PER_TEST):
        site = Site(seed)
        await site.run(steps=300)
        assert site.settled(), f"seed {seed}: {site.core}"
        assert set(site.applied.values()) <= {1}, f"seed {seed}"
        assert not site.applied.keys() & site.given_up, f"seed {seed}"
        halted = sum(row.halted for row in site.store._claims.values())
        assert len(site.store.incidents) == site.lifted + halted, f"seed {seed}: a halt is recorded once"
        lifted += site.lifted
    assert lifted > SEEDS_PER_TEST
