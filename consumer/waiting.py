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


async def beating(beat: Callable[[], None], start: Coroutine[None, None, None], given_up: asyncio.Event) -> bool:
    """Wait for a start, which may take longer than a loop may be silent, and beat meanwhile.

    Returns:
        Whether it has started, or else was given up.
    """
    starting = asyncio.create_task(start)
    giving_up = asyncio.create_task(given_up.wait())
    try:
        while not starting.done() and not given_up.is_set():
            beat()
            await asyncio.wait({starting, giving_up}, timeout=BEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            await starting
    finally:
        for task in (starting, giving_up):
            task.cancel()
        await asyncio.wait({starting, giving_up}, timeout=BEAT_SECONDS)
    return not starting.cancelled() and starting.done()


def problem_of(task: asyncio.Task[None]) -> str:
    """Return why a task did not end well, empty if it did; one that has not ended is given up."""
    if not task.done():
        task.cancel()
        return "timed out"
    if task.cancelled():
        return "it cancelled itself"
    error = task.exception()
    return "" if error is None else str(error) or type(error).__name__
