"""One incident's own place: a topic, a database, a consumer under supervision, and Prometheus looking at it.

A second of the exercise counts as a minute for the rules, so that an alert which waits for ten minutes fires after ten
seconds of the incident. What they are judged by is what the consumer really served.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, Self

import yaml

from consumer.local.stack import LocalStack
from events.publisher import ensure_topics
from store.migrate import migrate
from tests import promtool
from tests.conftest import database
from tests.consuming import applied, encoded, fetch, produce
from tests.docs.test_operations import commands, entries
from tests.exercise.platform import WEX, Platform
from tests.lives import event
from tests.monitoring.scraping import Samples, ask, scrape, total
from tests.promtool import RULES_FILE
from tests.system.test_kill import assert_tables_equal_the_fold

MINUTE_SECONDS = 1.0  # of the exercise
JUDGE_SECONDS = 2.0  # how often the rules are judged
PATIENCE_SECONDS = 120.0  # the watchdog alone takes 45
LINES_SHOWN, COLUMNS = 12, 130  # of what a command says
PAGE = "docs/operations.md"
SEVERITIES = {
    rule["alert"]: rule["labels"]["severity"] for rule in yaml.safe_load(RULES_FILE.read_text())["groups"][0]["rules"]
}


@dataclass(frozen=True)
class Outcome:
    """What a scene has come to."""

    name: str
    alerts: tuple[str, ...]
    ran: tuple[str, ...]
    lines: tuple[str, ...]


class Scene:
    """What happens in one incident, and what is said about it; an async context manager."""

    def __init__(self, name: str, stack: LocalStack, tool: Path, *, tablespace: str = "") -> None:
        self.name = name
        self.slug = name.replace(" ", "-")
        self.stack = stack
        self.topic = f"exercise-{self.slug}"
        self.partition = f"{self.topic}/0"
        self.database_url = database(stack.database_url, self.topic)
        self.values: list[bytes] = []  # everything that the table must have
        self.platform = Platform(
            {
                "WEX_KAFKA_BOOTSTRAP_SERVERS": stack.kafka_bootstrap_servers,
                "WEX_DATABASE_URL": self.database_url,
                "WEX_TOPICS": self.topic,
                "WEX_CONSUMER_GROUP": self.topic,
                "WEX_HTTP_PORT": "0",
                "WEX_KAFKA_SESSION_TIMEOUT_MS": "6000",
            }
        )
        self._tool = tool
        self._tablespace = tablespace
        self._scrapes: list[Samples | None] = []
        self._told: list[str] = []
        self._alerts: list[str] = []
        self._ran: list[str] = []
        self._began = time.monotonic()
        self._exits = AsyncExitStack()

    async def __aenter__(self) -> Self:
        place = f" TABLESPACE {self._tablespace}" if self._tablespace else ""
        await fetch(self.stack.database_url, f'CREATE DATABASE "{self.topic}" TEMPLATE template0{place}')
        await migrate(self.database_url)
        await ensure_topics(self.stack.kafka_bootstrap_servers, [self.topic], partitions=1)
        self._exits.push_async_callback(self.platform.kill)
        self.platform.start()
        scraping = asyncio.create_task(self._scrape_for_ever())
        self._exits.callback(scraping.cancel)
        await self.until(lambda: self._answers("/readyz", 200), "it is ready")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._exits.aclose()

    @property
    def outcome(self) -> Outcome:
        """What was said until now."""
        return Outcome(self.name, tuple(self._alerts), tuple(self._ran), tuple(self._told))

    # What happens.

    async def publish(self, runs: int, **data: Any) -> list[bytes]:
        """Write two events each of some new runs, and return them."""
        first = len(self.values)
        events = [
            event(verb, n, run=f"{self.slug}-{first + n}", **data)
            for n in range(runs)
            for verb in ("started", "completed")
        ]
        values = [value for value in encoded(events) if value is not None]
        self.values += values
        await self.write(values)
        return values

    async def write(self, values: Sequence[bytes]) -> None:
        """Write values to the topic."""
        await produce(self.stack.kafka_bootstrap_servers, self.topic, values, partitions=1)

    def tell(self, what: str, text: str) -> None:
        """Say something in the report."""
        seconds = f"{time.monotonic() - self._began:.0f} s" if what else ""
        self._told.append(f"  {seconds:>5}  {what:<13}{text.rstrip()}"[:COLUMNS])

    async def applies(self) -> None:
        """Wait until the table has as many records of the topic as were written."""
        await self.until(lambda: applied(self.database_url, self.topic, len(self.values)), "all is applied")

    # What Prometheus, the runbook and the operator do.

    async def fires(self, *alerts: str) -> None:
        """Wait until alerts fire, and say which do."""
        found: set[str] = set()

        async def all_fire() -> bool:
            nonlocal found
            found = await asyncio.to_thread(promtool.firing, self._tool, list(self._scrapes))
            return found >= set(alerts)

        await self.until(all_fire, f"{', '.join(alerts)} of {found}", every=JUDGE_SECONDS)
        self._alerts += alerts
        for alert in sorted(found):
            self.tell("alert", f"{alert} ({SEVERITIES[alert]})")

    async def clears(self, *alerts: str) -> None:
        """Wait until alerts do not fire any more."""

        async def none_fires() -> bool:
            return not set(alerts) & await asyncio.to_thread(promtool.firing, self._tool, list(self._scrapes))

        await self.until(none_fires, f"{', '.join(alerts)} is over", every=JUDGE_SECONDS)
        self.tell("alert over", ", ".join(alerts))

    def reads(self, chapter: str, entry: str) -> str:
        """Open the runbook at an entry, and return what it says."""
        self.tell("runbook", f"{PAGE}, {chapter}, {entry}")
        return entries(chapter)[entry]

    async def runs(self, text: str, command: str, *, code: int = 0, types: str = "", **filled: object) -> str:
        """Run a command as a text of the runbook shows it, with its placeholders filled in."""
        assert command in commands(text), f"the entry does not show `{command}`"
        for placeholder, value in {"TOPIC/PARTITION": self.partition, **filled}.items():
            command = command.replace(placeholder, str(value))
        said, ended = await self.wex(*shlex.split(command)[1:], types=types)
        self._ran.append(command)
        self.tell("$", command)
        lines = said.strip().splitlines()
        for line in [*lines[:LINES_SHOWN], *(["…"] if len(lines) > LINES_SHOWN else [])]:
            self.tell("", line)
        assert ended == code, f"`{command}` ended with {ended}: {said}"
        return said

    async def wex(self, *arguments: str, types: str = "") -> tuple[str, int]:
        """Run `wex` where the consumer runs, and return what it says and how it ends."""
        process = await asyncio.create_subprocess_exec(
            WEX,
            *arguments,
            env=dict(os.environ) | self.platform.settings | {"COLUMNS": "100"},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate(types.encode())
        assert process.returncode is not None
        return said.decode(), process.returncode

    # What is left.

    async def is_well(self, *, verify: bool = False) -> None:
        """Wait until the service is healthy, has no lag and its table is what it must be; verify says so too."""
        began = time.monotonic()
        await self.until(lambda: self._answers("/healthz", 200), "it is healthy")
        await self.until(lambda: self._answers("/readyz", 200), "it is ready")
        await self.until(lambda: self._has_no_lag(began), "it has no lag")
        self.tell("healthy", "/healthz 200, /readyz 200, lag 0")
        await assert_tables_equal_the_fold(self.database_url, list(self.values))
        self.tell("nothing lost", f"the table is what the fold and the oracle make of {len(self.values)} events")
        if verify:
            said, code = await self.wex("verify", "--jobs", "1")
            assert code == 0, said
            self.tell("verify", said.splitlines()[-1])

    async def _has_no_lag(self, since: float) -> bool:
        """Whether there is none by ends of the log that were read since."""
        samples = await asyncio.to_thread(self._scrape)
        if samples is None:
            return False
        known = [value for (name, _), value in samples.items() if name == "wex_lag_age_seconds"]
        fresh = bool(known) and time.monotonic() - since > known[0]
        return fresh and total(samples, "wex_lag_records") == total(samples, "wex_partition_halted") == 0

    async def _answers(self, path: str, status: int) -> bool:
        url = self.platform.url
        try:
            return bool(url) and (await asyncio.to_thread(ask, url, path))[0] == status
        except (OSError, HTTPException):
            return False

    def _scrape(self) -> Samples | None:
        url = self.platform.url
        try:
            return scrape(url) if url else None
        except (OSError, HTTPException):
            return None

    async def _scrape_for_ever(self) -> None:
        while True:
            next_minute = time.monotonic() + MINUTE_SECONDS
            self._scrapes.append(await asyncio.to_thread(self._scrape))
            await asyncio.sleep(max(0.0, next_minute - time.monotonic()))

    async def until(self, condition: Callable[[], Awaitable[bool]], what: str, *, every: float = 0.1) -> None:
        """Return as soon as a condition holds; fail after a bounded time, saying what was awaited."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not await condition():
            said = "\n".join([*self._told, *map(str, self.platform.log[-5:])])
            assert time.monotonic() < deadline, f"{self.name}: not within {PATIENCE_SECONDS:g} s: {what}\n{said}"
            await asyncio.sleep(every)
