"""Where the campaign takes place: servers, links, consumers and producers, and the pulse that measures the lag."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import asyncpg

from consumer.errors import WexError
from consumer.local.stack import LocalStack
from events.publisher import ensure_topics
from store.migrate import migrate
from tests.chaos.crew import Member, Producers
from tests.chaos.ledger import TABLES
from tests.chaos.member import Settings
from tests.chaos.proxy import Link

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

TOPIC = GROUP = "chaos"
PARTITIONS = 6
MEMBERS = 3
RATE = 650.0  # records a second when there is lag enough
PULSE_SECONDS = 0.3
ADMIN_SECONDS = 10.0  # how long a fault waits for a server that another fault took away
START_TRIES = 5
SMALL_DISK_MEGABYTES = 400

# With a lag below the first number the producers send at the second: the consumers must never run dry.
RATES = ((300, 3_500.0), (1_500, 2_200.0), (5_000, 1_000.0), (15_000, RATE))
SLOWEST_RATE = 400.0


class Missed(Exception):  # noqa: N818 - no error: what the fault was aimed at was away already
    """A fault found nothing to hit."""


class Arena:
    """Everything that runs; an async context manager.

    Attributes:
        lag: records that are acknowledged and not applied, as last measured.
        lag_peak: the largest of them.
        partitions: how many the topic has now.
        small_disk: the mount point of the ledger's tablespace; None where mounting is not permitted.
    """

    def __init__(self, folder: Path, *, seed: int, weakened: bool, report: Callable[[str], None]) -> None:
        self.folder = folder
        self.stack = LocalStack(folder / "stack", temporal=False)
        self.members: list[Member] = []
        self.database_links: list[Link] = []
        self.kafka_links: list[Link] = []
        self.producers = Producers()
        self.partitions = PARTITIONS
        self.lag = self.lag_peak = 0
        self.small_disk: Path | None = None
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._positions: dict[int, int] = {}
        self._seed = seed
        self._weakened = weakened
        self._report = report
        self._exits = AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            await self._build()
        except BaseException:
            await self._exits.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._exits.aclose()

    async def _build(self) -> None:
        self._exits.callback(self._unmount)
        await asyncio.to_thread(self.stack.start)
        self._exits.push_async_callback(asyncio.to_thread, self.stack.stop)
        await migrate(self.stack.database_url)
        await self._prepare_database()
        await ensure_topics(self.stack.kafka_bootstrap_servers, [TOPIC], partitions=PARTITIONS)
        for number in range(MEMBERS):
            self.members.append(await self._member(number))
        self._exits.push_async_callback(self._end_processes)
        await self.producers.begin(
            self.folder,
            servers=self.stack.kafka_bootstrap_servers,
            topic=TOPIC,
            seed=self._seed,
            rate=RATE,
        )
        for member in self.members:
            member.begin()

    async def _prepare_database(self) -> None:
        async with self.admin() as connection:
            await connection.execute("ALTER SYSTEM SET track_commit_timestamp = on")
        await asyncio.to_thread(self.stack.postgres.stop)
        await self.start_postgres()
        self.small_disk = self._mount()
        async with self.admin() as connection:
            tablespace = ""
            if self.small_disk is not None:
                await connection.execute(f"CREATE TABLESPACE small LOCATION '{self.small_disk}'")
                tablespace = " TABLESPACE small"
            await connection.execute(TABLES.format(tablespace=tablespace))

    async def _member(self, number: int) -> Member:
        database = await self._exits.enter_async_context(Link("postgres", self.stack.postgres.port))
        kafka = await self._exits.enter_async_context(Link("kafka", self.stack.kafka.port))
        self.database_links.append(database)
        self.kafka_links.append(kafka)
        url = self.stack.database_url.replace(f":{self.stack.postgres.port}/", f":{database.port}/")
        settings = Settings(url, TOPIC, GROUP, self.stack.kafka.port, kafka.port, weakened=self._weakened)
        return Member(number, settings, self.folder)

    async def _end_processes(self) -> None:
        await asyncio.gather(self.producers.kill(), *(member.kill() for member in self.members))

    # A disk of its own for the ledger, so that it can be filled without filling anybody else's.

    def _mount(self) -> Path | None:
        place = self.folder / "small-disk"
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK_MEGABYTES}m,mode=0700", "tmpfs", str(place)]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
            self._report("no private disk can be mounted here: the full disk is left out")
            return None
        if self.stack.postgres.user != "-":
            os.chown(place, *map(int, self.stack.postgres.user.split(":")))
        return place

    def _unmount(self) -> None:
        if self.small_disk is not None:
            subprocess.run(["umount", str(self.small_disk)], capture_output=True, check=True)

    # What faults use.

    @asynccontextmanager
    async def exclusively(self, resource: str) -> AsyncIterator[None]:
        """Keep other faults away from the same resource; nothing to keep where it has no name."""
        if not resource:
            yield
            return
        async with self._locks[resource]:
            yield

    @asynccontextmanager
    async def admin(self, **settings: str) -> AsyncIterator[Connection]:
        """A connection that goes through no link, once PostgreSQL answers.

        Raises:
            Missed: it does not answer in time.
        """
        options: dict[str, Any] = {"application_name": "chaos", "default_transaction_read_only": "off", **settings}
        deadline = time.monotonic() + ADMIN_SECONDS
        while True:
            try:
                connection = await asyncpg.connect(self.stack.database_url, server_settings=options, timeout=3)
                break
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
                if time.monotonic() > deadline:
                    msg = f"PostgreSQL does not answer: {error}"
                    raise Missed(msg) from error
            await asyncio.sleep(0.2)
        try:
            yield connection
        except (OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.OperatorInterventionError):
            return  # another fault took the server away, and with it whatever this one held
        finally:
            connection.terminate()

    async def start_postgres(self) -> None:
        """Start PostgreSQL; processes that a killed one left behind may still be in the way."""
        for tries in range(START_TRIES):
            try:
                await asyncio.to_thread(self.stack.postgres.start)
            except WexError:
                if tries + 1 == START_TRIES:
                    raise
                await asyncio.sleep(1)
            else:
                return

    async def start_kafka(self) -> None:
        """Start the broker."""
        await asyncio.to_thread(self.stack.kafka.start)

    async def heal(self) -> None:
        """Undo whatever a fault may have left; safe to do at any time."""
        for member in self.members:
            member.send(signal.SIGCONT)
        for link in (*self.database_links, *self.kafka_links):
            link.heal()
        await self.start_postgres()
        await self.start_kafka()
        async with self.admin() as connection:
            await connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
            await connection.execute("SELECT pg_reload_conf()")

    async def beat_for_ever(self) -> None:
        """Measure the lag, and have the producers keep it up."""
        while True:
            with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError, Missed):
                async with self.admin() as connection:
                    while not connection.is_closed():
                        found = await connection.fetch("SELECT partition, next_offset FROM positions", timeout=3)
                        self._positions = {r["partition"]: r["next_offset"] for r in found}
                        await self._beat()
            await self._beat()

    async def _beat(self) -> None:
        ends = self.producers.ends
        self.lag = sum(max(0, end - self._positions.get(partition, 0)) for partition, end in ends.items())
        self.lag_peak = max(self.lag_peak, self.lag)
        self.producers.order(rate=next((rate for lag, rate in RATES if self.lag < lag), SLOWEST_RATE))
        for member in self.members:
            member.look()
        await asyncio.sleep(PULSE_SECONDS)
