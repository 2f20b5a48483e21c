"""`wex watch`: what it shows, through an outage and on a terminal."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from consumer.watching import Asked, Outage, Sight, look, watch
from events.position import TopicPartition
from store import ExecutionQueryError, ExecutionReader, Filter, PostgresStore
from tests.cli.conftest import Wex
from tests.conformance.stores import Writer
from tests.consuming import fetch
from tests.lives import BEGIN, event
from tests.stack import Servers

HOUR = timedelta(hours=1)
ASKED = Asked(filter=Filter(), window=HOUR, limit=10)
BACK = b"\x1b[?25h\x1b[?1049l"  # the cursor and the screen as they were before


@pytest.fixture
def written(database_url: str) -> None:
    """What failed and what ended within the hour, what failed long ago, and what runs for longer than that."""

    async def write() -> None:
        store = PostgresStore(database_url)
        writer = Writer(store, "g", TopicPartition("executions", 0))
        await writer.claim()
        minute_ago = (datetime.now(UTC) - timedelta(minutes=1) - BEGIN).total_seconds()
        started_at = BEGIN + timedelta(seconds=minute_ago)
        await writer.write(
            [
                event("failed", 9, run="long ago", error={"message": "old"}),
                event(
                    "failed", minute_ago, run="now", started_at=started_at, error={"message": "[red]no\x1b[2J\u202e"}
                ),
                event("completed", minute_ago, run="fine", started_at=started_at, workflow_id="other"),
                event("started", 30, run="runs", user_id="ann"),
            ]
        )
        await store.close()

    asyncio.run(write())


@pytest.mark.usefixtures("written")
def test_one_look_is_for_people_and_for_programs(wex: Wex) -> None:
    """`--once` prints what runs, what failed in the window and how many of each, with the filters of a list."""
    said = wex("watch", "--once")
    assert said.exit_code == 0, said.stderr
    head, _, started, _, running, _, runs, _, failed, _, now, *_ = said.stdout.splitlines()
    assert head.startswith("all workflows in default  ")
    assert "UTC  last applied " in head
    assert (started, running) == ("started in the last 1h 00m: 1 completed, 1 failed", "not ended: 1")
    assert ("running" in runs, failed, "[red]no\\x1b[2J\\u202e" in now) == (
        True,
        "failed in the last 1h 00m: the latest",
        True,
    )
    told = wex("watch", "--once", "--json").stdout
    assert told.count("\n") == 1
    sight = json.loads(told)
    assert (sight["by_status"], sight["started"], sight["open"]) == ({"completed": 1, "failed": 1}, 2, 1)
    assert (sight["exact"], sight["unreachable_since"]) == (True, None)
    assert [[each["temporal_run_id"] for each in sight[name]] for name in ("running", "failed")] == [["runs"], ["now"]]
    narrow = json.loads(wex("watch", "--once", "--json", "other", "--ended").stdout)
    assert (narrow["by_status"], narrow["open"], narrow["running"], narrow["failed"]) == ({"completed": 1}, 0, [], [])
    assert "failed since 2026-01-01 00:00:00+00:00: " in wex("watch", "--once", "--ended-since", "2026-01-01").stdout
    assert wex("watch", "--interval", "0").exit_code == 2


@pytest.mark.usefixtures("written")
async def test_a_look_keeps_to_the_filter(database_url: str) -> None:
    """What the filter leaves out is neither counted nor listed; what it says of times goes before the window."""
    everything = Filter(started_since=BEGIN, completed_since=BEGIN)
    async with ExecutionReader.connect(database_url) as reader:

        async def seen(**changes: Any) -> tuple[int, int, str, str]:
            sight = await look(reader, replace(ASKED, filter=replace(Filter(), **changes)))
            runs = [" ".join(e.temporal_run_id for e in page) for page in (sight.running, sight.failed)]
            return sight.by_status.total, sight.open.total, runs[0], runs[1]

        assert await seen() == (2, 1, "runs", "now")
        assert await seen(started_since=everything.started_since) == (4, 1, "runs", "now")
        assert await seen(completed_since=BEGIN) == (2, 0, "", "now long ago")
        assert await seen(open=True) == (0, 1, "runs", "")
        assert await seen(open=False) == (2, 0, "", "now")
        assert await seen(status="completed") == (1, 0, "", "")
        assert await seen(status=["failed", "running"]) == (1, 1, "runs", "now")
        assert await seen(user_id="ann") == (0, 1, "runs", "")


async def test_an_outage_is_shown_and_waited_for(servers: Servers, database_url: str) -> None:
    """While the database is away each try says since when; then there are sights again, in the same process."""
    name = database_url.rpartition("/")[2]
    seen: list[Sight | Outage] = []
    changed = asyncio.Event()

    def show(what: Sight | Outage) -> None:
        if not seen or type(seen[-1]) is not type(what):
            changed.set()
        seen.append(what)

    async def change() -> None:
        async with asyncio.timeout(20):
            await changed.wait()
        changed.clear()

    watching = asyncio.create_task(watch(database_url, ASKED, show, 0.02))
    await change()
    await fetch(servers.database_url, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
    gone = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1"
    await fetch(servers.database_url, gone, name)
    await change()
    await fetch(servers.database_url, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
    await change()
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
    outages = [each for each in seen if isinstance(each, Outage)]
    assert {each.since for each in outages} == {outages[0].at}
    assert isinstance(seen[-1], Sight)


async def test_what_does_not_pass_ends_a_watch(empty_database_url: str) -> None:
    """A database without our tables is no outage."""
    with pytest.raises(ExecutionQueryError, match='relation "positions" does not exist'):
        await watch(empty_database_url, ASKED, lambda _: None, 0.02)


class Terminal:
    """`wex watch` in a terminal of its own."""

    def __init__(self, url: str, *arguments: str) -> None:
        ours, theirs = pty.openpty()
        environment = os.environ | {"WEX_DATABASE_URL": url, "TERM": "xterm", "COLUMNS": "160", "LINES": "40"}
        command = [sys.executable, "-m", "consumer", "watch", "--interval", "0.1", *arguments]
        self.process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
        os.close(theirs)
        self._ours, self.said = ours, b""

    def until(self, words: bytes) -> None:
        """Read until something is said."""
        while words not in self.said:
            assert select.select([self._ours], [], [], 30)[0], self.said
            self.said += os.read(self._ours, 65_536)

    def end(self, number: signal.Signals) -> int:
        """Send a signal and return the exit code, with the last words read."""
        self.process.send_signal(number)
        with contextlib.suppress(OSError):  # the terminal ends with its process
            while part := os.read(self._ours, 65_536):
                self.said += part
        return self.process.wait(30)

    def close(self) -> None:
        """Leave nothing."""
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


@pytest.fixture
def terminal(database_url: str) -> Iterator[Terminal]:
    """A watch in a terminal."""
    opened = Terminal(database_url)
    yield opened
    opened.close()


@pytest.mark.usefixtures("written")
def test_a_terminal_is_given_back(terminal: Terminal) -> None:
    """Ctrl-C ends a watch well, and the terminal is as it was before; what rows say moves no cursor."""
    terminal.until(b"in the last 1h 00m: the latest")
    assert b"\x1b[?1049h" in terminal.said
    assert terminal.end(signal.SIGINT) == 0
    assert BACK in terminal.said
    assert "\x1b[2J\u202e".encode() not in terminal.said
    assert b"Traceback" not in terminal.said


def test_a_watch_begins_in_an_outage(database_url: str) -> None:
    """Where there is no server yet, that is what is shown; SIGTERM gives the terminal back as well."""
    nobody = Terminal(re.sub(r":\d+/", ":1/", database_url))
    try:
        nobody.until(b"trying again")
        assert nobody.end(signal.SIGTERM) == 0
        assert BACK in nobody.said
    finally:
        nobody.close()
