"""What runs a consumer: starts it, takes its log, and starts it again when it ends, as deploy/systemd does."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import Process
from contextlib import suppress
from pathlib import Path
from typing import Any

from consumer.errors import ExitCode

WEX = Path(sys.executable).with_name("wex")
LEFT_DOWN = {ExitCode.OK, ExitCode.USAGE, ExitCode.HALTED, ExitCode.REFUSED}  # RestartPreventExitStatus, and an end
RESTART_SECONDS = 1.0


class Platform:
    """One consumer under supervision.

    Attributes:
        settings: its part of the environment; what is changed counts from the next start on.
        codes: how it has ended, each time.
        url: where it serves health and metrics now; empty while it does not.
        log: the events that it has logged.
    """

    def __init__(self, settings: dict[str, str]) -> None:
        self.settings = settings
        self.codes: list[int] = []
        self.url = ""
        self.log: list[dict[str, Any]] = []
        self._process: Process | None = None
        self._reading = -1
        self._rest = b""
        self._supervising: asyncio.Task[None] | None = None

    @property
    def runs(self) -> bool:
        """Whether the consumer is there, or will be in a moment."""
        return self._supervising is not None and not self._supervising.done()

    def start(self) -> None:
        """Start the consumer, and supervise it."""
        self._supervising = asyncio.create_task(self._supervise())

    async def stop(self) -> None:
        """Ask the consumer to end, and wait until it has."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        if self._supervising is not None:
            await asyncio.wait({self._supervising}, timeout=30)

    async def kill(self) -> None:
        """End the consumer, whatever it does, and its supervision."""
        if self._supervising is not None:
            self._supervising.cancel()
            await asyncio.wait({self._supervising})
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        self._stop_reading(close=True)

    def block_log(self) -> None:
        """Read nothing of what the consumer says any more, until it is started again; whatever it says next waits."""
        assert self._process is not None, "it runs"
        self._stop_reading(close=False)
        pipe = os.open(f"/proc/{self._process.pid}/fd/2", os.O_WRONLY | os.O_NONBLOCK)
        with suppress(BlockingIOError):
            while True:
                os.write(pipe, b"\n")
        os.close(pipe)

    async def _supervise(self) -> None:
        while True:
            self._reading, writing = os.pipe()
            try:
                command = (WEX, "consume", "--log-json")
                self._process = await asyncio.create_subprocess_exec(
                    *command, env=dict(os.environ) | self.settings, stderr=writing
                )
            finally:
                os.close(writing)
            os.set_blocking(self._reading, False)
            asyncio.get_running_loop().add_reader(self._reading, self._read)
            code = await self._process.wait()
            self.url = ""
            self._stop_reading(close=True)
            self.codes.append(code)
            if code in LEFT_DOWN:
                return
            await asyncio.sleep(RESTART_SECONDS)

    def _read(self) -> None:
        *lines, self._rest = (self._rest + os.read(self._reading, 1 << 16)).split(b"\n")
        for line in lines:
            with suppress(ValueError):
                entry = json.loads(line)
                self.log.append(entry)
                self.url = entry.get("url", self.url)

    def _stop_reading(self, *, close: bool) -> None:
        if self._reading >= 0:
            asyncio.get_running_loop().remove_reader(self._reading)
            if close:
                os.close(self._reading)
                self._reading, self._rest = -1, b""
