"""Statistics: executions counted and timed over windows, workflows and steps of time, without looking at each."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import asyncpg

from events.identity import DEFAULT_NAMESPACE
from events.position import Position
from store.asking import WAIT_SECONDS, Asking
from store.execution_stats import ExecutionStats, stats_of, stats_of_counts
from store.filters import When, check_text
from store.freshness import freshness
from store.listing import this_moment
from store.statements import statement
from store.windows import FINEST, Span, Window, every, longest_within, steps

if TYPE_CHECKING:
    Connection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]


class Statistics(Asking):
    """Questions about how many, how well and how long."""

    async def stats(
        self,
        workflow_id: str | None = None,
        *,
        since: When | None = None,
        until: When | None = None,
        namespace: str = DEFAULT_NAMESPACE,
        include_deleted: bool = False,
        at_least: Position | None = None,
        timeout: float = WAIT_SECONDS,
    ) -> ExecutionStats:
        """Return the statistics of a workflow, or of all, over all of time or a window.

        A window is widened to whole five minutes, and the answer says to which. Volumes are counted by the time of the
        start, ends and their rates and durations by that of the end.

        `include_deleted` looks at every execution of one workflow, over all of time.
        """
        async with self._moment("get execution stats", at_least, timeout) as connection:
            _check(namespace, workflow_id)
            window = Window.around(since, until, this_moment())
            applied = freshness(await connection.fetch(statement("read_freshness")))
            if include_deleted:
                if workflow_id is None or window != Window():
                    msg = "deleted executions are counted over all of time, of one workflow"
                    raise ValueError(msg)
                counted = await connection.fetch(statement("count_by_status"), namespace, workflow_id)
                return stats_of_counts(counted, applied)
            asked = _Asked(namespace, workflow_id, window, window.spans(), bins=True)
            found = await _read(connection, asked)
            told = stats_of(found.get((None, None), []), window, applied)
            if workflow_id is None or window != Window():
                return told
            [extremes] = await connection.fetch(statement("read_extremes"), namespace, workflow_id)
        timing = replace(told.duration, min_ms=extremes["shortest_ms"], max_ms=extremes["longest_ms"])
        return replace(told, duration=timing)

    async def stats_by_workflow(
        self,
        workflow_id: str | None = None,
        *,
        since: When | None = None,
        until: When | None = None,
        percentiles: bool = False,
        namespace: str = DEFAULT_NAMESPACE,
        at_least: Position | None = None,
        timeout: float = WAIT_SECONDS,
    ) -> dict[str, ExecutionStats]:
        """Return the statistics of each workflow that has any, the one with most executions first."""
        async with self._moment("get execution stats", at_least, timeout) as connection:
            _check(namespace, workflow_id)
            window = Window.around(since, until, this_moment())
            applied = freshness(await connection.fetch(statement("read_freshness")))
            asked = _Asked(namespace, workflow_id, window, window.spans(), by="workflow", bins=percentiles)
            found = await _read(connection, asked)
        told = {str(workflow): stats_of(records, window, applied) for (workflow, _), records in found.items()}
        return dict(sorted(told.items(), key=lambda each: (-each[1].total, each[0])))

    async def series(
        self,
        workflow_id: str | None = None,
        step: timedelta = timedelta(hours=1),
        *,
        since: When = timedelta(days=1),
        until: When = timedelta(0),
        percentiles: bool = False,
        namespace: str = DEFAULT_NAMESPACE,
        at_least: Position | None = None,
        timeout: float = WAIT_SECONDS,
    ) -> list[ExecutionStats]:
        """Return the statistics of a workflow, or of all, of each step of a window that is widened to whole steps.

        A step is a multiple of five minutes that divides a day, or days; they are counted from midnight UTC.
        """
        async with self._moment("get a series", at_least, timeout) as connection:
            _check(namespace, workflow_id)
            window = Window.around(since, until, this_moment(), every(step))
            starts = steps(window, step)
            applied = freshness(await connection.fetch(statement("read_freshness")))
            spans = window.spans(longest_within(step))
            asked = _Asked(namespace, workflow_id, window, spans, by="start", step=step, bins=percentiles)
            found = await _read(connection, asked)
        return [stats_of(found.get((None, start), []), Window(start, start + step), applied) for start in starts]


class _Asked(NamedTuple):
    """What is asked of the statistics, once its parts are checked."""

    namespace: str
    workflow_id: str | None
    window: Window
    spans: list[Span]
    by: str = ""
    step: timedelta = FINEST
    bins: bool = False


Key = tuple[str | None, datetime | None]  # a workflow, the beginning of a step


async def _read(connection: Connection, asked: _Asked) -> dict[Key, list[asyncpg.Record]]:
    minutes, since, until = zip(*asked.spans, strict=True)
    records = await connection.fetch(
        statement("read_statistics"),
        asked.namespace,
        asked.workflow_id,
        asked.by,
        minutes,
        since,
        until,
        *asked.window.bounds,
        asked.step,
        asked.bins,
    )
    found: defaultdict[Key, list[asyncpg.Record]] = defaultdict(list)
    for record in records:
        found[record["workflow_id"], record["start"]].append(record)
    return found


def _check(namespace: str, workflow_id: str | None) -> None:
    check_text("namespace", namespace)
    check_text("workflow_id", workflow_id)
