"""Waiting that ends early, gives the other tasks their turn, and says meanwhile that the loop turns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

BEAT_SECONDS = 1.0


async def wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, or for some time; others get their turn even if the event has happened already."""
    await asyncio.sleep(0)
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return


async def beating(beat: Callable[[], None], start: Coroutine[None, None, None]) -> None:
    """Wait for a start, which may take longer than a loop may be silent, and beat meanwhile."""
    starting = asyncio.create_task(start)
    try:
        while not starting.done():
            beat()
            await asyncio.wait({starting}, timeout=BEAT_SECONDS)
        await starting
    finally:
        starting.cancel()


def problem_of(task: asyncio.Task[None]) -> str:
    """Return why a task did not end well, empty if it did; one that has not ended is given up."""
    if not task.done():
        task.cancel()
        return "timed out"
    if task.cancelled():
        return "it cancelled itself"
    error = task.exception()
    return "" if error is None else str(error) or type(error).__name__
