"""Watching the table: one look after the other, each of one moment, through outages of the database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from events.vocabulary import Status
from store.counting import Count
from store.errors import StoreError, UnavailableError
from store.filters import Filter
from store.page import Page
from store.reader import ExecutionReader

FAILED = frozenset({Status.FAILED, Status.TIMED_OUT})
LOOK_SECONDS_MAX = 20.0  # longer than all that a server may take; beyond it nobody is there who would say so


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is looked at.

    Attributes:
        filter: the executions that are meant at all.
        window: how far back counts go by the start, and failures by the end, where the filter does not say.
        limit: how many executions are listed at most, of each kind.
    """

    filter: Filter
    window: timedelta
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What there was at a moment.

    Attributes:
        by_status: how many began in the window.
        open: how many have not ended, whenever they began.
        running: the latest of those.
        failed: the latest failures of the window.
    """

    at: datetime
    by_status: Count
    open: Count
    running: Page
    failed: Page


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """That there was no answer.

    Attributes:
        since: when there was none for the first time since the last sight.
    """

    at: datetime
    since: datetime
    reason: str


async def look(reader: ExecutionReader, asked: Asked) -> Sight:
    """Return what there is."""
    open_ones, failed_ones = _open(asked.filter), _failed(asked)
    began = replace(asked.filter, started_since=asked.filter.started_since or asked.window)
    async with asyncio.timeout(LOOK_SECONDS_MAX), reader.snapshot() as moment:
        by_status = await moment.count(began, by=("status",))
        nothing = replace(by_status, total=0, newest=None, groups=())
        return Sight(
            at=datetime.now(UTC),
            by_status=by_status,
            open=await moment.count(open_ones) if open_ones else nothing,
            running=await moment.find(open_ones, asked.limit) if open_ones else Page(),
            failed=await moment.find(failed_ones, asked.limit, order_by="completed_at") if failed_ones else Page(),
        )


async def watch(url: str, asked: Asked, show: Callable[[Sight | Outage], None], interval_seconds: float) -> None:
    """Look again and again until cancelled; an outage is shown, and waited for.

    Raises:
        StoreError: what trying again does not help against.
    """
    since: datetime | None = None
    while True:
        try:
            async with ExecutionReader.connect(url) as reader:
                while True:
                    show(await look(reader, asked))
                    since = None
                    await asyncio.sleep(interval_seconds)
        except (StoreError, TimeoutError) as error:
            if not _passes(error):
                raise
            now = datetime.now(UTC)
            since = since or now
            show(Outage(at=now, since=since, reason=str(error) or "no answer"))
        await asyncio.sleep(interval_seconds)


def _passes(error: Exception) -> bool:
    return any(isinstance(each, UnavailableError | TimeoutError) for each in (error, error.__cause__))


def _open(wanted: Filter) -> Filter | None:
    return None if wanted.open is False else replace(wanted, open=True)


def _failed(asked: Asked) -> Filter | None:
    wanted = asked.filter
    statuses = sorted(FAILED.intersection(wanted.statuses or FAILED))
    if wanted.open or not statuses:
        return None
    return replace(wanted, status=statuses, completed_since=wanted.completed_since or asked.window)
