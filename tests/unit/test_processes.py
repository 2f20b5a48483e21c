"""Work in processes beside: results and errors come back, and no process outlives the one that it works for."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE
from multiprocessing import active_children
from pathlib import Path

import pytest

from consumer.errors import ExitCode, WexError
from consumer.replay.processes import ProcessDiedError, in_processes

ROOT = Path(__file__).parents[2]
PARENT = """
import asyncio
from consumer.replay.processes import in_processes
from tests.unit.test_processes import announced

if __name__ == "__main__":
    asyncio.run(in_processes(announced, [0, 0]))
"""


async def doubled(number: int) -> int:
    """Work that gives something."""
    return 2 * number


async def refused(number: int) -> int:
    """Work that ends at once for zero, and never for others."""
    if number == 0:
        raise WexError("zero", "Take another.", ExitCode.REFUSED)
    await asyncio.sleep(3600)
    return number


async def killed(number: int) -> int:
    """Work whose process is killed in the midst of it."""
    os.kill(os.getpid(), signal.SIGKILL)
    return number


async def announced(number: int) -> int:
    """Work that says which process does it, and goes on for an hour."""
    sys.stdout.write(f"{os.getpid()}\n")
    sys.stdout.flush()
    await asyncio.sleep(3600)
    return number


async def test_results_come_back_in_the_order_of_the_parts() -> None:
    """Each part is done by a process of its own, and none is left afterwards."""
    assert await in_processes(doubled, [3, 1, 2]) == [6, 2, 4]
    assert active_children() == []


async def test_an_error_ends_the_others_and_keeps_what_it_says() -> None:
    """What one part raises is raised here with everything that it carries; the others do not go on."""
    with pytest.raises(WexError, match="zero") as raised:
        await in_processes(refused, [1, 0])
    assert (raised.value.remedy, raised.value.exit_code) == ("Take another.", ExitCode.REFUSED)
    assert active_children() == []


async def test_a_killed_process_is_an_error() -> None:
    """A process that is killed, by hand or for want of memory, is not waited for."""
    with pytest.raises(ProcessDiedError, match="ended with -9"):
        await in_processes(killed, [1])


async def test_processes_end_with_a_cancelled_caller() -> None:
    """Ctrl-C leaves no process behind."""
    working = asyncio.create_task(in_processes(refused, [1, 2]))
    await asyncio.sleep(0)  # they are started at the first turn
    assert len(active_children()) == 2
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert active_children() == []


def alive(pid: int) -> bool:
    """Whether a process is there, and not only its remains."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_processes_end_with_the_one_they_work_for(tmp_path: Path) -> None:
    """A kill -9 leaves no process behind."""
    program = tmp_path / "parent.py"
    program.write_text(PARENT)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    parent = await asyncio.create_subprocess_exec(sys.executable, str(program), stdout=PIPE, env=environment, cwd=ROOT)
    assert parent.stdout is not None
    children = [int(await asyncio.wait_for(parent.stdout.readline(), 60)) for _ in range(2)]
    assert all(map(alive, children))
    parent.send_signal(signal.SIGKILL)
    await parent.wait()
    for _ in range(500):
        if not any(map(alive, children)):
            return
        await asyncio.sleep(0.02)
    pytest.fail("processes are left behind")


class UnportableError(Exception):
    """An error that cannot be made again from its message."""

    def __init__(self, one: int, other: int) -> None:
        super().__init__(f"{one} and {other}")


async def failed(number: int) -> int:
    """Work that fails in a way that cannot be handed over."""
    raise UnportableError(number, number)


async def test_an_error_that_cannot_be_handed_over_is_told_in_its_words() -> None:
    """Whatever a part raises is an error here, too, and says where it arose."""
    with pytest.raises(RuntimeError, match="UnportableError: 7 and 7"):
        await in_processes(failed, [7])


async def test_a_failure_is_seen_however_many_others_work() -> None:
    """No part waits for another to be watched."""
    with pytest.raises(WexError, match="zero"):
        await asyncio.wait_for(in_processes(refused, [1, 1, 1, 1, 1, 1, 1, 0]), 60)
