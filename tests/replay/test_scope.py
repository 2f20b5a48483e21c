"""Replays of a part of the table: what is in the scope is what the log says, and all else what it was, bit for bit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest

from consumer import batch
from consumer.errors import ExitCode, WexError
from consumer.replay import rebuild as rebuilding
from consumer.replay.building import build
from consumer.replay.refusals import Reason
from events.fold import FOLD_VERSION
from store import replays
from store.replay_scope import ReplayScope
from store.replays import Step
from tests.conftest import _temporary_database
from tests.consuming import fetch, produce
from tests.lives import BEGIN
from tests.replay.applying import apply_all
from tests.replay.conftest import Rebuilding
from tests.replay.load import WORKFLOWS, records
from tests.replay.test_redriven import stricter
from tests.replay.test_verify import delete_records, execute, verified
from tests.stack import Servers

EXECUTIONS = 60
TABLE_NAME = "workflow_executions"
SPOILT = "UPDATE workflow_executions SET actor = 'spoilt', status_order = status_order || 'x'"
TABLE = "SELECT id, t::text AS text FROM workflow_executions AS t"
WITHOUT_CLOCK = "SELECT id, (to_jsonb(t) - 'applied_at')::text AS text FROM workflow_executions AS t"
NUMBER = "SELECT id, substr(temporal_workflow_id, 7)::integer AS number FROM workflow_executions"

Rows = Mapping[UUID, str]
Apply = Callable[..., Awaitable[None]]


async def table(database_url: str, query: str = TABLE) -> Rows:
    """Every row, bit for bit."""
    return {r["id"]: r["text"] for r in await fetch(database_url, query)}


def only(rows: Rows, ids: Collection[UUID]) -> Rows:
    """Some of the rows."""
    return {id_: row for id_, row in rows.items() if id_ in ids}


def part(first: int, last: int) -> tuple[list[bytes], list[bytes]]:
    """Records of some executions for two topics: a third is in the one, a third in both, a third in the other."""
    one: list[bytes] = []
    other: list[bytes] = []
    for number in range(first, last):
        begun, going, ended = records(1, first=number)
        third = 3 * (number - first) // (last - first)
        one += [[begun, going, ended], [begun, going], []][third]
        other += [[], [ended], [begun, going, ended]][third]
    return one, other


@pytest.fixture
def apply(servers: Servers, topic: str) -> Apply:
    """Applies to databases what is in the two topics, after some more was written."""

    async def produce_and_apply(*urls: str, one: list[bytes] | None = None, other: list[bytes] | None = None) -> None:
        for name, values in ((topic, one), (f"{topic}-b", other)):
            if values is not None:
                await produce(servers.kafka_bootstrap_servers, name, values)
            for url in urls:
                await apply_all(servers.kafka_bootstrap_servers, url, name)

    return produce_and_apply


@pytest.fixture
async def spoilt(database_url: str, apply: Apply) -> str:
    """A database whose rows are all wrong; the execution of number N belongs to the workflow of number N modulo 20."""
    one, other = part(0, EXECUTIONS)
    await apply(database_url, one=one, other=other)
    await execute(database_url, f"CREATE TABLE public.kept AS {WITHOUT_CLOCK}")
    await execute(database_url, SPOILT)
    return database_url


def scopes(topic: str, ids: Mapping[int, UUID]) -> list[tuple[ReplayScope, set[int]]]:
    """Scopes, and the executions that they mean."""
    since, until = BEGIN + timedelta(seconds=13), BEGIN + timedelta(seconds=43)
    between = set(range(13, 43))
    of_3_and_4 = {number for number in range(EXECUTIONS) if number % WORKFLOWS in (3, 4)}
    return [
        (ReplayScope(executions=(ids[5], ids[25])), {5, 25}),
        (ReplayScope(workflows=("workflow-3", "workflow-4")), of_3_and_4),
        (ReplayScope(topics=(topic,)), set(range(40))),
        (ReplayScope(topics=(f"{topic}-b",)), set(range(20, 60))),
        (ReplayScope(since=since, until=until), between),
        (ReplayScope(until=until, workflows=("workflow-3", "workflow-4")), of_3_and_4 & set(range(43))),
        (ReplayScope(topics=(f"{topic}-b",), since=since, executions=(ids[5], ids[25])), {25}),
        (ReplayScope(workflows=("no such workflow",)), set()),
    ]


async def test_a_part_is_rebuilt_and_all_else_stays(spoilt: str, topic: str, rebuild: Rebuilding) -> None:
    """Whatever the scope: its executions are right after the swap, and all others what they were, by the clock too."""
    wrong = await table(spoilt)
    right = await table(spoilt, "SELECT id, text FROM public.kept")
    ids = {r["number"]: r["id"] for r in await fetch(spoilt, NUMBER)}
    for scope, numbers in scopes(topic, ids):
        inside = {ids[number] for number in numbers}
        report = await rebuild().start(scope)
        assert (report.state.step, report.state.within) == (Step.READY, len(inside)), scope
        preview = await rebuild().diff(1000)
        assert {each.key for each in preview.described} == {(str(id_),) for id_ in inside}, scope
        await rebuild().swap()
        assert only(await table(spoilt), wrong.keys() - inside) == only(wrong, wrong.keys() - inside), scope
        assert only(await table(spoilt, WITHOUT_CLOCK), inside) == only(right, inside), scope
        await rebuild().rollback()
        assert await table(spoilt) == wrong
        await rebuild().abort()


@dataclass
class Twins:
    """A spoilt database that is replayed, its twin that is not, and what an operator rebuilds in it."""

    url: str
    twin: str
    right: str
    scope: ReplayScope
    apply: Apply
    count: int = EXECUTIONS

    async def go_on(self) -> None:
        """Something happens to executions of either kind, to old ones and to new ones."""
        corrected = [each.replace(b"completed", b"terminated") for each in records(EXECUTIONS)]
        one, other = part(self.count, self.count + 20)
        self.count += 20
        await self.apply(self.url, self.twin, one=[*one, *corrected[self.count % 7 :: 7]], other=other)

    async def are_exact(self) -> None:
        """The executions of the scope are what the log makes of them, and all others what the twin has."""
        await self.apply(self.right)
        inside = {r["id"] for r in await fetch(self.url, "SELECT id FROM wex_replay.within")}
        assert len(inside) == 2
        now, right = await table(self.url, WITHOUT_CLOCK), await table(self.right, WITHOUT_CLOCK)
        assert only(now, inside) == only(right, inside)
        assert only(now, now.keys() - inside) == only(await table(self.twin, WITHOUT_CLOCK), now.keys() - inside)
        assert len(now) == self.count


@pytest.fixture
async def twins(servers: Servers, spoilt: str, template: str, apply: Apply, topic: str) -> AsyncIterator[Twins]:
    """The twins, and two executions of a topic as the scope."""
    name = urlsplit(spoilt).path.strip("/")
    async with (
        _temporary_database(servers.database_url, name) as twin,
        _temporary_database(servers.database_url, template) as right,
    ):
        ids = {r["number"]: r["id"] for r in await fetch(spoilt, NUMBER)}
        scope = ReplayScope(topics=(f"{topic}-b",), executions=(ids[5], ids[25], ids[45]))
        yield Twins(spoilt, twin, right, scope, apply)


class KilledError(Exception):
    """What ends a replay in a test."""


@pytest.mark.parametrize("after_the_cut", [False, True])
async def test_a_part_is_exact_wherever_the_replay_was_interrupted(
    twins: Twins, rebuild: Rebuilding, monkeypatch: pytest.MonkeyPatch, *, after_the_cut: bool
) -> None:
    """Ended at each step, also behind the cut, with events coming until the end, it comes to the same table."""

    async def build_and_go_on(*arguments: Any) -> None:
        await build(*arguments)
        await twins.go_on()

    async def killed_in(module: object, name: str, *, before: bool = False, at: Step | None = None) -> None:
        step = getattr(module, name)

        async def killed(*arguments: Any) -> None:
            if not before or at not in (None, arguments[-1]):
                await step(*arguments)
            if at in (None, arguments[-1]):
                raise KilledError

        with monkeypatch.context() as killing:
            killing.setattr(module, name, killed)
            with pytest.raises(KilledError):
                await rebuild().start(twins.scope)
        await twins.go_on()

    await killed_in(replays, "note_topics", before=True)
    await killed_in(replays, "note_topics")
    await killed_in(replays, "carry_outside")
    await killed_in(replays, "move", before=True, at=Step.INDEX)
    if after_the_cut:
        await killed_in(replays, "make_deferred", before=True)
    with monkeypatch.context() as building:
        building.setattr(rebuilding, "build", build_and_go_on)
        await rebuild().start(twins.scope)
    await twins.go_on()
    await rebuild().swap()
    await twins.go_on()
    await twins.are_exact()


async def test_workflows_and_users_of_a_part(servers: Servers, spoilt: str, rebuild: Rebuilding) -> None:
    """They stay as they are, but the workflow of the scope, and those that a rebuilt execution needs."""
    await execute(spoilt, "UPDATE workflows SET name = 'spoilt' WHERE id IN ('workflow-3', 'workflow-5')")
    await execute(spoilt, "DELETE FROM workflows WHERE id = 'workflow-6'")
    await execute(spoilt, "DELETE FROM users WHERE id IN ('user-3', 'user-5')")
    await execute(spoilt, "INSERT INTO users (id, created_at) VALUES ('nobody', now())")
    await execute(spoilt, "DELETE FROM workflow_executions WHERE temporal_workflow_id IN ('order-3', 'order-23')")
    await execute(spoilt, "UPDATE workflow_executions SET created_by = NULL, workflow_id = 'workflow-7'")
    await rebuild().start(ReplayScope(workflows=("workflow-3",)))
    preview = await rebuild().diff(1000)
    assert {(each.relation, each.key[-1], each.kind) for each in preview.described if each.relation != TABLE_NAME} == {
        ("workflows", "workflow-3", "changed"),
        ("users", "user-3", "missing"),
    }
    assert [each.kind for each in preview.described if each.relation == TABLE_NAME] == ["changed", "missing", "missing"]
    await rebuild().swap()
    await rebuild().drop()
    report = await rebuild().start(ReplayScope(workflows=("workflow-7",)))
    assert report.state.within == EXECUTIONS - 3, "the table says that they are of this workflow"
    await rebuild().swap()
    assert {each.key[-1] for each in (await verified(servers, spoilt)).described} == {"workflow-5", "nobody"}


async def test_what_retention_took_of_a_part_is_carried_over(
    servers: Servers, spoilt: str, topic: str, rebuild: Rebuilding
) -> None:
    """Of executions in the scope what the log has lost is carried over and counted; of others everything is."""
    await execute(spoilt, "UPDATE workflow_executions SET actor = NULL, status_order = substr(status_order, 1, 20)")
    await delete_records(servers, topic, {0: 10, 1: 10, 2: 10})
    before = await table(spoilt)
    await rebuild().start(ReplayScope(until=BEGIN + timedelta(seconds=15)))
    assert 0 < (await rebuild().status()).state.carried <= 15
    with pytest.raises(WexError, match="begins at 10"):
        await rebuild().swap()
    await rebuild().swap([Reason.GONE])
    assert (await table(spoilt)).keys() == before.keys()


async def test_a_scope_that_cannot_be_had_is_refused(
    spoilt: str, topic: str, rebuild: Rebuilding, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another scope than that under way, a topic that is not applied, another version, letters of anybody."""

    async def refused(scope: ReplayScope, why: str, remedy: str) -> None:
        with pytest.raises(WexError, match=why) as error:
            await rebuild().start(scope)
        assert error.value.exit_code == ExitCode.REFUSED
        assert remedy in error.value.remedy

    everything, part_ = ReplayScope(), ReplayScope(workflows=("workflow 3",))
    await refused(ReplayScope(topics=("nowhere",)), "no positions in nowhere", "wex doctor")
    await rebuild().start(part_)
    remedy = "`wex replay start --workflow 'workflow 3'` goes on with it, `wex replay abort`"
    await refused(everything, "rebuilds --workflow 'workflow 3', and not everything", remedy)
    await refused(ReplayScope(topics=(topic,)), f"and not --topic {topic}", remedy)
    await rebuild().start(part_)
    await rebuild().abort()
    await rebuild().start()
    await refused(part_, "rebuilds everything, and not --workflow", "`wex replay start` goes on")
    await rebuild().abort()
    with monkeypatch.context() as stricter_:
        stricter_.setattr(batch, "decode", stricter)
        await refused(part_, "1 records that the table has are refused by now", "without a scope")
        await rebuild().abort()
    await execute(spoilt, f"UPDATE positions SET fold_version = {FOLD_VERSION + 1}")
    await refused(part_, f"folded by version {FOLD_VERSION + 1}", "start without a scope")
    with pytest.raises(WexError, match="there is no replay"):
        await rebuild().status()
