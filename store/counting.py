"""How many: counts of the executions that a filter means, in groups, of the newest or of all.

A bounded count walks along one index, newest first, and looks at no more than so many rows, whatever the filter: so its
cost has a bound, and its answer says of how many it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import asyncpg

from events.position import Position
from events.vocabulary import Status
from store.asking import WAIT_SECONDS, Asking
from store.conditions import Condition, Expression, between_marks, counted, narrowed
from store.filters import Filter, check_number, check_text
from store.freshness import Freshness, freshness
from store.listing import LIMIT_MAX, this_moment
from store.statements import statement

if TYPE_CHECKING:
    Connection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]

BOUND = 50_000  # rows that a count looks at unless told otherwise: well below a second
BOUND_MAX = 1_000_000  # more of them take longer than a reader may
BY_MAX = 3
BY = ("status", "workflow", "user", "day", "error_type")  # and a label: `label:NAME`
_LABEL = "label:"

# What one index has in its order (migrations 0001 and 0004), the first that serves being the one to walk along, and the
# times that cut a walk short. All other conditions are held against each row that the walk comes by.
_WALKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("started_at", ("temporal_workflow_id",)),
    ("completed_at", ("with_error",)),
    ("completed_at", ("completed_since",)),
    ("completed_at", ("completed_until",)),
    ("started_at", ("contested",)),
    ("started_at", ("start_missing", "ended")),
    ("started_at", ("user_id", "status")),
    ("started_at", ("workflow_id", "status")),
    ("started_at", ("user_id",)),
    ("started_at", ("workflow_id",)),
    ("started_at", ("status", "ended")),
    ("started_at", ("open",)),
    ("started_at", ()),
)
_ALONG = {
    "started_at": ("namespace", "started_since", "started_until"),
    "completed_at": ("namespace", "completed_since", "completed_until"),
}
_COMPLETED = Condition("status", (str(Status.COMPLETED),))  # in no index by status: it is what most are


@dataclass(frozen=True, slots=True)
class Group:
    """Executions that are alike.

    Attributes:
        values: what they have in common, in the order that was asked for; None where they have no such thing.
    """

    values: tuple[str | None, ...]
    executions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many executions a filter means.

    Attributes:
        by: what the groups have in common.
        total: how many; at least so many if the count is not exact.
        newest: of how many, the newest, that is; None: of all, the count is exact.
        groups: the largest first; by day first, the latest first.
        other_groups: how many smaller groups there are beyond the limit; what they have is in the total.
        freshness: what is applied in it at least.
    """

    by: tuple[str, ...]
    total: int
    newest: int | None
    groups: tuple[Group, ...]
    other_groups: int
    freshness: Freshness

    @property
    def exact(self) -> bool:
        """Whether all were counted."""
        return self.newest is None


@dataclass(frozen=True, slots=True)
class Counting:
    """A count that is asked for, checked.

    Raises:
        ValueError: a value is not usable; the message names it.
    """

    filter: Filter
    by: tuple[str, ...]
    bound: int | None
    limit: int

    def __post_init__(self) -> None:
        if self.bound is not None:
            check_number("bound", self.bound, 1, BOUND_MAX)
        check_number("limit", self.limit, 1, LIMIT_MAX)
        for each in self.by:
            check_text("by", each)
            if each not in BY and not (str(each).startswith(_LABEL) and each != _LABEL):
                msg = f"cannot count by {each!r}; by has some of {', '.join(BY)} and {_LABEL}NAME"
                raise ValueError(msg)
        if len(self.by) > BY_MAX or len(set(self.by)) < len(self.by):
            msg = f"by has at most {BY_MAX}, each of them once, not {', '.join(self.by)}"
            raise ValueError(msg)

    def query(self, now: datetime) -> tuple[str, list[object]]:
        """Return the statement and its arguments."""
        conditions = self.filter.conditions(now)
        expressions = [_expression(each) for each in self.by]
        if self.bound is None:
            sql, arguments = counted(statement("count_all"), expressions, [self.limit])
            return narrowed(sql, conditions, arguments)
        column, walk = _walk(conditions)
        rest = [each for each in conditions if each not in walk]
        sql = between_marks(statement("count_newest"), "order", f"e.{column}")
        sql, arguments = narrowed(sql, walk, [self.bound, self.limit], "walk")
        sql, arguments = counted(sql, expressions, arguments)
        return narrowed(sql, rest, arguments)

    def count(self, records: Sequence[asyncpg.Record], applied: Freshness) -> Count:
        """Return the answer that the rows of the statement make."""
        groups = [
            Group(tuple(_text(value) for value in list(record.values())[: len(self.by)]), record["executions"])
            for record in records
            if self.by and record["executions"]
        ]
        if self.by[:1] == ("day",):
            groups.sort(key=lambda group: group.values[0] or "", reverse=True)
        first = records[0] if records else {"total": 0, "all_groups": 0, "considered": 0}
        return Count(
            by=self.by,
            total=first["total"],
            newest=self.bound if self.bound is not None and first["considered"] > self.bound else None,
            groups=tuple(groups),
            other_groups=first["all_groups"] - len(groups) if self.by else 0,
            freshness=applied,
        )


class Counts(Asking):
    """The question how many."""

    async def count(
        self,
        wanted: Filter | None = None,
        by: str | Sequence[str] = (),
        bound: int | None = BOUND,
        limit: int = 100,
        *,
        at_least: Position | None = None,
        timeout: float = WAIT_SECONDS,
    ) -> Count:
        """Return how many executions a filter means: all of them unless it is given.

        Args:
            wanted: the filter.
            by: in groups by up to three of `status`, `workflow`, `user`, `day` (of the start, in UTC), `error_type` and
                a label, `label:NAME`.
            bound: how many rows are looked at, the newest; None: all, for as long as a reader may take.
            limit: how many groups are named.
            at_least: the position of one's own write.
            timeout: how many seconds that is waited for.
        """
        rather = "" if bound is not None else ", or count with a bound"
        async with self._query("count executions", at_least, timeout, rather) as connection:
            question = Counting(wanted or Filter(), (by,) if isinstance(by, str) else tuple(by), bound, limit)
            # Read before the count, so that the count has at least what it says.
            applied = freshness(await connection.fetch(statement("read_freshness")))
            return question.count(await _counted(connection, question), applied)


async def _counted(connection: Connection, question: Counting) -> list[asyncpg.Record]:
    """Return what is counted: the one place that knows where from, which is the rows themselves."""
    sql, arguments = question.query(this_moment())
    return await connection.fetch(sql, *arguments)


def _expression(by: str) -> Expression:
    return Expression("label", (by.removeprefix(_LABEL),)) if by.startswith(_LABEL) else Expression(by)


def _walk(conditions: Sequence[Condition]) -> tuple[str, list[Condition]]:
    """Return the order of the index to walk along, and the conditions that it serves."""
    served = {each.name: each for each in conditions if each != _COMPLETED}
    column, names = next((column, names) for column, names in _WALKS if served.keys() >= set(names))
    return column, [each for name, each in served.items() if name in names or name in _ALONG[column]]


def _text(value: object) -> str | None:
    return None if value is None else str(value)  # a day: as ISO 8601 has it
