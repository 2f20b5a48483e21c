"""Waiting that ends early, and gives the other tasks their turn."""

from __future__ import annotations

import asyncio


async def wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, or for some time; others get their turn even if the event has happened already."""
    await asyncio.sleep(0)
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return
