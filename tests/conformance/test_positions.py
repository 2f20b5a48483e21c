"""Claims, the guard, halts and releases: what every store promises about positions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest

from events.catalogue import Catalogue
from events.fold import FOLD_VERSION
from events.position import TopicPartition
from store.batch import Anchor, Batch, Claim, DeadLetter, Incident, LogRange, Move, WithheldPayload
from store.errors import FencedError
from tests.conformance.conftest import A, B
from tests.conformance.stores import Kept, Writer, states_of
from tests.lives import event

GAP = Incident("gap", A, 3, 7, "records 3 to 6 were deleted from the log before they were applied")


async def test_a_new_partition_begins_at_the_start_of_its_log(kept: Kept) -> None:
    """The first claim makes a row at the log's start, and an incident says so if that is not 0."""
    token = uuid4()
    claims = await kept.store.claim("g", {A: LogRange(0, 9), B: LogRange(17, 20)}, token, "me")
    assert claims == {
        A: Claim(0, token, halted=False, fold_version=FOLD_VERSION),
        B: Claim(17, token, halted=False, fold_version=FOLD_VERSION, begins_late=True),
    }
    [late] = await kept.incidents()
    assert (late.kind, late.partition, late.from_offset, late.to_offset) == ("log_start", B, 0, 17)
    assert late.detail == "first start on a log that begins at 17; what was before is gone"
    await kept.store.claim("g", {A: LogRange(5, 9), B: LogRange(18, 20)}, uuid4(), "me")
    assert await kept.incidents() == [late]


async def test_a_second_claim_keeps_the_offset(kept: Kept, writer: Writer, rival: Writer) -> None:
    """A later claim gives a new token, and keeps the offset whatever the log's start."""
    await writer.claim()
    await writer.write([event("started")])
    token = uuid4()
    claims = await rival.store.claim("g", {A: LogRange(99, 99)}, token, "me")
    assert claims == {A: Claim(1, token, halted=False, fold_version=FOLD_VERSION)}
    assert await kept.store.read_claims("g") == claims


async def test_claims_of_a_group_without_positions_are_empty(kept: Kept) -> None:
    """A group that claimed nothing has no positions, and claiming no partition makes none."""
    assert await kept.store.claim("g", {}, uuid4(), "me") == {}
    assert await kept.store.read_claims("g") == {}


async def test_a_batch_moves_its_positions_and_keeps_the_anchor(kept: Kept, writer: Writer) -> None:
    """Applying moves the position to the first offset after the batch, with the last record's anchor."""
    await writer.claim(5)
    anchor = Anchor(7, b"\x00digest")
    applied = await kept.store.apply(Batch("g", {A: writer.move(3, anchor)}))
    assert (applied.executions, applied.rows_changed) == (0, 0)
    claims = await kept.store.read_claims("g")
    assert claims[A] == Claim(8, writer.token, halted=False, fold_version=FOLD_VERSION, anchor=anchor)


async def test_a_move_without_a_record_keeps_the_anchor(kept: Kept, writer: Writer) -> None:
    """Moving over nothing (transaction markers) leaves the last applied record's anchor standing."""
    await writer.claim()
    anchor = Anchor(0, b"digest")
    await kept.store.apply(Batch("g", {A: writer.move(1, anchor)}))
    await kept.store.apply(Batch("g", {A: Move(writer.token, 1, 4)}))
    claim = (await kept.store.read_claims("g"))[A]
    assert (claim.next_offset, claim.anchor) == (4, anchor)


async def wrong_token(writer: Writer) -> None:
    """Believe in a claim that was never made."""
    writer.token = uuid4()


async def behind(writer: Writer) -> None:
    """Believe in an offset that was left behind: an acknowledgement was lost."""
    writer.offset -= 1


async def ahead(writer: Writer) -> None:
    """Believe in an offset that is not reached: the database fell back to a lagging copy."""
    writer.offset += 1


async def claimed_by_a_rival(writer: Writer) -> None:
    """Be a zombie: somebody else claimed the partition."""
    await writer.store.claim("g", {A: LogRange(0, 0)}, uuid4(), "rival")


async def released(writer: Writer) -> None:
    """Be a late duplicate of a process that gave up its claims."""
    await writer.store.release("g", writer.token)


async def halted(writer: Writer) -> None:
    """Go on although an incident holds the partition."""
    await writer.store.halt("g", writer.token, writer.offset, GAP)


async def unknown_partition(writer: Writer) -> None:
    """Write for a partition that has no row."""
    writer.partition = B


async def unknown_group(writer: Writer) -> None:
    """Write for a group that has no rows."""
    writer.group = "nobody"


@pytest.mark.parametrize(
    "doubt",
    [wrong_token, behind, ahead, claimed_by_a_rival, released, halted, unknown_partition, unknown_group],
    ids=lambda doubt: doubt.__name__,
)
async def test_whoever_is_wrong_about_a_position_writes_nothing(
    kept: Kept, writer: Writer, doubt: Callable[[Writer], Awaitable[None]]
) -> None:
    """A batch whose token or offset is not the row's, or whose partition is halted, is fenced and leaves no trace."""
    await writer.claim()
    await writer.write([event("started")])
    before = await kept.rows(), await kept.users()
    await doubt(writer)
    claims = await kept.store.read_claims("g")
    with pytest.raises(FencedError):
        await writer.write(
            [event("completed", 9, user_id="ada"), event("started", run="run-2")],
            dead_letters=[DeadLetter(A, 2, 0, None, b"x", (), "not_json", "")],
            withheld=[WithheldPayload(A, 3, event("started").execution_id, {"input": "too_deep"}, b"y")],
        )
    assert (await kept.rows(), await kept.users()) == before
    assert (await kept.dead_letters(), await kept.withheld()) == ([], [])
    assert await kept.store.read_claims("g") == claims


async def test_one_fenced_partition_fences_the_whole_batch(kept: Kept, writer: Writer) -> None:
    """A batch over two partitions of which one was lost moves neither, and the store goes on working."""
    await writer.claim()
    other = Writer(kept.store, "g", B)
    await other.claim()
    with pytest.raises(FencedError, match="executions/1"):
        await kept.store.apply(Batch("g", {A: writer.move(), B: Move(uuid4(), 0, 1)}, states_of([event("started")])))
    assert {p: claim.next_offset for p, claim in (await kept.store.read_claims("g")).items()} == {A: 0, B: 0}
    assert await kept.rows() == {}
    moves = {A: writer.move(), B: other.move()}
    await kept.store.apply(Batch("g", moves, states_of([event("started")]), Catalogue.of([event("started")])))
    assert len(await kept.rows()) == 1


async def test_a_fenced_writer_goes_on_after_a_new_claim(kept: Kept, writer: Writer, rival: Writer) -> None:
    """Two processes that claim in turns go on from each other's offsets and fence each other, nothing more."""
    for turn, (holder, zombie) in enumerate([(writer, rival), (rival, writer), (writer, rival)]):
        await holder.claim()
        assert holder.offset == turn
        with pytest.raises(FencedError):
            await zombie.write([event("failed")])
        await holder.write([event("heartbeat", turn)])
    assert [row.status for row in (await kept.rows()).values()] == ["running"]


async def test_only_the_holder_halts(kept: Kept, writer: Writer) -> None:
    """Halting needs the claim's token and the position, and is done once; else nothing changes, incidents neither."""
    await writer.claim()
    for token, partition, offset in ((uuid4(), A, 0), (writer.token, B, 0), (writer.token, A, 1)):
        with pytest.raises(FencedError, match="not ours to halt"):
            await kept.store.halt("g", token, offset, Incident("gap", partition, 0, 1, ""))
    assert not (await kept.store.read_claims("g"))[A].halted
    assert await kept.incidents() == []
    await kept.store.halt("g", writer.token, writer.offset, GAP)
    assert (await kept.store.read_claims("g"))[A].halted
    with pytest.raises(FencedError):
        await kept.store.halt("g", writer.token, writer.offset, GAP)
    assert await kept.incidents() == [GAP]


async def test_a_halt_survives_a_new_claim(kept: Kept, writer: Writer, rival: Writer) -> None:
    """Whoever claims a halted partition next is told so and cannot write either."""
    await writer.claim()
    await kept.store.halt("g", writer.token, writer.offset, GAP)
    token = uuid4()
    assert (await rival.store.claim("g", {A: LogRange(0, 0)}, token, "rival"))[A].halted
    with pytest.raises(FencedError):
        await rival.store.apply(Batch("g", {A: Move(token, 0, 1)}))


async def test_the_first_claim_knows_the_topic_and_later_ones_keep_it(kept: Kept) -> None:
    """A row that knows no topic id takes the log's; whoever claims under another topic is told the one it had."""
    old, new = uuid4(), uuid4()
    for topic_id, known in ((None, None), (old, old), (new, old), (None, old)):
        claims = await kept.store.claim("g", {A: LogRange(0, 9, topic_id)}, uuid4(), "me")
        assert claims[A].topic_id == known
        assert (await kept.store.read_claims("g"))[A].topic_id == known


async def test_release_gives_up_the_claims_of_one_token_only(kept: Kept, writer: Writer) -> None:
    """Releasing ends all claims made with a token, keeps the offsets, and leaves other tokens alone."""
    await writer.claim()
    other = Writer(kept.other, "g", B)
    await other.claim()
    await writer.write([event("started")])
    await kept.store.release("g", writer.token)
    claims = await kept.store.read_claims("g")
    assert (claims[A].token, claims[A].next_offset) == (None, 1)
    assert claims[B].token == other.token
    await kept.store.release("g", uuid4())
    await other.write([event("heartbeat")])


async def test_groups_do_not_disturb_each_other(kept: Kept, writer: Writer) -> None:
    """Two groups on one partition have positions, tokens, halts and releases of their own."""
    other = Writer(kept.other, "h", A)
    await writer.claim()
    await other.claim(3)
    await writer.write([event("started")])
    assert (writer.offset, other.offset) == (1, 3)
    await kept.store.halt("g", writer.token, writer.offset, GAP)
    await kept.store.release("g", writer.token)
    await other.write([event("completed", 5)])
    claims = await kept.store.read_claims("h")
    assert claims[A] == Claim(4, other.token, halted=False, fold_version=FOLD_VERSION)
    assert [row.status for row in (await kept.rows()).values()] == ["completed"]


async def test_a_token_of_one_group_is_nothing_to_another(kept: Kept) -> None:
    """Releasing a token that two groups happen to share releases it in one of them."""
    token = uuid4()
    for group in ("g", "h"):
        await kept.store.claim(group, {A: LogRange(0, 0)}, token, "me")
    await kept.store.release("g", token)
    assert (await kept.store.read_claims("h"))[A].token == token


async def test_topics_and_partitions_are_told_apart(kept: Kept) -> None:
    """Positions of topics whose names differ in case or punctuation, and of partitions above nine, are separate."""
    partitions = [TopicPartition(topic, n) for topic in ("a", "B", "a.b", "a-b", "a_b") for n in (2, 10)]
    token = uuid4()
    await kept.store.claim("g", {p: LogRange(i, i) for i, p in enumerate(partitions)}, token, "me")
    await kept.store.apply(Batch("g", {p: Move(token, i, i + 100) for i, p in enumerate(partitions)}))
    claims = await kept.store.read_claims("g")
    assert {p: claim.next_offset for p, claim in claims.items()} == {p: i + 100 for i, p in enumerate(partitions)}


async def test_reset_and_close_lose_nothing(kept: Kept, writer: Writer) -> None:
    """After a reset, and even after a close, the store knows what it knew."""
    await kept.store.close()
    await writer.claim()
    await kept.store.reset()
    await writer.write([event("started")])
    await kept.store.close()
    await kept.store.reset()
    await kept.store.close()
    assert (await kept.store.read_claims("g"))[A].next_offset == 1
