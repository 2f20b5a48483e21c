"""Reading incidents and lifting halts: one transaction, and nothing of it unless all is as it was shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import pytest

from events.fold import FOLD_VERSION
from events.position import TopicPartition
from store import PostgresStore
from store.batch import Anchor, Batch, Claim, Incident, LogRange
from store.errors import FencedError, MisconfiguredError, UnavailableError
from store.incidents import IncidentReader, NotAsShownError, Standing, accept, note, resume
from store.migrate import migrate, migrations
from tests.conformance.stores import Writer
from tests.consuming import record

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

P = TopicPartition("executions", 0)
GAP = Incident("gap", P, 3, 9, "records 3 to 8 were deleted")
LATE = Incident("log_start", P, 0, 3, "first start on a log that begins at 3")
ANCHOR = Anchor(2, b"digest")


@pytest.fixture
async def incidents(database_url: str) -> AsyncIterator[IncidentReader]:
    """The reader under test."""
    async with IncidentReader(database_url) as reader:
        yield reader


@pytest.fixture
async def halted(writer: Writer) -> Writer:
    """A consumer that has applied three records, and then met a gap."""
    for anchor in (None, None, ANCHOR):
        await writer.store.apply(_batch(writer, anchor))
        writer.offset += 1
    await writer.store.halt("g", writer.token, writer.offset, GAP)
    return writer


def _batch(writer: Writer, anchor: Anchor | None = None) -> Batch:
    return Batch(writer.group, {writer.partition: writer.move(1, anchor)})


async def standing(incidents: IncidentReader) -> Standing:
    """Where the partition stands, as an operator is shown it."""
    found = await incidents.standing("g", P)
    assert found is not None
    return found


async def claim(store: PostgresStore) -> Claim:
    """The row of the partition."""
    return (await store.read_claims("g"))[P]


async def test_open_incidents_are_listed_with_the_state_of_their_partition(
    incidents: IncidentReader, halted: Writer, database_url: str
) -> None:
    """The list has the newest open incidents first, with where their partitions stand, and the resolved on demand."""
    assert halted.partition == P
    await record(database_url, "g", LATE)
    await record(database_url, "other", Incident("gap", TopicPartition("elsewhere", 7), None, None, ""))
    elsewhere, late, gap = await incidents.list()
    assert (gap.kind, gap.topic, gap.partition, gap.from_offset, gap.to_offset) == ("gap", "executions", 0, 3, 9)
    assert (gap.state, gap.next_offset, gap.halts, gap.open) == ("halted", 3, True, True)
    assert (late.kind, late.halts) == ("log_start", True)
    assert (elsewhere.state, elsewhere.next_offset, elsewhere.halts) == ("", None, False)
    assert await incidents.list(limit=1) == [elsewhere]
    assert await incidents.list(topic="executions", kind="gap") == [gap]
    assert await incidents.list(partition=7) == [elsewhere]
    assert await incidents.list(kind="' OR 1=1") == []
    assert await incidents.get(gap.id) == gap
    assert await incidents.get(10**9) is None
    await resume_as_shown(incidents, halted)
    assert await incidents.list(topic="executions") == []
    assert [one.id for one in await incidents.list(topic="executions", resolved=True)] == [late.id, gap.id]


async def resume_as_shown(incidents: IncidentReader, halted: Writer) -> None:
    """Resume what is halted."""
    assert isinstance(halted.store, PostgresStore)
    await resume(halted.store._url, await standing(incidents), actor="ann")


async def test_resuming_keeps_the_offset_and_takes_the_claim_away(
    incidents: IncidentReader, halted: Writer, store: PostgresStore, database_url: str
) -> None:
    """A resumed partition is live at the same offset with its anchor, nobody holds it, and who did it is kept."""
    shown = await standing(incidents)
    assert shown == Standing("g", P, 3, True, shown.incidents)
    assert [kind for _, kind in shown.incidents] == ["gap"]
    await resume(database_url, shown, actor="ann", reason="the disk is back")
    assert await claim(store) == Claim(3, None, False, FOLD_VERSION, ANCHOR)
    with pytest.raises(FencedError):
        await store.apply(_batch(halted))
    await halted.claim()
    await store.apply(_batch(halted))
    [kept] = await incidents.list(resolved=True)
    assert (kept.resolution, kept.resolved_by, kept.resolution_reason) == ("resumed", "ann", "the disk is back")
    assert (kept.accepted_from, kept.accepted_to) == (None, None)
    assert kept.resolved_at is not None
    assert kept.resolved_at >= kept.opened_at


@pytest.mark.parametrize("to", [0, 3, 9])
async def test_accepting_moves_the_position_and_keeps_the_range(
    incidents: IncidentReader, halted: Writer, store: PostgresStore, database_url: str, to: int
) -> None:
    """An accepted partition is live at the offset that was named, without an anchor, and the range stays for ever."""
    await accept(database_url, await standing(incidents), to, actor="ann")
    assert await claim(store) == Claim(to, None, False, FOLD_VERSION)
    [kept] = await incidents.list(resolved=True)
    assert (kept.resolution, kept.accepted_from, kept.accepted_to) == ("accepted", 3, to)
    await halted.claim()
    assert halted.offset == to


async def test_a_note_moves_nothing(
    incidents: IncidentReader, writer: Writer, store: PostgresStore, database_url: str
) -> None:
    """Closing an incident that halted nothing leaves the claim and the position alone."""
    await record(database_url, "g", LATE)
    before = await claim(store)
    await note(database_url, await standing(incidents), actor="ann")
    assert await claim(store) == before
    [kept] = await incidents.list(resolved=True)
    assert (kept.resolution, kept.accepted_from) == ("noted", None)
    await writer.write()


async def test_only_incidents_of_the_partition_and_the_group_are_resolved(
    incidents: IncidentReader, halted: Writer, store: PostgresStore, database_url: str
) -> None:
    """Another partition and another group keep their positions and their incidents."""
    other = TopicPartition("executions", 1)
    await store.claim("h", dict.fromkeys((P, other), LogRange(5, 9)), UUID(int=5), "tests")
    await store.halt("h", UUID(int=5), 5, GAP)
    await store.claim("g", {other: LogRange(5, 9)}, UUID(int=6), "tests")
    await store.halt("g", UUID(int=6), 5, Incident("gap", other, 1, 2, ""))
    await accept(database_url, await standing(incidents), 9, actor="ann")
    assert {(i.consumer_group, i.partition) for i in await incidents.list()} == {("h", 0), ("h", 1), ("g", 1)}
    assert (await store.read_claims("h"))[P] == Claim(5, UUID(int=5), True, FOLD_VERSION)
    assert (await store.read_claims("g"))[other].halted
    assert halted.partition == P


async def test_what_is_not_as_it_was_shown_is_not_changed(
    incidents: IncidentReader, halted: Writer, store: PostgresStore, database_url: str
) -> None:
    """A position that was moved, resumed or met another incident since it was shown is left as it is."""
    shown = await standing(incidents)
    assert await incidents.standing("g", TopicPartition("executions", 9)) is None
    assert await incidents.standing("nobody", P) is None
    for stale in (
        Standing("g", P, 4, True, shown.incidents),
        Standing("nobody", P, 3, True, shown.incidents),
        Standing("g", P, 3, True, ()),
    ):
        with pytest.raises(NotAsShownError):
            await resume(database_url, stale, actor="ann")
    await record(database_url, "g", LATE)
    with pytest.raises(NotAsShownError, match="other open incidents"):
        await accept(database_url, shown, 9, actor="ann")
    assert await claim(store) == Claim(3, halted.token, True, FOLD_VERSION, ANCHOR)
    assert len(await incidents.list()) == 2
    await resume(database_url, await standing(incidents), actor="ann")
    with pytest.raises(NotAsShownError, match="not halted at 3 any more"):
        await accept(database_url, shown, 9, actor="bob")
    assert (await claim(store)).next_offset == 3
    assert {one.resolved_by for one in await incidents.list(resolved=True)} == {"ann"}


async def test_of_two_operators_one_decides(
    incidents: IncidentReader, halted: Writer, store: PostgresStore, database_url: str
) -> None:
    """Two who lift the same halt at the same time do not both: one has moved it, the other is told to look again."""
    shown = await standing(incidents)
    outcomes = await asyncio.gather(
        *(accept(database_url, shown, to, actor=str(to)) for to in (5, 6, 7)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes if outcome is not None] == [NotAsShownError] * 2
    [kept] = await incidents.list(resolved=True)
    assert (await claim(store)).next_offset == kept.accepted_to == int(str(kept.resolved_by))
    assert halted.offset == 3


async def test_an_operator_waits_for_a_transaction_under_way(
    incidents: IncidentReader, halted: Writer, store: PostgresStore, connection: Connection, database_url: str
) -> None:
    """A row that somebody else is changing is waited for, and looked at again then."""
    shown = await standing(incidents)
    async with connection.transaction():
        await connection.execute("UPDATE positions SET next_offset = 4")
        task = asyncio.create_task(resume(database_url, shown, actor="ann"))
        waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        async with asyncio.timeout(10):
            while not await found_by(database_url, waiting):
                assert not task.done()
    with pytest.raises(NotAsShownError):
        await task
    assert (await claim(store)).halted
    assert halted.offset == 3


async def found_by(url: str, sql: str) -> list[asyncpg.Record]:
    """What a query finds on a connection of its own."""
    opened = await asyncpg.connect(url)
    try:
        return await opened.fetch(sql)
    finally:
        await opened.close()


@pytest.mark.parametrize(
    "values",
    [
        {"resolution": "forgotten", "resolved_at": "now", "resolved_by": "ann"},
        {"resolution": "resumed"},
        {"resolved_at": "now"},
        {"resolution": "resumed", "resolved_at": "now"},
        {"resolution": "resumed", "resolved_at": "now", "resolved_by": "ann", "accepted_from": 1, "accepted_to": 2},
        {"resolution": "accepted", "resolved_at": "now", "resolved_by": "ann"},
        {"resolution": "accepted", "resolved_at": "now", "resolved_by": "ann", "accepted_from": 1},
        {"accepted_from": 1, "accepted_to": 2},
    ],
    ids=str,
)
async def test_an_incident_is_resolved_whole_or_not(connection: Connection, values: dict[str, object]) -> None:
    """The table refuses an incident that is resolved by halves, or has a range that nobody accepted."""
    columns = {"kind": "gap", "consumer_group": "g", "topic": "t", "partition": "0", "detail": ""} | values
    names, places = ", ".join(columns), ", ".join(f"'{value}'" for value in columns.values())
    with pytest.raises(asyncpg.CheckViolationError):
        await connection.execute(f"INSERT INTO incidents ({names}) VALUES ({places})")


async def test_incidents_that_were_closed_by_hand_survive_the_migration(empty_database_url: str) -> None:
    """A database of the first version, with an incident that somebody closed in SQL, is brought up to date."""
    await migrate(empty_database_url, migrations()[:1])
    opened = await asyncpg.connect(empty_database_url)
    try:
        await opened.execute(
            "INSERT INTO incidents (kind, consumer_group, topic, partition, detail, resolved_at)"
            " VALUES ('gap', 'g', 't', 0, '', NULL), ('gap', 'g', 't', 0, '', now())"
        )
    finally:
        await opened.close()
    assert [migration.version for migration in await migrate(empty_database_url)][:1] == ["0002"]
    async with IncidentReader(empty_database_url) as reader:
        assert len(await reader.list()) == 1
        assert len(await reader.list(resolved=True)) == 2


async def test_incidents_need_a_server_and_a_table(empty_database_url: str, unused_tcp_port: int) -> None:
    """Without a server lifting a halt is an outage, without the table a mistake."""
    shown = Standing("g", P, 0, True, ())
    with pytest.raises(UnavailableError):
        await resume(f"postgresql://127.0.0.1:{unused_tcp_port}/d", shown, actor="ann")
    with pytest.raises(MisconfiguredError, match='"positions" does not exist'):
        await resume(empty_database_url, shown, actor="ann")
    async with IncidentReader(empty_database_url) as reader:
        with pytest.raises(MisconfiguredError, match='"incidents" does not exist'):
            await reader.list()
