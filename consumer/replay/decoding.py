"""Decoding and folding chunks in memory, which is what takes the time: here, or in processes beside this one.

The processes know nothing but chunks: they read, write and decide nothing, and end with the process that they work for,
however it ends.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from uuid import UUID

from consumer.batch import prepare
from consumer.chunk import Chunk, Prepared


@dataclass(frozen=True, slots=True)
class Window:
    """A part of all ids, both ends included."""

    first: UUID
    last: UUID

    def __call__(self, id_: UUID) -> bool:
        """Whether an id lies within."""
        return self.first <= id_ <= self.last


class Decoders:
    """Prepares chunks, so many at a time.

    Args:
        jobs: with 1 chunks are prepared in this process, whose loop gets its turns; with more, each in one of as many.
        wanted: which executions are folded; None folds all.
    """

    def __init__(self, jobs: int = 1, wanted: Window | None = None) -> None:
        self.jobs = jobs
        self._wanted = wanted
        self._pool: ProcessPoolExecutor | None = None

    async def prepare(self, chunk: Chunk) -> Prepared:
        """Decode and fold a chunk."""
        if self.jobs == 1:
            return await self.prepare_here(chunk)
        if self._pool is None:
            context = multiprocessing.get_context("spawn")  # a copy of this process would hold its connections
            self._pool = ProcessPoolExecutor(self.jobs, context, _live_and_die_with_parent)
        return await asyncio.get_running_loop().run_in_executor(self._pool, prepare_whole, chunk, self._wanted)

    async def prepare_here(self, chunk: Chunk) -> Prepared:
        """Decode and fold a chunk in slices, so that a statement under way is sent and answered meanwhile."""
        slices = prepare(chunk, self._wanted)
        while True:
            try:
                next(slices)
            except StopIteration as end:
                prepared: Prepared = end.value
                return prepared
            await asyncio.sleep(0)

    def close(self) -> None:
        """End the processes; what they work on is given up."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None


def prepare_whole(chunk: Chunk, wanted: Window | None) -> Prepared:
    """Decode and fold a chunk without a pause."""
    slices = prepare(chunk, wanted)
    while True:
        try:
            next(slices)
        except StopIteration as end:
            prepared: Prepared = end.value
            return prepared


def _live_and_die_with_parent() -> None:
    """Leave Ctrl-C to the parent, and end when it has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None, "this runs in a child"

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
