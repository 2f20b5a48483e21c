"""Statistics counted once more, execution by execution, against which those that are kept are held."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from store import ExecutionReader, ExecutionStats, Timing
from store.execution_stats import RATED_STATUSES
from store.windows import DAY, FINEST, HOUR, Window
from tests.lives import at

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

Rows = list[asyncpg.Record]


async def rows_of(connection: Connection) -> Rows:
    """The rows that readers see."""
    return await connection.fetch(
        "SELECT *, register_started_at AS begun FROM workflow_executions WHERE deleted_at IS NULL"
    )


def recomputed(rows: Iterable[asyncpg.Record], window: Window = Window()) -> dict[str, Any]:  # noqa: B008 - a value
    """What rows say, counted one by one."""
    since, until = window.bounds
    started = [r for r in rows if since <= r["started_at"] < until]
    ended = [r for r in rows if r["completed_at"] is not None and since <= r["completed_at"] < until]
    last = [
        r
        for r in ended
        if r["status"] != "continued_as_new" and not (r["next_run_id"] and r["status"] in ("failed", "timed_out"))
    ]
    delays = [
        max(0, (r["begun"] - r["scheduled_for"]) // timedelta(milliseconds=1))
        for r in started
        if r["begun"] is not None and r["scheduled_for"] is not None
    ]
    return {
        "by_status": Counter(r["status"] for r in started),
        "ended": Counter(r["status"] for r in ended),
        "rated": sum(r["status"] in RATED_STATUSES for r in ended),
        "chains": sum(r["status"] in RATED_STATUSES for r in last),
        "good_chains": sum(r["status"] == "completed" for r in last),
        "durations": sorted(r["duration_ms"] for r in ended if r["duration_ms"] is not None),
        "delays": sorted(delays),
    }


def assert_timed(told: Timing, values: Sequence[int], percentiles: bool = True) -> None:
    """A timing is that of sorted values, its percentiles within 1 %."""
    assert told.count == len(values)
    if not values:
        assert told == Timing(count=0)
        return
    assert told.avg_ms == pytest.approx(sum(values) / len(values))
    if not percentiles:
        return
    for percent, value in ((50, told.p50_ms), (90, told.p90_ms), (95, told.p95_ms), (99, told.p99_ms)):
        assert value == pytest.approx(values[math.ceil(len(values) * percent / 100) - 1], rel=0.01)
    assert told.min_ms == pytest.approx(values[0], rel=0.01)
    assert told.max_ms == pytest.approx(values[-1], rel=0.01)


def assert_equal(told: ExecutionStats, expected: dict[str, Any], *, percentiles: bool = True) -> None:
    """Statistics are what was recomputed."""
    assert (told.by_status, told.total) == (expected["by_status"], expected["by_status"].total())
    assert (told.ended, told.rated, told.chains) == (expected["ended"], expected["rated"], expected["chains"])
    rates = told.success_rate, told.chain_success_rate
    good = told.ended["completed"], expected["good_chains"]
    for rate, succeeded, of in zip(rates, good, (told.rated, told.chains), strict=True):
        assert rate == (100 * succeeded / of if of else None)
    assert_timed(told.duration, expected["durations"], percentiles)
    assert_timed(told.queue_delay, expected["delays"], percentiles)


async def assert_all_equal(reader: ExecutionReader, rows: Rows) -> None:
    """Every way to ask for statistics says what the rows say."""
    whole = await reader.stats()
    assert_equal(whole, recomputed(rows))
    by_workflow = await reader.stats_by_workflow(percentiles=True)
    assert by_workflow.keys() == {r["workflow_id"] for r in rows}
    for workflow, told in by_workflow.items():
        of_it = [r for r in rows if r["workflow_id"] == workflow]
        assert_equal(told, recomputed(of_it))
        alone = await reader.stats(workflow)
        assert_equal(alone, recomputed(of_it))
        if durations := recomputed(of_it)["durations"]:
            assert (alone.min_duration_ms, alone.max_duration_ms) == (durations[0], durations[-1])
    for step in (FINEST, HOUR, DAY):
        since, until = (at(-400), at(7_000)) if step == FINEST else (at(-90_000), at(400_000))
        for told in await reader.series(step=step, since=since, until=until, percentiles=step == HOUR):
            assert told.until is not None
            assert told.since is not None
            assert told.until - told.since == step
            assert_equal(told, recomputed(rows, Window(told.since, told.until)), percentiles=step == HOUR)
    for begin, end in ((at(1), None), (None, at(86_400)), (at(300), at(86_400 * 3))):
        told = await reader.stats(since=begin, until=end)
        assert_equal(told, recomputed(rows, Window(told.since, told.until)))


async def assert_right(url: str) -> None:
    """The statistics of a database are those of its executions."""
    connection = await asyncpg.connect(url)
    try:
        async with ExecutionReader.connect(url) as reader:
            await assert_all_equal(reader, await rows_of(connection))
    finally:
        await connection.close()
