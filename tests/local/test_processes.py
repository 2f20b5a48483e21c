"""Processes are known by pid and start time, end with their supervisor, and are never confused."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumer.local import ports, stack_file
from consumer.local.processes import Child, Identity
from consumer.local.shutdown import end_stack
from consumer.local.stack_file import RunningServer, StackFile
from consumer.settings import STACK_FILE

SLEEP = [sys.executable, "-c", "print('asleep', flush=True); import time; time.sleep(60)"]


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Child]:
    started = Child("sleeper", SLEEP, log=tmp_path / "log", stop_signal=signal.SIGTERM)
    yield started
    started.kill()


def test_a_later_process_of_the_same_number_is_not_taken_for_the_first(child: Child) -> None:
    """A recorded pid that now belongs to another process counts as ended and gets no signal."""
    earlier = dataclasses.replace(child.identity, started="another boot:1")
    assert child.identity.alive()
    assert not earlier.alive()
    earlier.send(signal.SIGKILL)
    assert child.exit_code is None


def test_down_ends_only_the_processes_it_recorded(child: Child, tmp_path: Path) -> None:
    """Ending a stack spares a process that merely has a recorded number."""
    recorded = dataclasses.replace(child.identity, started="another boot:1")
    StackFile(processes=(RunningServer(recorded, signal.SIGTERM),)).write(tmp_path)
    assert not end_stack(tmp_path, print)
    assert child.exit_code is None
    assert not (tmp_path / STACK_FILE).exists()


def test_an_ended_child_is_gone_before_it_is_reaped(child: Child) -> None:
    """A zombie counts as ended."""
    os.kill(child.identity.pid, signal.SIGKILL)
    assert child.identity.wait(5)


def test_a_child_that_ignores_its_signal_is_killed(tmp_path: Path) -> None:
    """Ending takes no longer than it may."""
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    child = Child("deaf", [sys.executable, "-c", deaf], log=tmp_path / "log", stop_signal=signal.SIGTERM)
    while child.last_lines() != "deaf":
        assert child.exit_code is None
    child.end(signal.SIGTERM, 0.2)
    assert child.exit_code == -signal.SIGKILL


def test_a_program_that_is_not_there_leaves_its_reason_in_the_log(tmp_path: Path) -> None:
    """A command that cannot be run ends with a code and a line, not with a hanging start."""
    child = Child("nothing", [tmp_path / "absent"], log=tmp_path / "log", stop_signal=signal.SIGTERM)
    child.identity.wait(5)
    assert child.exit_code == 1
    assert "No such file" in child.last_lines()
    child.kill()


def test_the_last_lines_are_of_this_start_only(tmp_path: Path) -> None:
    """Lines of an earlier start never stand in the error of this one."""
    log = tmp_path / "log"
    log.write_text("from before\n")
    child = Child("speaker", [sys.executable, "-c", "print('now')"], log=log, stop_signal=signal.SIGTERM)
    child.identity.wait(5)
    child.kill()
    assert child.last_lines() == "now"


@pytest.mark.parametrize("ending", ["os.kill(os.getpid(), 9)", "os._exit(0)", "sys.exit()"])
def test_children_end_with_their_supervisor(tmp_path: Path, ending: str) -> None:
    """Whichever way the supervisor ends, its child ends too, even when the thread that started it ended before."""
    script = (
        "import os, sys, signal, threading, pathlib\n"
        "from consumer.local.processes import Child\n"
        "def start():\n"
        f"    log = pathlib.Path({str(tmp_path / 'log')!r})\n"
        f"    child = Child('sleeper', {SLEEP!r}, log=log, stop_signal=signal.SIGTERM)\n"
        "    print(child.identity.pid, child.identity.started, flush=True)\n"
        "    sys.stdin.readline()\n"
        "thread = threading.Thread(target=start); thread.start(); thread.join()\n"
        f"{ending}\n"
    )
    supervisor = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert supervisor.stdout is not None
    pid, _, started = supervisor.stdout.readline().strip().partition(" ")
    child = Identity("sleeper", int(pid), started)
    assert child.alive()
    supervisor.communicate("go\n", timeout=10)
    assert child.wait(10)


def test_a_released_child_lives_on(child: Child) -> None:
    """A child that was let go is not ended with the tether."""
    child.release()
    assert child.identity.alive()
    child.end(signal.SIGTERM, 5)
    assert child.exit_code == -signal.SIGTERM


def test_a_broken_stack_file_says_that_nothing_runs(tmp_path: Path) -> None:
    """A file that is not ours is no reason to fail, and nothing in it is signalled."""
    for content in ("", "[]", '{"processes": [{"pid": 1}], "settings": {}, "supervisor": null}'):
        (tmp_path / STACK_FILE).write_text(content)
        assert StackFile.read(tmp_path) == StackFile()


def test_ports_of_last_time_are_taken_again_unless_they_are_taken(tmp_path: Path) -> None:
    """A remembered port is preferred, and given up when somebody else listens there."""
    port = ports.choose("kafka", None)
    stack_file.keep_ports(tmp_path, {"kafka": port})
    remembered = stack_file.last_ports(tmp_path)["kafka"]
    assert ports.choose("kafka", None, last=remembered) == port
    assert ports.choose("kafka", None, last=remembered, besides=[port]) != port
