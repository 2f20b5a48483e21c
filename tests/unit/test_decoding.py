"""Decoding in processes beside: the same result, and no process outlives the one that it works for."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from uuid import UUID

import pytest

from consumer.chunk import Chunk, Span
from consumer.record import Record
from consumer.replay.decoding import Decoders, Window, prepare_whole
from events.position import TopicPartition
from tests.hostile.cases import CASES
from tests.replay.load import records

ROOT = Path(__file__).parents[2]
PARTITION = TopicPartition("t", 0)
CHILDREN = """
import asyncio, sys
from consumer.replay.decoding import Decoders
from tests.unit.test_decoding import chunk

async def main():
    decoders = Decoders(2)
    await asyncio.gather(*(decoders.prepare(chunk(20)) for _ in range(4)))
    print(*decoders._pool._processes, flush=True)
    await asyncio.sleep(60)

if __name__ == "__main__":
    asyncio.run(main())
"""


def chunk(executions: int, values: tuple[bytes, ...] = ()) -> Chunk:
    """A chunk of lives, and other values behind them."""
    found = [
        Record(offset, 1_700_000_000_000, b"k", value) for offset, value in enumerate([*records(executions), *values])
    ]
    return Chunk(0, {PARTITION: tuple(found)}, {PARTITION: Span(0, len(found))})


async def test_other_processes_give_the_same() -> None:
    """Whatever a chunk holds, hostile values too, another process prepares it as this one does."""
    sent = [each.value for case in CASES for each in case.sent]
    hostile = tuple(value for value in sent if value is not None and len(value) < 100_000)
    whole = chunk(50, hostile)
    decoders = Decoders(2)
    try:
        assert await decoders.prepare(whole) == prepare_whole(whole, None) == await Decoders().prepare(whole)
    finally:
        decoders.close()


async def test_a_window_leaves_executions_out_and_the_catalogue_whole() -> None:
    """Executions outside of the window are not folded; workflows and users are collected all the same."""
    everything = prepare_whole(chunk(40), None)
    first, last = sorted(state.run.id for state in everything.states)[10:12]
    part = prepare_whole(chunk(40), Window(first, last))
    assert {state.run.id for state in part.states} == {first, last}
    assert (part.catalogue, part.outcomes) == (everything.catalogue, everything.outcomes)
    assert not Window(first, first)(UUID(int=first.int + 1))


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
    program.write_text(CHILDREN)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    parent = await asyncio.create_subprocess_exec(sys.executable, str(program), stdout=PIPE, env=environment, cwd=ROOT)
    assert parent.stdout is not None
    children = [int(pid) for pid in (await asyncio.wait_for(parent.stdout.readline(), 60)).split()]
    assert len(children) == 2
    assert all(map(alive, children))
    parent.send_signal(signal.SIGKILL)
    await parent.wait()
    for _ in range(500):
        if not any(map(alive, children)):
            return
        await asyncio.sleep(0.02)
    pytest.fail("processes are left behind")
