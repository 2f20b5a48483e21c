"""What is asked of a table of many executions: questions as a reader's users ask them, each time with other arguments.

A question is a name, a goal and a coroutine of a reader and a draw; to measure another one, add a line to `QUESTIONS`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

from benchmarks.table import LARGEST, SPAN_SECONDS, USERS, WORKFLOWS, Table, ids
from store import ExecutionReader, Filter
from store.cursors import Cursor
from store.listing import Listing

DAY = timedelta(days=1)
FIVE_MINUTES = timedelta(minutes=5)
FAILED_TODAY = Filter(status="failed", started_since=DAY)
PAGE = 50
DEPTH = 999 * PAGE  # rows before page 1,000
WALKS = 20  # how many walks there are, each at a page of its own
PAGE_MS, COUNT_MS = 10.0, 25.0  # what p99 is to stay below


@dataclass(slots=True)
class Draw:
    """Draws arguments: what exists, as often as the table has it; the same seed draws the same."""

    table: Table
    random: Random
    _walks: list[tuple[Filter, str]] = field(default_factory=list)

    def workflow(self) -> str:
        """A workflow: the largest as often as it has executions."""
        return f"workflow-{int(WORKFLOWS * self.random.random() ** 4.6)}"

    def user(self) -> str:
        """A user: those of many executions more often."""
        return f"user-{int(USERS * self.random.random() ** 3)}"

    def number(self) -> int:
        """The number of an execution."""
        return self.random.randrange(self.table.rows)

    def id(self, number: int) -> UUID:
        """The id of an execution."""
        return UUID(bytes=ids(number, 1, self.table.seed))

    def moment(self) -> datetime:
        """A moment of the days that the table spans, but for the first."""
        return datetime.fromtimestamp(self.table.until - self.random.random() * (SPAN_SECONDS - 86_400), UTC)

    def place(self, wanted: Filter) -> str:
        """A cursor to anywhere in a list."""
        at = Cursor(datetime.now(UTC), self.moment(), UUID(int=self.random.getrandbits(128)))
        return at.encode(Listing(wanted).digest)

    async def walk_on(self, reader: ExecutionReader) -> Any:  # noqa: ANN401 - whatever a page is
        """Page 1,000 of a list, found by its offset at first; from then on the page behind the one before."""
        if len(self._walks) < WALKS:
            wanted = Filter(started_until=self.moment()) if self._walks else Filter()
            page = await reader.find(wanted, offset=min(DEPTH, self.table.rows // 3))
        else:
            wanted, cursor = self._walks.pop(0)
            page = await reader.find(wanted, cursor=cursor)
        if page.next_cursor:
            self._walks.append((wanted, page.next_cursor))
        return page


Ask = Callable[[ExecutionReader, Draw], Awaitable[Any]]


class Question(NamedTuple):
    """A question.

    Attributes:
        name: as the table of results shows it.
        goal_ms: what the 99th percentile is to stay below; None where nothing was promised.
        ask: asks it once; the arguments are drawn before anything is awaited.
        prepared: how often it is asked beforehand, uncounted, before it is what its name says.
    """

    name: str
    goal_ms: float | None
    ask: Ask
    prepared: int = 0


QUESTIONS = (
    Question("first page", PAGE_MS, lambda reader, _: reader.find(Filter())),
    Question("first page of a workflow", PAGE_MS, lambda reader, draw: reader.list(draw.workflow())),
    Question("first page of a user", PAGE_MS, lambda reader, draw: reader.list_by_user(draw.user())),
    Question("page 1,000 by cursor", PAGE_MS, lambda reader, draw: draw.walk_on(reader), prepared=WALKS),
    Question("page at any depth", PAGE_MS, lambda reader, draw: reader.find(Filter(), cursor=draw.place(Filter()))),
    Question(
        "deep page of the largest workflow",
        PAGE_MS,
        lambda reader, draw: reader.list(LARGEST, cursor=draw.place(Filter(workflow_id=LARGEST))),
    ),
    Question(
        "failed, before a moment",
        PAGE_MS,
        lambda reader, draw: reader.find(Filter(status="failed", started_until=draw.moment())),
    ),
    Question("failed of a workflow", PAGE_MS, lambda reader, draw: reader.list(draw.workflow(), status="failed")),
    Question("failed of a user", PAGE_MS, lambda reader, draw: reader.list_by_user(draw.user(), status="failed")),
    Question("running", PAGE_MS, lambda reader, _: reader.find(Filter(status="running"))),
    Question(
        "last ended, before a moment",
        PAGE_MS,
        lambda reader, draw: reader.find(Filter(completed_until=draw.moment()), order_by="completed_at"),
    ),
    Question(
        "a label that 1 in 29 has",
        PAGE_MS,
        lambda reader, draw: reader.find(
            Filter(labels={"team": f"team-{draw.random.randrange(23)}"}, started_until=draw.moment())
        ),
    ),
    Question(
        "stuck for an hour",
        PAGE_MS,
        lambda reader, _: reader.find(Filter(silent_for=timedelta(hours=1)), order_direction="asc"),
    ),
    Question("get by id", PAGE_MS, lambda reader, draw: reader.get_by_id(draw.id(draw.number()))),
    Question("tree", PAGE_MS, lambda reader, draw: reader.tree(draw.id(draw.number() // 20 * 20))),
    Question("chain", PAGE_MS, lambda reader, draw: reader.chain(draw.id(draw.number() // 100 * 100 + 8))),
    Question("freshness", PAGE_MS, lambda reader, _: reader.freshness()),
    Question("counts by status, all", COUNT_MS, lambda reader, _: reader.stats()),
    Question("stats and percentiles of a workflow", COUNT_MS, lambda reader, draw: reader.stats(draw.workflow())),
    Question("the same of the largest", COUNT_MS, lambda reader, _: reader.stats(LARGEST)),
    Question("the same since a moment", COUNT_MS, lambda reader, draw: reader.stats(LARGEST, since=draw.moment())),
    Question("the same of all workflows", None, lambda reader, draw: reader.stats(since=draw.moment())),
    Question("stats of each workflow, of a week", None, lambda reader, _: reader.stats_by_workflow(since=7 * DAY)),
    Question("24 h by 5 minutes, all", COUNT_MS, lambda reader, _: reader.series(None, FIVE_MINUTES)),
    Question("24 h by 5 minutes, the largest", COUNT_MS, lambda reader, _: reader.series(LARGEST, FIVE_MINUTES)),
    Question("30 days by day", None, lambda reader, _: reader.series(None, DAY, since=30 * DAY, percentiles=True)),
    Question("failed of a day by workflow", None, lambda reader, _: reader.count(FAILED_TODAY, ("workflow",))),
    Question("top errors of a day", None, lambda reader, _: reader.top_errors(Filter(completed_since=DAY))),
    Question(
        "top errors of a week, of a workflow",
        None,
        lambda reader, draw: reader.top_errors(Filter(completed_since=7 * DAY, workflow_id=draw.workflow())),
    ),
)

# What no index serves: searched for along the order until a page is full, or the reader's timeout.
SEARCHES = (
    Question("label of one", None, lambda r, d: r.find(Filter(labels={"order": f"order-{d.number() // 5 * 5 + 1}"}))),
    Question("label of 1 in 125,000", None, lambda r, _: r.find(Filter(labels={"canary": "yes"}))),
    Question(
        "label of one, of a day", None, lambda r, d: r.find(_that_day(d, labels={"order": f"order-{d.number()}"}))
    ),
    Question(
        "label of one, of a user",
        None,
        lambda r, d: r.find(Filter(user_id=d.user(), labels={"order": f"order-{d.number()}"})),
    ),
    Question("attempt 2 (1 in 50)", None, lambda r, d: r.find(Filter(attempt=2, started_until=d.moment()))),
    Question("attempt 3 (none)", None, lambda r, _: r.find(Filter(attempt=3))),
    Question("slower than 9.9 h (1 in 1,300)", None, lambda r, _: r.find(Filter(min_duration_ms=35_640_000))),
    Question("slower than 11 h (none)", None, lambda r, _: r.find(Filter(min_duration_ms=39_600_000))),
    Question("slower than 11 h (none), of a day", None, lambda r, d: r.find(_that_day(d, min_duration_ms=39_600_000))),
    Question("text of 1 in 30 errors", None, lambda r, d: r.find(Filter(error_text=f"step {d.random.randrange(30)} "))),
    Question("text of one error", None, lambda r, d: r.find(Filter(error_text=f"of order {d.number()} "))),
    Question("text of no error, of a day", None, lambda r, d: r.find(_that_day(d, error_text="nothing like it"))),
    Question("type of few errors", None, lambda r, _: r.find(Filter(error_type="Vault"))),
    Question("orchestrator of 1 in 10", None, lambda r, _: r.find(Filter(orchestrator="airflow"))),
    Question("orchestrator of none", None, lambda r, _: r.find(Filter(orchestrator="other"))),
    Question("last ended of a user", None, lambda r, d: r.find(Filter(user_id=d.user()), order_by="completed_at")),
    Question(
        "last ended of a workflow", None, lambda r, d: r.find(Filter(workflow_id=d.workflow()), order_by="completed_at")
    ),
)


def _that_day(draw: Draw, **asked: Any) -> Filter:  # noqa: ANN401 - fields of a filter
    begin = draw.moment()
    return Filter(started_since=begin, started_until=begin + DAY, **asked)
