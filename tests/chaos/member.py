"""One consumer of the campaign: `wex consume` itself, with a ledger, behind links that fail, and hooks for faults.

Run as a process with its settings as JSON. What it is to suffer comes as JSON lines on standard input: `block` (seconds
for which the event loop stands still) and `clock` (seconds by which the wall clock is wrong). It ends with its leader.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any, Self
from unittest.mock import patch

import aiokafka
from aiokafka.conn import AIOKafkaConnection

from consumer import cli
from consumer.source import Source
from tests.chaos.ledger import LedgerService, LedgerStore, move_blindly

SESSION_TIMEOUT_MS = 6_000
RECORDS_MAX = 400  # smaller transactions, hence more moments at which a fault can hit
LEADER_GONE = 70  # the exit code after the end of standard input


@dataclass(frozen=True)
class Settings:
    """How one consumer runs.

    Attributes:
        kafka_port: the broker's own port, which its metadata names.
        kafka_link_port: where the consumer connects to instead.
        instance_id: a static membership, which two consumers may share by mistake.
        weakened: leave out the guard; the campaign must then find a violation.
    """

    database_url: str
    topic: str
    group: str
    kafka_port: int
    kafka_link_port: int
    instance_id: str | None = None
    weakened: bool = False

    def to_json(self) -> str:
        """These settings as an argument."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, text: str) -> Self:
        """Read an argument."""
        return cls(**json.loads(text))


class Hooks:
    """What faults do inside of the process."""

    def __init__(self) -> None:
        self._real_time = time.time
        self._clock_error = 0.0

    def time(self) -> float:
        """The wall clock, as wrong as it was made; what reads the system's clock from C stays right."""
        return self._real_time() + self._clock_error

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Obey standard input from a thread, until it ends."""
        threading.Thread(target=self._obey, args=(loop,), daemon=True).start()

    def _obey(self, loop: asyncio.AbstractEventLoop) -> None:
        for line in sys.stdin:
            order = json.loads(line)
            self._clock_error = order.get("clock", self._clock_error)
            if "block" in order:
                loop.call_soon_threadsafe(time.sleep, order["block"])
        os._exit(LEADER_GONE)


def main(settings: Settings) -> None:
    """Run `wex consume` until it is stopped, with everything in place that the campaign needs."""
    hooks = Hooks()

    class HookedService(LedgerService):
        async def run(self) -> str:
            hooks.listen(asyncio.get_running_loop())
            return await super().run()

    class RedirectedConnection(AIOKafkaConnection):  # type: ignore[misc] # aiokafka ships no type information
        """Connects to the link where the broker's metadata names the broker."""

        def __init__(self, host: str, port: int, **options: Any) -> None:
            super().__init__(host, settings.kafka_link_port if port == settings.kafka_port else port, **options)

    client = functools.partial(aiokafka.AIOKafkaConsumer, group_instance_id=settings.instance_id)
    options = ["--topics", settings.topic, "--consumer-group", settings.group]
    servers = ["--kafka-bootstrap-servers", f"127.0.0.1:{settings.kafka_link_port}"]
    os.environ["WEX_KAFKA_SESSION_TIMEOUT_MS"] = str(SESSION_TIMEOUT_MS)
    with ExitStack() as patches:
        patches.enter_context(patch("aiokafka.conn.AIOKafkaConnection", RedirectedConnection))
        patches.enter_context(patch("consumer.source.AIOKafkaConsumer", client))
        patches.enter_context(patch("consumer.source.Source", functools.partial(Source, records_max=RECORDS_MAX)))
        patches.enter_context(patch("consumer.service.Service", HookedService))
        patches.enter_context(patch("store.postgres.PostgresStore", LedgerStore))
        patches.enter_context(patch("time.time", hooks.time))
        if settings.weakened:
            patches.enter_context(patch("store.postgres._guard", move_blindly))
        sys.argv = ["wex", "consume", *options, *servers, "--database-url", settings.database_url]
        cli.main()


if __name__ == "__main__":
    main(Settings.of(sys.argv[1]))
