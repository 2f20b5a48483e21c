"""`wex consume` as a process of its own, found by what its log says; its event loop can be made to stand still."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.consuming import WAIT_SECONDS

BLOCKED_SECONDS = 16

# A signal's handler runs in the main thread, where the loop is: while it sleeps, nothing there turns.
RUN = f"""
import signal, sys, time
signal.signal(signal.SIGUSR1, lambda *_: time.sleep({BLOCKED_SECONDS}))
from consumer.cli import main
main()
"""


class Consumer:
    """A consumer that runs.

    Attributes:
        url: where it serves health and metrics.
        said: the lines of its log.
    """

    def __init__(self, process: Process) -> None:
        self.process = process
        self.url = ""
        self.said: list[dict[str, Any]] = []
        self._reading: asyncio.Task[None] | None = None

    async def listen(self) -> None:
        """Read the log until it names the address, and then beside the test."""
        async with asyncio.timeout(WAIT_SECONDS):
            while not self.url:
                self._take(await self._line())
        self._reading = asyncio.create_task(self._read())

    async def end(self) -> int:
        """Ask it to stop, and return how it ended."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return await asyncio.wait_for(self.process.wait(), WAIT_SECONDS)
        except TimeoutError:
            self.process.kill()
            raise
        finally:
            if self._reading is not None:
                await self._reading

    def block(self) -> None:
        """Let its event loop stand still for a while."""
        self.process.send_signal(signal.SIGUSR1)

    async def _line(self) -> bytes:
        assert self.process.stderr is not None
        line = await self.process.stderr.readline()
        assert line, f"it ended: {self.said}"
        return line

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self._take(line)

    def _take(self, line: bytes) -> None:
        entry = json.loads(line)
        self.said.append(entry)
        if entry["event"] == "listening":
            self.url = entry["url"]


@asynccontextmanager
async def consumer(settings: dict[str, str]) -> AsyncIterator[Consumer]:
    """Run a consumer beside a test, which must end well."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", RUN, "consume", "--log-json", env=dict(os.environ) | settings, stderr=PIPE
    )
    running = Consumer(process)
    try:
        await running.listen()
        yield running
    finally:
        code = await running.end()
    assert code == 0, running.said
