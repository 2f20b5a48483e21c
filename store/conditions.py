"""Where conditions become SQL: an allow-list of named conditions in `sql/filter_executions.sql`, and nothing else.

A condition that is not asked for is not in the statement, so that the planner may use any index that serves the rest.
`$3 IS NULL OR …` would be one statement for all filters; but a plan that is good for any value is good for none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from store.statements import statement

_LINE = re.compile(r"^    (?:AND )?(?P<sql>.+) -- (?P<name>\w+)$", re.MULTILINE)
_PLACE = re.compile(r"\$(\d+)")


class Condition(NamedTuple):
    """A named condition with the values of its places, in the order of their numbers."""

    name: str
    values: tuple[object, ...] = ()


@cache
def allowed() -> dict[str, str]:
    """Return the conditions by name, each with its places numbered from 1."""
    found = {match["name"]: match["sql"] for match in _LINE.finditer(statement("filter_executions"))}
    return {name: _renumbered(sql, 1) for name, sql in found.items()}


def narrowed(sql: str, conditions: Sequence[Condition], arguments: Sequence[object]) -> tuple[str, list[object]]:
    """Return a statement with conditions between its marks, and its arguments with theirs behind."""
    values = list(arguments)
    parts = []
    for condition in conditions:
        parts.append(_renumbered(allowed()[condition.name], len(values) + 1))
        values += condition.values
    return between_marks(sql, "filter", " AND ".join(parts)), values


def between_marks(sql: str, name: str, words: str) -> str:
    """Return a statement with other words between the marks `/* name */` and `/* end of name */`."""
    before, _, rest = sql.partition(f"/* {name} */")
    return before + words + rest.partition(f"/* end of {name} */")[2]


def _renumbered(sql: str, first: int) -> str:
    numbers = sorted({int(number) for number in _PLACE.findall(sql)})
    return _PLACE.sub(lambda place: f"${first + numbers.index(int(place[1]))}", sql)
