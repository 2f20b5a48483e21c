"""`wex consume` where a container platform puts it: first process, unknown user, disk that nobody may write to."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT
from tests.consuming import applied, encoded, produce, rows, until
from tests.ending.consume_process import SOON_SECONDS, Consuming, consuming
from tests.lives import event
from tests.stack import Servers

EVENTS = encoded([event("started", n, run=f"r{n}") for n in range(30)])
# A user without an entry anywhere, who may read and search everything: the tests' interpreter may be in root's home.
READ = "-all,+dac_read_search"
SOMEBODY = ("setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", "--no-new-privs")
NOBODY = (*SOMEBODY, f"--inh-caps={READ}", f"--ambient-caps={READ}", f"--bounding-set={READ}")
READ_ONLY = ("unshare", "--mount", "sh", "-c", 'mount --rbind --options ro / /mnt && exec chroot /mnt "$@"', "sh")
FIRST = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")

Settings = dict[str, str]


@cache
def can(*command: str) -> bool:
    """Whether a command, which needs rights that not every machine gives, works here."""
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0


async def applies_and_ends(running: Consuming, servers: Servers, database_url: str, topic: str) -> None:
    """A consumer does its work, and ends when it is asked."""
    await produce(servers.kafka_bootstrap_servers, topic, EVENTS)
    await running.says("claimed")
    await until(lambda: applied(database_url, topic, len(EVENTS)), f"all is applied: {running.said}")
    assert await running.ended_by(signal.SIGTERM) == 0
    assert len(await rows(database_url)) == len(EVENTS)


@pytest.mark.skipif(not can(*NOBODY), reason="nobody can become somebody else here")
async def test_any_user_will_do_without_a_home_or_a_name(
    servers: Servers, database_url: str, topic: str, settings: Settings
) -> None:
    """A user id that no file names, without HOME, in a folder that it cannot write to, with nothing but settings."""
    bare = settings | {"WEX_DATA_DIR": "/nonexistent", "PATH": "/usr/bin:/bin"}
    async with consuming({}, wrapped_in=NOBODY, env=bare, cwd="/") as running:
        await applies_and_ends(running, servers, database_url, topic)


@pytest.mark.skipif(not can(*READ_ONLY), reason="no file system can be mounted here")
async def test_no_file_has_to_be_written(servers: Servers, database_url: str, topic: str, settings: Settings) -> None:
    """Everything that is mounted is read-only, /tmp too."""
    touching = [*READ_ONLY, "touch", str(ROOT / "x"), "/tmp/x"]
    refused = await asyncio.to_thread(subprocess.run, touching, capture_output=True, check=False)
    assert refused.stderr.count(b"Read-only file system") == 2
    async with consuming(settings, wrapped_in=READ_ONLY) as running:
        await applies_and_ends(running, servers, database_url, topic)


@pytest.mark.skipif(not can(*FIRST), reason="no process can be the first of its own here")
async def test_the_first_process_of_a_container_hears_signals_and_buries_orphans(
    servers: Servers, topic: str, settings: Settings
) -> None:
    """As process 1, which no signal ends by default, it drains and ends; what others left behind is no zombie."""
    async with consuming(settings, wrapped_in=FIRST) as wrapper:
        await produce(servers.kafka_bootstrap_servers, topic, EVENTS)
        await wrapper.says("claimed")
        [first] = children(wrapper.process.pid)
        orphan = ("nsenter", "-t", str(first), "--pid", "sh", "-c", "sleep 0.2 & sleep 0.2 & exit 0")
        await (await asyncio.create_subprocess_exec(*orphan)).wait()
        await until(lambda: _adopted(first), "it has adopted the orphans")
        await until(lambda: _childless(first), "they are buried when they have ended")
        os.kill(first, signal.SIGTERM)
        assert await wrapper.ended_by(None) == 0
        assert wrapper.has_said("stopping")


def children(pid: int) -> list[int]:
    """The children of a process, zombies too."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def _adopted(pid: int) -> bool:
    return bool(children(pid))


async def _childless(pid: int) -> bool:
    return not children(pid)


async def test_a_consumer_whose_log_nobody_reads_goes_on(
    servers: Servers, database_url: str, topic: str, settings: Settings
) -> None:
    """When the other end of its standard error is gone, what it cannot say changes neither its work nor its code."""
    reading, writing = os.pipe()
    async with consuming(settings, stderr=writing) as running:
        os.close(writing)
        os.close(reading)
        await produce(servers.kafka_bootstrap_servers, topic, [*EVENTS, b"no event"])
        await until(lambda: applied(database_url, topic, len(EVENTS) + 1), "all is applied")
        assert await running.ended_by(signal.SIGTERM) == 0


@pytest.mark.parametrize("stuck", [False, True], ids=["gone", "stuck"])
def test_the_watchdog_needs_nobody_to_listen(stuck: bool) -> None:
    """It ends the process when standard error is closed, and also when its reader takes nothing any more."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    if stuck:
        fill(writing)
    else:
        os.close(reading)
    os.set_blocking(writing, True)
    code = "import time; from consumer.watchdog import Watchdog\nwith Watchdog(0.1): time.sleep(60)"
    ended = subprocess.run([sys.executable, "-c", code], stderr=writing, timeout=SOON_SECONDS, cwd=ROOT, check=False)
    assert ended.returncode == 7


def fill(writing: int) -> None:
    """Write into a pipe until it takes nothing more."""
    try:
        while True:
            os.write(writing, bytes(4096))
    except BlockingIOError:
        return
