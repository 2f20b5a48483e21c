"""`wex consume` as a process that a test sends signals to; what it logs is kept line by line."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from tests.consuming import until

WEX = str(Path(sys.executable).with_name("wex"))
SOON_SECONDS = 18.0  # below the 20 of the setting, on a machine that is very busy


class Consuming:
    """A consumer that runs.

    Attributes:
        said: the lines of its log; what is no line of the log is kept as it is.
    """

    def __init__(self, process: Process) -> None:
        self.process = process
        self.said: list[Any] = []
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        if self.process.stderr is None:
            return  # it goes elsewhere
        async for line in self.process.stderr:
            try:
                self.said.append(json.loads(line))
            except ValueError:
                self.said.append(line.decode())

    def has_said(self, event: str) -> bool:
        """Whether its log has an event."""
        return any(isinstance(line, dict) and line["event"] == event for line in self.said)

    async def says(self, event: str) -> None:
        """Wait until its log has an event."""

        async def said() -> bool:
            assert self.process.returncode is None, self.said
            return self.has_said(event)

        await until(said, f"{event} in {self.said}")

    async def ended_by(self, number: signal.Signals | None, *, within: float = SOON_SECONDS) -> int:
        """Send a signal, if one is named, and return the code that it ends with in time."""
        if number is not None:
            self.process.send_signal(number)
        try:
            async with asyncio.timeout(within):
                code = await self.process.wait()
        except TimeoutError:
            raise AssertionError(f"it does not end: {self.said}") from None
        await self._reading
        return code

    async def kill(self) -> None:
        """End it, whatever it does."""
        with suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()
        await self._reading


@asynccontextmanager
async def consuming(
    settings: dict[str, str], *, wrapped_in: Sequence[str] = (), **how: Any
) -> AsyncIterator[Consuming]:
    """Run a consumer beside a test, which ends it.

    Args:
        settings: its own part of the environment.
        wrapped_in: a command that runs it.
        how: what else the process is started with.
    """
    options: dict[str, Any] = {"env": dict(os.environ) | settings, "stderr": PIPE, **how}
    process = await asyncio.create_subprocess_exec(*wrapped_in, WEX, "consume", "--log-json", **options)
    running = Consuming(process)
    try:
        yield running
    finally:
        await running.kill()


def count_is(connection: Any, query: str, count: int) -> Callable[[], Awaitable[bool]]:
    """Whether a query counts so many now."""

    async def look() -> bool:
        return bool(await connection.fetchval(query) == count)

    return look
