"""The Temporal sync as a service: its place kept in PostgreSQL, one pass after another, outages outlived."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from consumer.errors import ExitCode, WexError
from consumer.kafka_address import for_people
from consumer.settings import Settings
from events.publisher import ExecutionPublisher, PublishError
from store.errors import StoreError
from store.sync_places import SyncPlaces

if TYPE_CHECKING:
    from temporalio.client import Client

    from events.adapters.temporal import SyncReport, TemporalSync

CONNECT_SECONDS = 10.0  # a server that has not answered by then is down
REMEDY = "Is Temporal running? `wex up --temporal` starts one; --address or WEX_TEMPORAL_ADDRESS names another."


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass has done.

    Attributes:
        source: what was read, and where it was published: the key of the place.
        place: where the next pass begins, less its overlap; None while the server has never had a run.
        runs: runs read.
        events: events published.
        refused: runs that the contract refuses, each named in the log.
    """

    source: str
    place: datetime | None
    runs: int
    events: int
    refused: int


class SyncService:
    """Passes of one namespace into one topic.

    Args:
        settings: where Temporal, Kafka and PostgreSQL are.
        payloads: whether inputs and outputs are published.
        passed: told after every pass.
        troubled: told of an outage that `follow` outlives.
        progress: told after every run.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        payloads: bool = True,
        passed: Callable[[Pass], None] = lambda _: None,
        troubled: Callable[[WexError], None] = lambda _: None,
        progress: Callable[[SyncReport], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._payloads = payloads
        self._passed = passed
        self._troubled = troubled
        self._progress = progress
        self._topic = settings.topics[0]
        self.source = f"temporal:{settings.temporal_namespace}@{self._topic}"
        self._places = SyncPlaces(settings.database)

    async def once(self) -> Pass:
        """Make one pass and move the place.

        Raises:
            WexError: Temporal or Kafka does not answer, or the namespace does not exist.
            StoreError: PostgreSQL does not answer, or the schema is missing. The place stays where it was.
        """
        return await self._run(None)

    async def follow(self, interval_seconds: float) -> None:
        """Make passes for ever, so many seconds apart; only the first must succeed.

        Raises:
            WexError, StoreError: as `once` does, in the first pass.
        """
        await self._run(interval_seconds)

    async def _run(self, interval_seconds: float | None) -> Pass:
        from events.adapters.temporal import TemporalSync

        await self._places.read(self.source)  # before anything is asked of the others: it is the cheapest to mend
        kafka = self._settings.kafka
        with errors_for_people(self._settings):
            client = await self._connect()
            async with ExecutionPublisher(
                bootstrap_servers=kafka.servers, topic=self._topic, source="/wex", client_options=kafka.client_options
            ) as publisher:
                sync = TemporalSync(client, publisher, payloads=self._payloads, progress=self._progress)
                done = await self._pass(sync)
                while interval_seconds is not None:
                    await asyncio.sleep(interval_seconds)
                    await self._try(sync)
        return done

    async def _connect(self) -> Client:
        from temporalio.client import Client

        from consumer.temporal_runtime import runtime

        address, namespace = self._settings.temporal_address, self._settings.temporal_namespace
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await Client.connect(address, namespace=namespace, runtime=runtime())
        except (RuntimeError, TimeoutError) as error:  # what the SDK raises when it cannot connect
            message = f"Temporal at {address} cannot be reached: {str(error) or 'no answer'}"
            raise WexError(message, REMEDY, ExitCode.UNREACHABLE) from error

    async def _pass(self, sync: TemporalSync) -> Pass:
        report = await sync.run_once(await self._places.read(self.source))
        if report.place is not None:
            await self._places.move(self.source, report.place)
        done = Pass(self.source, report.place, report.runs, report.events, report.refused)
        self._passed(done)
        return done

    async def _try(self, sync: TemporalSync) -> None:
        try:
            with errors_for_people(self._settings):
                await self._pass(sync)
        except WexError as trouble:
            self._troubled(trouble)
        except StoreError as error:
            self._troubled(WexError(str(error), "", ExitCode.UNREACHABLE))


@contextmanager
def errors_for_people(settings: Settings) -> Iterator[None]:
    """Turn the errors of Temporal and Kafka into errors with a remedy and an exit code; those of the store pass."""
    from temporalio.service import RPCError, RPCStatusCode

    where = f"Temporal at {settings.temporal_address}"
    try:
        yield
    except PublishError as error:
        raise for_people(error) from error
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            message = f"{where}: {error.message}"
            raise WexError(message, "Name another one with --namespace.", ExitCode.NOT_FOUND) from error
        unreachable = error.status in (RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED)
        code = ExitCode.UNREACHABLE if unreachable else ExitCode.ERROR
        raise WexError(f"{where}: {error.message}", REMEDY if unreachable else "", code) from error
