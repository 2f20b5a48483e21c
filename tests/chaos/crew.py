"""The processes of a campaign: consumers that are started again whenever they end, and the producers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from consumer.errors import ExitCode
from tests.chaos import member, workload

ROOT = Path(__file__).parents[2]
RESTART_SECONDS = 0.5
STOP_SECONDS = 30  # a drain, a release and a leave of the group, each bounded
SECOND_SIGTERM = 128 + signal.SIGTERM  # `wex consume` ends at once

# What `wex consume` documents for a consumer that nobody asked to end.
BY_ITSELF = {int(ExitCode.UNREACHABLE), int(ExitCode.WATCHDOG)}


async def start(module: str, argument: str, log: IO[bytes], *, stdout: int | None = None) -> Process:
    """Start a module of this package as a process, in a session of its own, so that Ctrl-C reaches the leader alone."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        argument,
        stdin=PIPE,
        stdout=log if stdout is None else stdout,
        stderr=log,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )


class Member:
    """One consumer: started, watched, started again.

    Attributes:
        settings: of the next start.
        ends: how its processes ended, as people read it.
        wrong_ends: the ends that nothing explains.
        resident_peak: the most memory one of its processes held, in bytes.
    """

    def __init__(self, number: int, settings: member.Settings, folder: Path) -> None:
        self.number = number
        self.settings = settings
        self.log = folder / f"consumer-{number}.log"
        self.ends: Counter[str] = Counter()
        self.wrong_ends: list[str] = []
        self.resident_peak = 0
        self._process: Process | None = None
        self._sent: Counter[int] = Counter()
        self._staying_down = False
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process that runs now; None between two."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if running and self._process else None

    def begin(self) -> None:
        """Start the consumer, and keep it started."""
        self._task = asyncio.create_task(self._keep())

    def send(self, number: signal.Signals) -> bool:
        """Send a signal to the process that runs now; False if there is none."""
        if self.pid is None or self._process is None:
            return False
        self._sent[number] += 1
        self._process.send_signal(number)
        return True

    def order(self, **order: float) -> bool:
        """Have the process suffer something from inside; see `tests.chaos.member`."""
        if self.pid is None or self._process is None or self._process.stdin is None:
            return False
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        return True

    def use(self, instance_id: str | None) -> None:
        """Change the group instance id, which takes a restart."""
        self.settings = replace(self.settings, instance_id=instance_id)
        self.send(signal.SIGTERM)

    def look(self) -> None:
        """Note how much memory the process holds, where the system tells."""
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{self.pid}/status").read_text()
            for kilobytes in re.findall(r"^VmHWM:\s*(\d+) kB", status, re.MULTILINE):  # a zombie has none
                self.resident_peak = max(self.resident_peak, int(kilobytes) * 1024)

    async def stop(self) -> None:
        """Stop in good order and stay down; one that takes too long is killed, which is noted as a wrong end."""
        self._staying_down = True
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        if self._task is not None:
            done, _ = await asyncio.wait({self._task}, timeout=STOP_SECONDS)
            if not done and self._process is not None:
                self.wrong_ends.append(f"consumer {self.number} did not stop within {STOP_SECONDS} s")
                self._process.kill()
                await self._task

    async def kill(self) -> None:
        """End at once, for whoever has to tidy up."""
        self._staying_down = True
        if self.pid is not None and self._process is not None:
            self._process.kill()
            await self._process.wait()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _keep(self) -> None:
        with self.log.open("ab") as log:
            while not self._staying_down:
                self._sent.clear()
                self._process = await start(member.__name__, self.settings.to_json(), log)
                self._note(await self._process.wait())
                await asyncio.sleep(RESTART_SECONDS)

    def _note(self, code: int) -> None:
        explained = (
            code in BY_ITSELF
            or (code == 0 and self._sent[signal.SIGTERM])
            or (code == -signal.SIGTERM and self._sent[signal.SIGTERM])  # it had not got so far as to listen
            or (code == -signal.SIGKILL and self._sent[signal.SIGKILL])
            or (code == SECOND_SIGTERM and self._sent[signal.SIGTERM] > 1)
        )
        name = signal.Signals(-code).name if code < 0 else str(code)
        self.ends[name] += 1
        if not explained:
            self.wrong_ends.append(f"consumer {self.number} ended with {name}")


class Producers:
    """The process of `tests.chaos.workload`, and what it last told.

    Attributes:
        ends: by partition, how far the acknowledged log reaches at least.
        counts: what was sent, by kind.
    """

    def __init__(self) -> None:
        self.ends: dict[int, int] = {}
        self.counts: dict[str, int] = {}
        self._process: Process | None = None
        self._listening: asyncio.Task[None] | None = None
        self._log: IO[bytes] | None = None
        self._stopping = False

    async def begin(self, folder: Path, **settings: Any) -> None:
        """Start to produce."""
        self._log = (folder / "producers.log").open("ab")
        self._process = await start(workload.__name__, json.dumps(settings), self._log, stdout=PIPE)
        self._listening = asyncio.create_task(self._listen(self._process))

    def order(self, **order: float) -> None:
        """Change the rate, or stop."""
        assert self._process is not None, "ordered after it began"
        assert self._process.stdin is not None, "it was asked for"
        if self._process.returncode is None:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
        else:
            assert self._stopping, f"the producers ended with {self._process.returncode}"

    async def stop(self, seconds: float) -> None:
        """Stop, and wait until everything that was sent is acknowledged."""
        self.order(stop=True)
        self._stopping = True
        assert self._process is not None, "stopped after it began"
        code = await asyncio.wait_for(self._process.wait(), seconds)
        assert code == 0, f"the producers ended with {code}"
        assert self._listening is not None, "it began with the process"
        await self._listening

    async def kill(self) -> None:
        """End at once."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        if self._listening is not None:
            self._listening.cancel()
        if self._log is not None:
            self._log.close()

    async def _listen(self, process: Process) -> None:
        assert process.stdout is not None, "it was asked for"
        while line := await process.stdout.readline():
            told = json.loads(line)
            self.ends = {int(partition): end for partition, end in told["ends"].items()}
            self.counts = told["counts"]
