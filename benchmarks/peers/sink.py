"""What is compared: programs that write a log into `workflow_executions`, and how one of them is run.

A sink is started over topics that exist, says nothing, and is watched through its table alone: what it has applied is
what can be read there. `Running` is all that a benchmark needs of it: start, wait, cost, stop.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self
from uuid import UUID

import asyncpg

from benchmarks.metering import Window

ROOT = Path(__file__).parents[2]
LOOK_SECONDS = 0.02  # between two looks for a row: less than a thousandth of any drain
STOP_SECONDS = 30  # beyond the time that a consumer has to drain
PLACE = "BENCHMARK_PLACE"  # the variable that hands a program its place


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sink works.

    Attributes:
        servers: host:port of Kafka.
        database_url: of a database in which the sink's table is.
        topics: what it reads, from their beginning, committed records only.
        group: its consumer group.
        folder: for its log and what else it writes.
    """

    servers: str
    database_url: str
    topics: tuple[str, ...]
    group: str
    folder: str

    @classmethod
    def given(cls) -> Self:
        """Return the place that this program was started for."""
        told = json.loads(os.environ[PLACE])
        return cls(**told | {"topics": tuple(told["topics"])})


class Sink(Protocol):
    """A way to write a log into a table."""

    @property
    def name(self) -> str:
        """As the table of results has it."""
        ...

    @property
    def flat(self) -> bool:
        """Whether it reads records that are rows already (`benchmarks.peers.flat`), not events."""
        ...

    @property
    def plain_table(self) -> bool:
        """Whether it writes the plain table (`table.sql`), not that of the migrations."""
        ...

    @property
    def most_events(self) -> int:
        """How many events it can be given in a reasonable time."""
        ...

    @property
    def warm_share(self) -> float:
        """How many it is given first, of those that are timed; a Java needs many."""
        ...

    def missing(self) -> str:
        """Say why it cannot run here; nothing if it can."""
        ...

    def command(self, place: Place) -> Sequence[str | Path]:
        """Return what runs it in the foreground, having written what that reads."""
        ...

    def settings(self, place: Place) -> Mapping[str, str]:
        """Return the environment variables that it reads, beside `PLACE`."""
        ...


class Running(AbstractAsyncContextManager["Running"]):
    """A sink that has been started, and is stopped at the end."""

    def __init__(self, sink: Sink, place: Place) -> None:
        self.sink, self.place = sink, place
        self._log = Path(place.folder) / f"{place.group}.log"
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WEX_")}
        told = {PLACE: json.dumps(asdict(self.place))}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220, S603 - returns at once; a command of this package
                [str(part) for part in self.sink.command(self.place)],
                env={**kept, **told, **self.sink.settings(self.place)},
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process, self._process = self._process, None
        assert process is not None, "a sink is stopped once"
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def meter(self, postgres_pid: int) -> Window:
        """Return a window that measures from now on what the sink and PostgreSQL take."""
        assert self._process is not None, "only what runs can be measured"
        return Window(self._process.pid, postgres_pid)

    async def wait_for(self, rows: Sequence[UUID], seconds: float) -> None:
        """Return as soon as all these rows are in the table.

        Raises:
            RuntimeError: the sink ended, or they were not there in time; with the end of its log.
        """
        deadline = time.monotonic() + seconds
        connection = await asyncpg.connect(self.place.database_url)
        try:
            look = await connection.prepare("SELECT count(*) FROM workflow_executions WHERE id = ANY($1)")
            while await look.fetchval(rows) < len(rows):
                self._check(time.monotonic() < deadline, f"has not applied everything after {seconds:.0f} s")
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            await connection.close()

    def _check(self, in_time: bool, otherwise: str) -> None:
        assert self._process is not None, "only what runs can be waited for"
        code = self._process.poll()
        if in_time and code is None:
            return
        problem = otherwise if code is None else f"ended with {code}"
        msg = f"{self.sink.name} {problem}; the end of its log:\n{self._log.read_text(errors='replace')[-3000:]}"
        raise RuntimeError(msg)
