"""How a question about a list becomes one statement, and its rows a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, get_args

import asyncpg

from store.conditions import Condition, between_marks, narrowed
from store.cursors import Cursor
from store.execution import execution
from store.filters import Filter, check_number
from store.freshness import Freshness
from store.page import Page
from store.statements import statement

LIMIT_MAX = 500  # a page for people, or one answer for programs; more is an export
OFFSET_MAX = 1_000_000  # beyond it PostgreSQL reads and drops more rows than anyone can want; a cursor has no such end

# Each with an index for every prefix that lists are asked for (docs/decisions/0014). By the end: only what has ended.
OrderBy = Literal["started_at", "completed_at"]
OrderDirection = Literal["asc", "desc"]

# The words that replace the marked order of list_executions.sql; nothing else ever does.
_WORDS = {
    (column, direction): f"e.{column} {direction.upper()}, e.id {direction.upper()}"
    for column in get_args(OrderBy)
    for direction in get_args(OrderDirection)
}
_OTHER = {"asc": "desc", "desc": "asc"}


@dataclass(frozen=True, slots=True)
class Listing:
    """A page that is asked for, checked.

    Raises:
        ValueError: a value is not usable, or the cursor is not of this list; the message says which.
    """

    filter: Filter
    limit: int = 50
    offset: int = 0
    order_by: str = "started_at"
    order_direction: str = "desc"
    cursor: str | None = None
    include_payloads: bool = False

    def __post_init__(self) -> None:
        check_number("limit", self.limit, 1, LIMIT_MAX)
        check_number("offset", self.offset, 0, OFFSET_MAX)
        if self.order_by not in get_args(OrderBy):
            msg = f"cannot order by {self.order_by!r}; order_by is one of {', '.join(get_args(OrderBy))}"
            raise ValueError(msg)
        if str(self.order_direction).lower() not in get_args(OrderDirection):
            msg = f"cannot order {self.order_direction!r}; order_direction is asc or desc"
            raise ValueError(msg)
        object.__setattr__(self, "order_direction", str(self.order_direction).lower())
        if self.cursor is not None and self.offset:
            msg = "offset and cursor exclude each other: a cursor knows where it begins"
            raise ValueError(msg)

    @property
    def digest(self) -> bytes:
        """What a cursor of this list carries."""
        return self.filter.digest(self.order_by, self.order_direction)

    def place(self) -> Cursor | None:
        """Return where the page begins or ends; None: at the beginning of the list."""
        return Cursor.decode(self.cursor, self.digest) if self.cursor is not None else None

    def query(self, place: Cursor | None, now: datetime) -> tuple[str, list[Any]]:
        """Return the statement, which asks for one row more than the page has, and its arguments."""
        conditions = self.filter.conditions(place.moment if place else now)
        if self.order_by == "completed_at":
            conditions.append(Condition("ended"))
        direction = self.order_direction
        if place is not None:
            direction = _OTHER[direction] if place.backward else direction
            side = "below" if direction == "desc" else "above"
            conditions.append(Condition(f"{self.order_by}_{side}", (place.time, place.id)))
        sql = between_marks(statement("list_executions"), "order", _WORDS[self.order_by, direction])
        return narrowed(sql, conditions, [self.include_payloads, self.limit + 1, self.offset])

    def page(
        self,
        records: Sequence[asyncpg.Record],
        place: Cursor | None,
        now: datetime,
        freshness: Freshness | None = None,
    ) -> Page:
        """Return the page that the rows of the statement make."""
        more = len(records) > self.limit
        found = [execution(record) for record in records[: self.limit]]
        backward = place is not None and place.backward
        if backward:
            found.reverse()
        if not found:
            return Page(freshness=freshness)
        moment = place.moment if place else now
        before = more if backward else place is not None or self.offset > 0
        after = more or backward
        return Page(
            found,
            self._cursor(found[-1], moment) if after else None,
            self._cursor(found[0], moment, backward=True) if before else None,
            freshness,
        )

    def _cursor(self, beside: Any, moment: datetime, *, backward: bool = False) -> str:  # noqa: ANN401 - its order's column is any
        return Cursor(moment, getattr(beside, self.order_by), beside.id, backward).encode(self.digest)


def this_moment() -> datetime:
    """Return the time by the clock of this machine, which relative times go by."""
    return datetime.now(UTC)
