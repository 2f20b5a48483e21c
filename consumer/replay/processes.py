"""Work in processes beside this one: each does a part, and ends with the process that it works for, however it ends."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar

import uvloop

from consumer import garbage

PartT = TypeVar("PartT")
ResultT = TypeVar("ResultT")


class ProcessDiedError(Exception):
    """A process ended without an answer: somebody killed it, or its memory ran out."""


async def in_processes(work: Callable[[PartT], Coroutine[Any, Any, ResultT]], parts: Sequence[PartT]) -> list[ResultT]:
    """Do each part in a process of its own and return what they give, in the order of the parts.

    Work, parts and results must be picklable. If one fails, or the caller is cancelled, all are ended at once.

    Raises:
        Exception: what a part has raised.
        ProcessDiedError: a process ended without an answer.
    """
    workers: list[_Worker[PartT, ResultT]] = []
    waiting = ThreadPoolExecutor(max(1, len(parts)))  # each waits for one, however many there are
    try:
        workers.extend(_Worker(work, part) for part in parts)  # those that have begun end, too, if one cannot
        return await asyncio.gather(*(worker.result(waiting) for worker in workers))
    finally:
        for worker in workers:
            worker.end()
        waiting.shutdown(wait=False)


class _Worker(Generic[PartT, ResultT]):
    def __init__(self, work: Callable[[PartT], Coroutine[Any, Any, ResultT]], part: PartT) -> None:
        context = multiprocessing.get_context("spawn")  # a copy of this process would hold its connections
        self._answer, theirs = context.Pipe(duplex=False)
        self._process = context.Process(target=_run, args=(work, part, theirs), daemon=True)
        self._process.start()
        theirs.close()  # or its end would not be seen

    async def result(self, waiting: Executor) -> ResultT:
        try:
            answer = await asyncio.get_running_loop().run_in_executor(waiting, self._answer.recv)
        except EOFError:
            self._process.join()
            msg = f"process {self._process.pid} ended with {self._process.exitcode} in the midst of its work"
            raise ProcessDiedError(msg) from None
        if isinstance(answer, Exception):
            raise answer
        result: ResultT = answer
        return result

    def end(self) -> None:
        self._process.kill()  # what it has committed stays, and nothing else was to be kept
        self._process.join()


def _run(work: Callable[[PartT], Coroutine[Any, Any, ResultT]], part: PartT, answer: Connection) -> None:
    _live_and_die_with_parent()
    garbage.search_seldom()
    found: ResultT | Exception
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            found = runner.run(work(part))
    except Exception as error:  # noqa: BLE001 - it is raised where the result is awaited
        found = _portable(error)
    answer.send(found)


def _portable(error: Exception) -> Exception:
    """Return an error that arrives as it is, or else one that says the same; where it arose goes with it."""
    error.add_note("".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - what we have just written
    except Exception:  # noqa: BLE001 - whatever keeps it from being handed over
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _live_and_die_with_parent() -> None:
    """Leave Ctrl-C to the parent, and end when it has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None, "this runs in a child"

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
