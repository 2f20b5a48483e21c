"""What statistics say: counts, rates and durations, made of records that are added up by status and by bins of time."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import asyncpg

from events.vocabulary import Status
from store.freshness import Freshness
from store.windows import Window

RATED_STATUSES = (Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.TERMINATED, Status.TIMED_OUT)
FAILED_STATUSES = (Status.FAILED, Status.TIMED_OUT)
PERCENTILES = (50, 90, 95, 99)
BIN_WIDTH = 1.02  # as in SQL's duration_bin


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long something took, in milliseconds.

    Attributes:
        count: of how many this is known; everything else is None if that is 0.
        min_ms: the shortest; exact over all of time, otherwise within 1 %.
        max_ms: the longest, likewise.
        p50_ms: half took at most so long, within 1 %; None like the others unless it was asked for.
    """

    count: int
    avg_ms: float | None = None
    min_ms: float | None = None
    max_ms: float | None = None
    p50_ms: float | None = None
    p90_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionStats:
    """What was counted and timed. Deleted executions count nowhere, unless they were asked for.

    Attributes:
        total: executions that started in the window.
        by_status: the same by what their status is now; a status that does not occur counts 0.
        ended: executions that ended in the window, whenever they started, by their status.
        success_rate: of those, in percent: completed ÷ (completed + failed + cancelled + terminated + timed_out), which
            is `rated`; None if that is 0.
        chain_success_rate: the same of chains, `chains` of them: runs that another goes on for (a retry,
            continue-as-new) are left out, so that each chain counts once, by its last run.
        duration: of those that ended in the window.
        queue_delay: from scheduled_for to the start, of those that started in the window and have both.
        since: the first moment of the window, which is whole five minutes; None if there is no bound.
        until: the first moment after it.
        freshness: what is in the answer at least.
    """

    total: int
    by_status: Counter[str]
    ended: Counter[str]
    rated: int
    success_rate: float | None
    chains: int
    chain_success_rate: float | None
    duration: Timing
    queue_delay: Timing
    since: datetime | None = None
    until: datetime | None = None
    freshness: Freshness = field(default_factory=Freshness)

    @property
    def failed(self) -> int:
        """How many failed or timed out in the window."""
        return sum(self.ended[status] for status in FAILED_STATUSES)

    @property
    def avg_duration_ms(self) -> float | None:
        """The average duration."""
        return self.duration.avg_ms

    @property
    def min_duration_ms(self) -> float | None:
        """The shortest duration."""
        return self.duration.min_ms

    @property
    def max_duration_ms(self) -> float | None:
        """The longest duration."""
        return self.duration.max_ms


class _Bin(NamedTuple):
    number: int
    runs: int
    ms: int


def stats_of(records: Iterable[asyncpg.Record], window: Window, applied: Freshness) -> ExecutionStats:
    """Return what the statistics of one workflow or step say."""
    runs: dict[str, Counter[str]] = {"started": Counter(), "ended": Counter()}
    chains: Counter[str] = Counter()
    timed: Counter[str] = Counter()
    total_ms: Counter[str] = Counter()
    bins: dict[str, list[_Bin]] = {"started": [], "ended": []}
    for r in records:
        axis = r["axis"]
        if r["bin"] is not None:
            bins[axis].append(_Bin(r["bin"], r["runs"], int(r["total_ms"])))
            continue
        runs[axis][r["status"]] += r["runs"]
        chains[r["status"]] += r["chains"]
        timed[axis] += r["timed"]
        total_ms[axis] += int(r["total_ms"])
    rated, rate = _rate(runs["ended"])
    rated_chains, chain_rate = _rate(chains)
    return ExecutionStats(
        total=runs["started"].total(),
        by_status=runs["started"],
        ended=runs["ended"],
        rated=rated,
        success_rate=rate,
        chains=rated_chains,
        chain_success_rate=chain_rate,
        duration=_timing(timed["ended"], total_ms["ended"], bins["ended"]),
        queue_delay=_timing(timed["started"], total_ms["started"], bins["started"]),
        since=window.since,
        until=window.until,
        freshness=applied,
    )


def stats_of_counts(records: Sequence[asyncpg.Record], applied: Freshness) -> ExecutionStats:
    """Return what a count by status of one workflow's executions says, which tells no percentiles."""
    runs = Counter({str(r["status"]): int(r["executions"]) for r in records})
    ended = Counter({status: count for status, count in runs.items() if Status(status).terminal})
    timed = [r for r in records if r["timed"]]
    rated, rate = _rate(ended)
    chains, chain_rate = _rate(Counter({str(r["status"]): int(r["chains"]) for r in records}))
    count = sum(r["timed"] for r in timed)
    return ExecutionStats(
        total=runs.total(),
        by_status=runs,
        ended=ended,
        rated=rated,
        success_rate=rate,
        chains=chains,
        chain_success_rate=chain_rate,
        duration=Timing(
            count=count,
            avg_ms=float(sum(r["duration_ms_sum"] for r in timed) / count) if count else None,
            min_ms=min((r["duration_ms_min"] for r in timed), default=None),
            max_ms=max((r["duration_ms_max"] for r in timed), default=None),
        ),
        queue_delay=Timing(count=0),
        freshness=applied,
    )


def _rate(ended: Mapping[str, int]) -> tuple[int, float | None]:
    rated = sum(ended[status] for status in RATED_STATUSES)
    return rated, 100 * ended[Status.COMPLETED] / rated if rated else None


def _timing(count: int, total_ms: int, bins: list[_Bin]) -> Timing:
    if not count:
        return Timing(count=0)
    if not bins:
        return Timing(count=count, avg_ms=total_ms / count)
    p50, p90, p95, p99 = _percentiles(count, bins)
    return Timing(
        count=count,
        avg_ms=total_ms / count,
        min_ms=_within(bins[0]),
        max_ms=_within(bins[-1]),
        p50_ms=p50,
        p90_ms=p90,
        p95_ms=p95,
        p99_ms=p99,
    )


def _percentiles(count: int, bins: list[_Bin]) -> Iterable[float]:
    """Return the value at each rank, from bins in their order."""
    rest = iter(bins)
    reached, this = 0, bins[0]
    for percent in PERCENTILES:
        rank = math.ceil(count * percent / 100)
        while reached < rank:
            this = next(rest)
            reached += this.runs
        yield _within(this)


def _within(bin_: _Bin) -> float:
    """Return a value that no value of a bin is further than 1 % from, and that is exact where all are the same.

    The average may lie at the edge of a bin; what lies within half of its width is all that can be said.
    """
    if bin_.number == 0:
        return 0
    lowest, highest = float(BIN_WIDTH ** (bin_.number - 1)), float(BIN_WIDTH**bin_.number)
    if bin_.runs == 1 or highest - lowest < 1:  # there is only one, or there are only equal ones
        return bin_.ms / bin_.runs
    return math.sqrt(lowest * highest)
