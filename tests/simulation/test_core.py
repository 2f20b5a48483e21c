"""The consumer's core under every order of events that a seed can make."""

from __future__ import annotations

from uuid import UUID

import pytest

from consumer.chunk import Chunk, Prepared, Refusal
from consumer.core import CHUNK_BYTES_MAX, Core
from consumer.partition import Partition
from consumer.record import Fault, Record, Stretch
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
)
from events.fold import FOLD_VERSION
from events.position import TopicPartition
from store.batch import Anchor, Claim, LogRange
from tests.simulation.search import run

T0, T1 = TopicPartition("t", 0), TopicPartition("t", 1)
TOKEN, OTHER = UUID(int=1), UUID(int=2)
SEEDS_PER_TEST = 100


@pytest.mark.parametrize("block", range(20))
def test_every_invariant_holds_in_every_order_of_things(block: int) -> None:
    """Whatever Kafka, PostgreSQL and the members do, every record is applied once and in order, or a halt says why."""
    for seed in range(block * SEEDS_PER_TEST, (block + 1) * SEEDS_PER_TEST):
        failure = run(seed)
        assert failure is None, failure.story


def records(*offsets: int) -> list[Record]:
    """Records at these offsets."""
    return [Record(offset, 0, None, b"v%d" % offset) for offset in offsets]


def claim(next_offset: int = 0, **fields: object) -> Claim:
    """A claim under our token."""
    given = {"token": TOKEN, "halted": False, "fold_version": FOLD_VERSION} | fields
    return Claim(next_offset=next_offset, **given)  # type: ignore[arg-type] # the fields of a claim


def owning(next_offset: int = 0, log: tuple[int, int] | LogRange = (0, 100), **fields: object) -> Core:
    """A core that has claimed one partition."""
    core = Core()
    core.assigned([T0])
    assert core.decide() == [ClaimPartitions(1, (T0,))]
    core.claimed(1, TOKEN, {T0: claim(next_offset, **fields)}, {T0: LogRange(*log)})
    return core


def has_room(core: Core) -> bool:
    """Whether another chunk is wanted."""
    return core.wants_records


def prepared_chunk(core: Core) -> Chunk:
    """The chunk that the core wants to have prepared, prepared."""
    [work] = core.decide()
    assert isinstance(work, PrepareChunk)
    core.prepared(work.chunk, Prepared())
    return work.chunk


def test_an_assigned_partition_is_paused_before_a_record_can_arrive() -> None:
    """What Kafka assigns is paused and given a position at once, and records of it are dropped until it is claimed."""
    core = Core()
    assert core.assigned([T1, T0]) == [Pause((T0, T1)), Seek(T0, 0), Seek(T1, 0)]
    core.fetched({T0: records(0, 1)})
    assert core.decide() == [ClaimPartitions(1, (T0, T1))]


def test_a_claim_is_read_from_where_the_table_stands() -> None:
    """A claimed partition is fetched from its position in the table."""
    core = Core()
    core.assigned([T0])
    core.decide()
    assert core.claimed(1, TOKEN, {T0: claim(7)}, {T0: LogRange(0, 9)}) == [Seek(T0, 7), Resume((T0,))]
    assert core.next_offsets == {T0: 7}
    assert core.ready


def test_a_claim_of_an_older_assignment_is_forgotten() -> None:
    """A claim that ends after a rebalance does not give the partition of the new assignment."""
    core = Core()
    core.assigned([T0])
    core.decide()
    core.assigned([T0])
    assert core.claimed(1, TOKEN, {T0: claim()}, {T0: LogRange(0, 0)}) == []
    assert core.decide() == [ClaimPartitions(2, (T0,))]


def test_the_next_chunk_is_prepared_while_one_is_applied() -> None:
    """Preparing and applying overlap, and a third chunk is not wanted meanwhile."""
    core = owning()
    core.fetched({T0: records(0, 1)})
    first = prepared_chunk(core)
    [apply] = core.decide()
    assert isinstance(apply, ApplyChunk)
    assert has_room(core)
    core.fetched({T0: records(2)})
    second = prepared_chunk(core)
    assert not has_room(core)
    assert core.decide() == []
    core.applied(first)
    [apply] = core.decide()
    assert isinstance(apply, ApplyChunk)
    assert apply.chunk is second
    assert apply.moves[T0][1:3] == (2, 3)


def test_a_hole_is_asked_for_once_more_and_then_believed() -> None:
    """Missing offsets make the partition be read again from the expected one; the same hole twice is in the log."""
    core = owning()
    assert core.fetched({T0: records(0, 1, 4)}) == [Seek(T0, 0)]
    assert core.fetched({T0: records(0, 1, 4)}) == []
    assert len(prepared_chunk(core)) == 3
    assert core.fetched({T0: records(9)}) == []


def test_a_hole_that_goes_away_was_the_clients() -> None:
    """Records that were missing once and are there the second time are applied."""
    core = owning()
    core.fetched({T0: records(0, 3)})
    core.fetched({T0: records(0, 1, 2, 3)})
    assert len(prepared_chunk(core)) == 4


def test_the_last_applied_record_is_compared_with_the_log() -> None:
    """The record at the anchor is read first; if it is the one that was applied, reading goes on after it."""
    anchor = records(4)[0].anchor
    core = owning(5, anchor=anchor)
    assert core.fetched({T0: records(4, 5)}) == []
    assert [record.offset for record in prepared_chunk(core).records[T0]] == [5]


def test_another_record_at_the_anchor_halts_the_partition() -> None:
    """A log whose record at the anchor differs is not read on."""
    core = owning(5, anchor=Anchor(4, b"other"))
    assert core.fetched({T0: records(4, 5)}) == [Pause((T0,))]
    [work] = core.decide()
    assert isinstance(work, HaltPartition)
    assert (work.incident.kind, work.token) == ("another_log", TOKEN)
    assert core.halted == (T0,)


def test_an_anchor_that_the_log_lost_is_not_asked_for() -> None:
    """A partition is read on without comparison where retention took the anchor."""
    assert Partition(T0).claim(TOKEN, claim(5, anchor=Anchor(4, b"x")), LogRange(5, 9)) is None
    core = owning(5, anchor=Anchor(4, b"x"))
    core.fetched({T0: records(5)})
    assert len(prepared_chunk(core)) == 1


@pytest.mark.parametrize(("log", "kind"), [((6, 9), "gap"), ((0, 4), "truncated")])
def test_a_log_that_does_not_hold_the_position_halts_it(log: tuple[int, int], kind: str) -> None:
    """A position before the log's start or after its end halts the partition with an incident of its kind."""
    core = owning(5, log)
    [work] = core.decide()
    assert isinstance(work, HaltPartition)
    assert work.incident.kind == kind


ONE, ANOTHER = UUID(int=11), UUID(int=12)


def test_a_topic_that_was_made_anew_halts_at_the_claim() -> None:
    """A topic with another id than the one that was read is not read, though the position fits into its log."""
    core = owning(5, LogRange(0, 9, ANOTHER), topic_id=ONE)
    [work] = core.decide()
    assert isinstance(work, HaltPartition)
    assert (work.next_offset, work.incident.kind, work.incident.from_offset) == (5, "recreated", 5)
    assert owning(5, LogRange(0, 9, ONE), topic_id=ONE).decide() == []


def test_records_of_a_topic_that_was_made_anew_are_not_accepted() -> None:
    """Records that came before the id was found to be another halt their partition; the others go on."""
    core = Core()
    core.assigned([T0, T1])
    core.decide()
    logs = {T0: LogRange(0, 9, ONE), T1: LogRange(0, 9, ONE)}
    core.claimed(1, TOKEN, {T0: claim(topic_id=ONE), T1: claim(topic_id=ONE)}, logs)
    assert core.fetched({T0: records(0), T1: records(0)}, {T0: ANOTHER, T1: ONE}) == [Pause((T0,))]
    prepare, halt = core.decide()
    assert isinstance(prepare, PrepareChunk)
    assert isinstance(halt, HaltPartition)
    assert (list(prepare.chunk.records), halt.incident.partition) == ([T1], T0)


@pytest.mark.parametrize("told", [{}, {T0: ONE}])
def test_a_topic_whose_id_is_not_told_is_read_on(told: dict[TopicPartition, UUID]) -> None:
    """A broker that is too old to tell ids, or a row that knows none, halts nothing."""
    core = owning(topic_id=None if told else ONE)
    assert core.fetched({T0: records(0)}, told) == []
    assert len(prepared_chunk(core)) == 1


def test_markers_and_what_is_read_slowly_are_of_the_same_topic_too() -> None:
    """No way of moving on leads into a topic that was made anew."""
    log = LogRange(0, 100, ONE)
    assert owning(0, log, topic_id=ONE).drained({T0: 3}, {T0: ANOTHER}) == [Pause((T0,))]
    assert owning(0, log, topic_id=ONE).isolated(T0, Stretch(0, 1, records(0)), {T0: ANOTHER}) == [Pause((T0,))]
    outside = owning(0, log, topic_id=ONE)
    assert outside.out_of_range({T0: LogRange(0, 0, ANOTHER)}) == [Pause((T0,))]
    [work] = outside.decide()
    assert isinstance(work, HaltPartition)
    assert work.incident.kind == "recreated"


def test_a_halt_that_does_not_fit_the_row_is_found_anew() -> None:
    """After a failover to a lagging copy the position is another one, and so is what is wrong with the log there."""
    core = owning(5)
    core.out_of_range({T0: LogRange(7, 9)})
    [work] = core.decide()
    assert isinstance(work, HaltPartition)
    core.fenced()
    assert core.decide() == [Resync(1)]
    assert core.resynced(1, {T0: claim(2)}) == []
    assert core.decide() == [ClaimPartitions(1, (T0,))]
    core.claimed(1, OTHER, {T0: claim(2, token=OTHER)}, {T0: LogRange(7, 9)})
    [work] = core.decide()
    assert isinstance(work, HaltPartition)
    assert (work.token, work.next_offset, work.incident.from_offset) == (OTHER, 2, 2)


def test_large_records_of_one_partition_do_not_keep_another_waiting() -> None:
    """A partition whose records did not fit into a chunk comes first in the next one."""
    core = Core()
    core.assigned([T0, T1])
    core.decide()
    core.claimed(1, TOKEN, {T0: claim(), T1: claim()}, {T0: LogRange(0, 99), T1: LogRange(0, 99)})
    large = [Record(offset, 0, None, b"x" * (CHUNK_BYTES_MAX // 2)) for offset in range(5)]
    assert core.fetched({T0: large[:3], T1: records(0)}) == [Seek(T0, 2), Seek(T1, 0)]
    assert prepared_chunk(core).records.keys() == {T0}
    assert core.fetched({T0: large[2:], T1: records(0)}) == [Seek(T0, 3)]
    prepare, _ = core.decide()
    assert isinstance(prepare, PrepareChunk)
    assert {name: len(taken) for name, taken in prepare.chunk.records.items()} == {T1: 1, T0: 1}


def test_a_client_that_stands_still_is_exchanged() -> None:
    """A client that brings nothing although there is more leaves the group, and another one joins."""
    core = owning()
    core.stalled()
    assert core.decide() == [Rejoin(1, fenced=False)]
    core.rejoined()
    assert core.decide() == []


def test_a_halted_partition_stays_halted() -> None:
    """A partition that an incident holds is neither read nor claimed again."""
    core = owning(halted=True)
    assert core.halted == (T0,)
    assert core.fetched({T0: records(0)}) == []
    assert core.decide() == []


def test_out_of_range_halts_after_what_was_accepted_is_applied() -> None:
    """Records accepted before the gap go into the table first."""
    core = owning()
    core.fetched({T0: records(0)})
    chunk = prepared_chunk(core)
    assert core.out_of_range({T0: LogRange(5, 9)}) == [Pause((T0,))]
    [work] = core.decide()
    assert isinstance(work, ApplyChunk)
    core.applied(chunk)
    [work] = core.decide()
    assert isinstance(work, HaltPartition)
    assert (work.incident.from_offset, work.incident.to_offset) == (1, 5)


def test_doubt_is_answered_by_reading_the_claims() -> None:
    """After a failure the rows are read on a new connection, after a pause, and believed."""
    core = owning()
    core.fetched({T0: records(0, 1)})
    prepared_chunk(core)
    core.decide()
    core.database_failed()
    assert not core.wants_records
    assert core.decide() == [BackOff(1)]
    core.waited()
    assert core.decide() == [Resync(1)]
    assert core.resynced(1, {T0: claim(1)}) == [Seek(T0, 1)]
    assert core.next_offsets == {T0: 1}
    assert core.decide() == []


def test_an_idle_consumer_notices_that_the_database_fell_back() -> None:
    """With nothing to do the claims are read now and then, and a position that went back is fetched from again."""
    core = owning(5)
    core.audit()
    assert core.decide() == [Resync(1, reconnect=False)]
    assert core.resynced(1, {T0: claim(3)}) == [Seek(T0, 3)]
    core.audit()
    core.decide()
    assert core.resynced(1, {T0: claim(3)}) == []


def test_a_busy_consumer_is_not_audited() -> None:
    """What is on its way into the table finds out by itself whether the position is right."""
    core = owning()
    core.fetched({T0: records(0)})
    core.audit()
    assert [type(work) for work in core.decide()] == [PrepareChunk]


def test_a_fenced_partition_is_given_up_until_the_group_is_joined_again() -> None:
    """A claim that another consumer holds is paused, and the consumer joins the group anew."""
    core = owning()
    core.fenced()
    core.decide()
    assert core.resynced(1, {T0: claim(token=OTHER)}) == [Pause((T0,))]
    assert core.decide() == [Rejoin(1, fenced=True)]
    core.revoked()
    core.rejoined()
    assert core.decide() == []


def test_a_halt_that_was_fenced_is_forgotten() -> None:
    """A partition that another consumer holds is not ours to halt: the group is joined anew."""
    core = owning(5, (6, 9))
    core.decide()
    core.fenced()
    assert core.decide() == [Resync(1)]
    core.resynced(1, {T0: claim(5, token=OTHER)})
    assert core.decide() == [Rejoin(1, fenced=True)]


def test_a_refused_chunk_is_halved_until_one_record_is_left() -> None:
    """PostgreSQL's refusal leads to exactly the record that it refuses."""
    core = owning()
    core.fetched({T0: records(*range(8))})
    refusal = Refusal("refused_22P05", "", "bad")
    applied = []
    while work := core.decide():
        for each in work:
            match each:
                case PrepareChunk(chunk):
                    core.prepared(chunk, Prepared())
                case ApplyChunk(chunk) if chunk.refusal is None and any(r.offset == 5 for r in chunk.records[T0]):
                    core.refused(chunk, refusal)
                case ApplyChunk(chunk):
                    applied += [(r.offset, chunk.refusal) for r in chunk.records[T0]]
                    core.applied(chunk)
    assert applied == [(n, refusal if n == 5 else None) for n in range(8)]
    assert core.next_offsets == {T0: 8}


def test_stopping_applies_what_was_accepted_and_releases_the_claims() -> None:
    """A stop accepts nothing more, finishes what it has, gives up its claims and ends."""
    core = owning()
    core.fetched({T0: records(0)})
    core.stop()
    assert not core.wants_records
    chunk = prepared_chunk(core)
    [work] = core.decide()
    assert isinstance(work, ApplyChunk)
    core.applied(chunk)
    assert core.decide() == [Release((TOKEN,))]
    core.released()
    assert core.decide() == [Finish("")]


def test_stopping_does_not_wait_for_a_database_that_is_away() -> None:
    """With the database away a stop ends at once: the next claim fences us anyway."""
    core = owning()
    core.database_failed()
    core.stop()
    assert core.decide() == [Finish("")]


def test_a_table_of_another_fold_is_not_written() -> None:
    """A consumer of another version of the fold ends and says why."""
    core = owning(fold_version=FOLD_VERSION + 1)
    [work] = core.decide()
    assert isinstance(work, Finish)
    assert "version" in work.problem


def test_a_failed_fetch_seeks_every_claimed_partition_back() -> None:
    """What a failed fetch had drained from healthy partitions is fetched again."""
    core = owning()
    core.fetched({T0: records(0, 1)})
    assert core.fetch_failed() == [Seek(T0, 2)]


def test_a_failed_fetch_does_not_lose_the_anchor() -> None:
    """While the last applied record is not compared yet, a failed fetch seeks back to it."""
    anchor = records(4)[0].anchor
    core = owning(5, anchor=anchor)
    assert core.fetch_failed() == [Seek(T0, 4)]


def test_an_anchor_that_retention_took_meanwhile_halts_nothing() -> None:
    """Out of range at the anchor, with the position still in the log, means reading on without comparison."""
    core = owning(5, anchor=records(4)[0].anchor)
    assert core.out_of_range({T0: LogRange(5, 9)}) == [Seek(T0, 5)]
    assert core.halted == ()


def test_a_chunk_is_bounded_by_its_bytes() -> None:
    """Records beyond the bound are left for the next chunk, and fetched again; a record alone always fits."""
    core = owning()
    large = [Record(offset, 0, None, b"x" * (CHUNK_BYTES_MAX // 2)) for offset in range(3)]
    assert core.fetched({T0: large}) == [Seek(T0, 2)]
    assert len(prepared_chunk(core)) == 2
    core = owning()
    assert core.fetched({T0: [Record(0, 0, None, b"x" * (CHUNK_BYTES_MAX + 1))]}) == []
    assert len(prepared_chunk(core)) == 1


def test_an_unreadable_partition_is_halted_alone() -> None:
    """A partition that cannot be read even slowly is halted at its position, with the incident's kind."""
    core = owning(5)
    assert core.unreadable(T0, "corrupt", "why") == [Pause((T0,))]
    [work] = core.decide()
    assert isinstance(work, HaltPartition)
    assert (work.incident.kind, work.incident.from_offset) == ("corrupt", 5)


def batch_fault(first: int, last: int) -> Record:
    """A record that stands for a batch which cannot be read."""
    return Record(first, 0, None, b"raw", (), Fault("corrupt_batch", "", "why", last))


def test_what_was_read_slowly_is_accepted_and_the_client_goes_on_after_it() -> None:
    """Records and faults are a chunk like any other, and the client is sought to where the slow path ended."""
    core = owning()
    stretch = Stretch(0, 9, [*records(0, 1), batch_fault(2, 5), *records(6)])
    assert core.isolated(T0, stretch) == [Seek(T0, 9)]
    chunk = prepared_chunk(core)
    apply, _ = core.decide()[::-1]
    assert isinstance(apply, ApplyChunk)
    assert apply.moves[T0] == (TOKEN, 0, 7, records(6)[0].anchor)
    core.applied(chunk)
    assert core.starts == {T0: 9}


def test_the_anchor_is_the_last_record_that_can_be_read_again() -> None:
    """A batch that stands for several records leaves the anchor to the record before it."""
    core = owning()
    core.isolated(T0, Stretch(0, 6, [*records(0, 1), batch_fault(2, 5)]))
    prepared_chunk(core)
    [work] = core.decide()
    assert isinstance(work, ApplyChunk)
    assert work.moves[T0] == (TOKEN, 0, 6, records(1)[0].anchor)


def test_a_stretch_without_records_is_moved_over() -> None:
    """Markers and aborted transactions beside what cannot be read move the position by themselves."""
    core = owning()
    core.fetched({T0: records(0)})
    assert core.isolated(T0, Stretch(1, 9, [])) == [Seek(T0, 9)]
    core.applied(prepared_chunk(core))
    prepared_chunk(core)
    [work] = core.decide()
    assert isinstance(work, ApplyChunk)
    assert work.moves[T0][1:] == (1, 9, None)


def test_a_stretch_that_begins_after_the_position_is_read_again() -> None:
    """A position that went back while the slow path read is not moved over what lies between."""
    core = owning()
    assert core.isolated(T0, Stretch(5, 9, records(7))) == [Seek(T0, 0)]
    assert core.isolated(T0, Stretch(5, 9, [])) == [Seek(T0, 0)]
    assert core.decide() == []


def test_a_fault_that_begins_before_the_position_is_not_passed_over() -> None:
    """A batch of which a part was applied is set aside for the rest."""
    core = owning(3)
    core.isolated(T0, Stretch(1, 6, [batch_fault(1, 5)]))
    chunk = prepared_chunk(core)
    assert (chunk.spans[T0], chunk.records[T0]) == ((3, 6), (batch_fault(1, 5),))


def test_a_hole_before_a_fault_is_asked_for_once_more() -> None:
    """What the slow path misses is doubted as what the client misses, and believed the second time."""
    core = owning()
    stretch = Stretch(0, 9, [batch_fault(4, 8)])
    assert core.isolated(T0, stretch)[-1] == Seek(T0, 0)
    assert core.decide() == []
    assert core.isolated(T0, stretch) == [Seek(T0, 9)]
    assert prepared_chunk(core).spans[T0] == (0, 9)


def test_the_anchor_before_a_fault_is_compared_by_the_slow_path() -> None:
    """The last applied record is looked at, whichever way it is read."""
    anchor = records(4)[0].anchor
    core = owning(5, anchor=anchor)
    assert core.isolated(T0, Stretch(4, 9, [*records(4), batch_fault(5, 8)])) == [Seek(T0, 9)]
    core = owning(5, anchor=Anchor(4, b"other"))
    assert core.isolated(T0, Stretch(4, 9, [*records(4), batch_fault(5, 8)])) == [Pause((T0,)), Seek(T0, 5)]
    assert core.halted == (T0,)


def test_an_anchor_that_cannot_be_compared_halts_nothing() -> None:
    """A batch that is no record any more where the anchor was leaves the check out."""
    core = owning(5, anchor=records(4)[0].anchor)
    assert core.isolated(T0, Stretch(4, 9, [batch_fault(4, 8)])) == [Seek(T0, 9)]
    assert core.halted == ()
    core = owning(5, anchor=records(4)[0].anchor)
    assert core.isolated(T0, Stretch(4, 5, [])) == [Seek(T0, 5)]


def test_a_halt_by_another_hand_is_obeyed() -> None:
    """A claim that the table shows as halted is paused, not applied again and again."""
    core = owning()
    core.fenced()
    core.decide()
    assert core.resynced(1, {T0: claim(halted=True)}) == [Pause((T0,))]
    assert core.halted == (T0,)


def test_a_refused_dead_letter_stops_the_consumer() -> None:
    """A record that is refused even as a dead letter is not tried for ever."""
    core = owning()
    core.fetched({T0: records(0)})
    refusal = Refusal("refused_22P05", "", "bad")
    core.refused(prepared_chunk(core), refusal)
    core.refused(prepared_chunk(core), refusal)
    core.decide()
    core.released()
    [work] = core.decide()
    assert isinstance(work, Finish)
    assert "dead letter" in work.problem


def test_an_empty_stretch_is_moved_over_once_everything_before_it_is_applied() -> None:
    """Positions follow the client over transaction markers, but never over records on their way."""
    core = owning()
    core.fetched({T0: records(0)})
    core.drained({T0: 3})
    chunk = prepared_chunk(core)
    core.decide()
    core.applied(chunk)
    core.drained({T0: 3, T1: 9})
    prepared_chunk(core)
    [work] = core.decide()
    assert isinstance(work, ApplyChunk)
    assert work.moves[T0][1:] == (1, 3, None)
