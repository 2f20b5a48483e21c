"""Kill -9 of the replay, the database and a consumer, at each step of a replay: always the old table or the new one."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest

from consumer import batch
from consumer.local.stack import LocalStack
from consumer.replay.rebuild import Rebuild
from consumer.replay.verify import Question, verify
from events import ExecutionRow
from store import PostgresStore
from store.migrate import migrate
from store.replays import Step
from tests.conftest import database
from tests.consuming import applied, consume_all, produce, rows, until
from tests.replay.load import EVENTS_EACH, records
from tests.replay.test_rebuild import without_outputs
from tests.system import replayer

EXECUTIONS = 60
STEPS_OF_START = [Step.CREATE, Step.FOLD, replayer.MIDDLE, Step.CARRY, Step.INDEX, Step.READY]
STEPS_OF_SWAP = [Step.CATCH_UP, Step.PURGE, Step.LOCK, Step.EXCHANGE, Step.SWAPPED]
WALK = [("start", step) for step in STEPS_OF_START] + [("swap", step) for step in STEPS_OF_SWAP]
ROOT = Path(__file__).parents[2]

Rows = Mapping[UUID, ExecutionRow]


def test_the_walk_visits_every_step() -> None:
    """No step is left out below."""
    assert {step for _, step in WALK} - {replayer.MIDDLE} == set(Step)


@dataclass(frozen=True)
class Arena:
    """Servers of our own, a topic, and a database whose table a bug of the fold has spoilt."""

    stack: LocalStack
    topic: str
    spoilt: str
    old: Rows
    new: Rows

    @property
    def servers(self) -> str:
        return self.stack.kafka_bootstrap_servers


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """The table as a bug has made it, and as it would be without."""
    with LocalStack(tmp_path_factory.mktemp("stack")) as stack, pytest.MonkeyPatch.context() as patched:

        async def apply(name: str) -> Rows:
            await _execute(stack.database_url, f"CREATE DATABASE {name}")
            url = database(stack.database_url, name)
            await migrate(url)
            await consume_all(stack.kafka_bootstrap_servers, PostgresStore(url), topic)
            return await rows(url)

        topic = f"kill-{uuid4().hex[:8]}"
        asyncio.run(produce(stack.kafka_bootstrap_servers, topic, records(EXECUTIONS)))
        new = asyncio.run(apply("as_it_is"))
        patched.setattr(batch, "state_of", without_outputs)
        old = asyncio.run(apply("spoilt"))
        patched.undo()
        assert old != new
        yield Arena(stack, topic, "spoilt", old, new)


@pytest.fixture
async def url(arena: Arena) -> AsyncIterator[str]:
    """A copy of the spoilt database."""
    name = f"case_{uuid4().hex[:8]}"
    await _execute(arena.stack.database_url, f"CREATE DATABASE {name} TEMPLATE {arena.spoilt}")
    yield database(arena.stack.database_url, name)
    await _execute(arena.stack.database_url, f"DROP DATABASE {name} WITH (FORCE)")


async def _execute(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


@asynccontextmanager
async def process(*command: str, **settings: str) -> AsyncIterator[Process]:
    """A process of Python; killed at the end, whatever happened."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **settings}
    started = await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=ROOT, env=environment, stdin=PIPE, stdout=PIPE, stderr=DEVNULL
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.wait()


@asynccontextmanager
async def waiting_at(arena: Arena, url: str, command: str, step: str) -> AsyncIterator[Process]:
    """A replay that waits at a step; what comes before its command is done already."""
    if command == "swap":
        await Rebuild(arena.servers, url, "tests").start()
    async with process(str(replayer.__file__), arena.servers, url, command, step) as running:
        assert running.stdout is not None
        assert (await asyncio.wait_for(running.stdout.readline(), 30)).decode().strip() == step
        yield running


def consumer(arena: Arena, url: str) -> AbstractAsyncContextManager[Process]:
    """`wex consume` on a database."""
    settings = {
        "WEX_KAFKA_BOOTSTRAP_SERVERS": arena.servers,
        "WEX_DATABASE_URL": url,
        "WEX_TOPICS": arena.topic,
        "WEX_CONSUMER_GROUP": "tests",
        "WEX_KAFKA_SESSION_TIMEOUT_MS": "6000",
    }
    return process("-m", "consumer", "consume", **settings)


async def finish(arena: Arena, url: str, *, swapped: bool) -> None:
    """Go on to the end after a kill: the table is the new one, and proven."""
    if not swapped:
        await Rebuild(arena.servers, url, "tests").start()
        await Rebuild(arena.servers, url, "tests").swap()
    assert await rows(url) == arena.new
    assert (await verify(arena.servers, url, "tests", Question(), lambda *_: None)).different == 0


@pytest.mark.system
@pytest.mark.parametrize(("command", "step"), WALK)
async def test_a_killed_replay_leaves_the_old_table_or_the_new(arena: Arena, url: str, command: str, step: str) -> None:
    """The replay is killed at the step: the table is whole, and starting again comes to the end."""
    async with waiting_at(arena, url, command, step) as running:
        running.send_signal(signal.SIGKILL)
        await running.wait()
    assert await rows(url) == (arena.new if step == Step.SWAPPED else arena.old)
    await finish(arena, url, swapped=step == Step.SWAPPED)


@pytest.mark.system
@pytest.mark.parametrize(("command", "step"), WALK)
async def test_a_killed_database_has_the_old_table_or_the_new(arena: Arena, url: str, command: str, step: str) -> None:
    """PostgreSQL is killed at the step: once it is back the table is whole, and starting again comes to the end."""
    async with waiting_at(arena, url, command, step) as running:
        await asyncio.to_thread(arena.stack.postgres.kill)
        await asyncio.to_thread(arena.stack.postgres.start)
        assert running.stdin is not None
        running.stdin.write(b"\n")
        ended = await asyncio.wait_for(running.wait(), 30)
        assert (ended == 0) == (step == Step.SWAPPED), "it notices that the database went away, unless it is done"
    assert await rows(url) == (arena.new if step == Step.SWAPPED else arena.old)
    await finish(arena, url, swapped=step == Step.SWAPPED)


@pytest.mark.system
@pytest.mark.timeout(180)
async def test_consumers_may_die_at_every_step(arena: Arena, url: str) -> None:
    """Consumers are killed at every step of replays that go on: nothing is lost, nothing is doubled."""
    total, first = EXECUTIONS * EVENTS_EACH, EXECUTIONS
    for command, step in WALK:
        async with consumer(arena, url) as consuming, waiting_at(arena, url, command, step) as running:
            total += await produce(arena.servers, arena.topic, records(2, first=first))
            first += 2
            consuming.send_signal(signal.SIGKILL)
            await consuming.wait()
            assert running.stdin is not None
            running.stdin.write(b"\n")
            assert await asyncio.wait_for(running.wait(), 60) == 0
        rebuild = Rebuild(arena.servers, url, "tests")
        await (rebuild.abort() if command == "start" else rebuild.drop())
    async with consumer(arena, url):
        await until(lambda: applied(url, arena.topic, total), "everything is applied")
    verdict = await verify(arena.servers, url, "tests", Question(), lambda *_: None)
    assert (verdict.different, verdict.executions) == (0, first)
