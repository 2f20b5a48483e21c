"""`wex temporal sync` as users call it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import orjson
import pytest
from pydantic import SecretStr
from temporalio.client import Client

from consumer.errors import ExitCode, WexError
from consumer.local.temporal import TemporalServer
from consumer.settings import Settings
from consumer.temporal_sync import Pass, SyncService
from store.errors import MisconfiguredError
from store.sync_places import SyncPlaces
from tests.publisher.reading import events
from tests.stack import Servers
from tests.temporal import scenarios, server


class Outcome:
    """How the command ended, and what it said."""

    def __init__(self, code: int, stdout: bytes, stderr: bytes) -> None:
        self.code = code
        self.stdout = stdout.decode()
        self.stderr = stderr.decode()

    @property
    def json(self) -> Any:
        return orjson.loads(self.stdout)


class Wex:
    """Runs the command in a process of its own, with settings for this test's servers."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self._environment = {**os.environ, **environment}
        self._folder = folder

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        code = "import sys; from consumer.cli import main; sys.argv[0] = 'wex'; main()"
        pythonpath = {"PYTHONPATH": str(Path(__file__).parents[2])}
        return subprocess.Popen(
            [sys.executable, "-c", code, "temporal", "sync", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self._environment | pythonpath,
            cwd=self._folder,
        )

    async def __call__(self, *arguments: str) -> Outcome:
        process = self.start(*arguments)
        stdout, stderr = await asyncio.to_thread(process.communicate, timeout=60)
        return Outcome(process.returncode, stdout, stderr)


@pytest.fixture
def wex(servers: Servers, temporal: TemporalServer, database_url: str, topic: str, tmp_path: Path) -> Wex:
    environment = {
        "WEX_KAFKA_BOOTSTRAP_SERVERS": servers.kafka_bootstrap_servers,
        "WEX_DATABASE_URL": database_url,
        "WEX_TOPICS": topic,
        "WEX_TEMPORAL_ADDRESS": temporal.address,
        "WEX_TEMPORAL_NAMESPACE": "default",
        "WEX_DATA_DIR": str(tmp_path),
    }
    return Wex(environment, tmp_path)


@pytest.fixture
async def pending_id(client: Client) -> str:
    """A workflow that nobody has picked up."""
    workflow_id = await scenarios.never_picked_up(client, f"queue-{uuid4().hex[:8]}")
    await server.runs(client, workflow_id)
    return workflow_id


@pytest.fixture
def closed_port() -> str:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{bound.getsockname()[1]}"


async def test_pass_publishes_and_keeps_its_place(
    servers: Servers, wex: Wex, topic: str, database_url: str, pending_id: str
) -> None:
    """One pass publishes what the server knows, says so, and notes in the database how far it came."""
    outcome = await wex("--json")
    assert outcome.code == ExitCode.OK, outcome.stderr
    assert outcome.json["source"] == f"temporal:default@{topic}"
    assert outcome.json["runs"] >= 1
    found = await events(servers.kafka_bootstrap_servers, topic)
    assert len(found) == outcome.json["events"]
    assert pending_id in {event.data.temporal_workflow_id for event in found}
    place = await SyncPlaces(database_url).read(f"temporal:default@{topic}")
    assert place == datetime.fromisoformat(outcome.json["place"])
    again = await wex()
    assert again.code == ExitCode.OK
    assert f"temporal:default@{topic}: " in again.stdout
    assert "runs read" in again.stdout


async def test_following_ends_with_a_signal(wex: Wex, pending_id: str) -> None:
    """With --follow passes go on until a signal, which is the ordinary end."""
    del pending_id
    process = wex.start("--follow", "--interval", "0.1", "--json")
    try:
        assert process.stdout is not None
        first = await asyncio.to_thread(_object, process)
        second = await asyncio.to_thread(_object, process)
        process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(process.communicate, timeout=30)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == ExitCode.OK
    assert first["runs"] >= 1
    assert second["source"] == first["source"]


def _object(process: subprocess.Popen[bytes]) -> Any:
    """The next JSON object that a process prints."""
    assert process.stdout is not None
    text = b""
    for line in process.stdout:
        text += line
        if line.rstrip() == b"}":
            break
    return orjson.loads(text)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--address"], "Temporal at 127.0.0.1:"),
        (["--kafka-bootstrap-servers"], "cannot publish to executions-"),
        (["--database-url"], "PostgreSQL at 127.0.0.1:"),
    ],
)
async def test_server_that_is_away_is_named(wex: Wex, closed_port: str, flags: list[str], words: str) -> None:
    """Whichever server is away is named, with what to do, and the exit code says that one is unreachable."""
    address = f"postgresql://{closed_port}/x" if flags == ["--database-url"] else closed_port
    outcome = await wex(*flags, address)
    assert outcome.code == ExitCode.UNREACHABLE
    assert words in outcome.stderr
    assert "`wex up" in outcome.stderr
    assert "Traceback" not in outcome.stderr


async def test_unknown_namespace_is_not_found(wex: Wex) -> None:
    """A namespace that does not exist is named, and the exit code says not found."""
    outcome = await wex("--namespace", "nowhere")
    assert outcome.code == ExitCode.NOT_FOUND
    assert "nowhere" in outcome.stderr
    assert "--namespace" in outcome.stderr


async def test_place_never_moves_back(database_url: str) -> None:
    """A place is unknown at first, moves forward, and stays where the furthest sync has put it."""
    places = SyncPlaces(database_url)
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert await places.read("temporal:default@t") is None
    for place in (noon, noon - timedelta(hours=1), noon + timedelta(microseconds=1), noon):
        await places.move("temporal:default@t", place)
    assert await places.read("temporal:default@t") == noon + timedelta(microseconds=1)
    assert await places.read("temporal:other@t") is None


async def test_missing_table_is_a_matter_of_migration(empty_database_url: str) -> None:
    """Without the schema the place cannot be read, and the error is one that a migration mends."""
    with pytest.raises(MisconfiguredError, match="sync_places"):
        await SyncPlaces(empty_database_url).read("temporal:default@t")


async def test_following_outlives_an_outage(
    servers: Servers, temporal: TemporalServer, topic: str, database_url: str, pending_id: str
) -> None:
    """After its first pass a following sync reports what is wrong and tries again until it is mended."""
    del pending_id
    passes: asyncio.Queue[Pass] = asyncio.Queue()
    troubles: asyncio.Queue[WexError] = asyncio.Queue()
    settings = Settings(
        kafka_bootstrap_servers=servers.kafka_bootstrap_servers,
        database_url=SecretStr(database_url),
        topics=(topic,),
        temporal_address=temporal.address,
    )
    service = SyncService(settings, passed=passes.put_nowait, troubled=troubles.put_nowait)
    connection = await asyncpg.connect(database_url)
    following = asyncio.create_task(service.follow(0.05))
    try:
        async with asyncio.timeout(30):
            await passes.get()
            await connection.execute("ALTER TABLE sync_places RENAME TO elsewhere")
            assert "sync_places" in (await troubles.get()).message
            await connection.execute("ALTER TABLE elsewhere RENAME TO sync_places")
            while not passes.empty():
                passes.get_nowait()
            await passes.get()
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
        await connection.close()
