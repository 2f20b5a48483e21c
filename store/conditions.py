"""Where questions become SQL: allow-lists of named conditions and of expressions to count by, and nothing else.

The conditions stand in `sql/filter_executions.sql`, the expressions in `sql/group_executions.sql`.

A condition that is not asked for is not in the statement, so that the planner may use any index that serves the rest.
`$3 IS NULL OR …` would be one statement for all filters; but a plan that is good for any value is good for none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

from store.statements import statement

_LINE = re.compile(r"^    (?:AND )?(?P<sql>.+?),? -- (?P<name>\w+)$", re.MULTILINE)
_COLUMNS = ("one", "two", "three")  # what a statement that counts calls its expressions
_PLACE = re.compile(r"\$(\d+)")


class Condition(NamedTuple):
    """A named condition with the values of its places, in the order of their numbers."""

    name: str
    values: tuple[object, ...] = ()


class Expression(NamedTuple):
    """A named expression with the values of its places."""

    name: str
    values: tuple[object, ...] = ()


@cache
def allowed() -> dict[str, str]:
    """Return the conditions by name, each with its places numbered from 1."""
    return _named(statement("filter_executions"))


@cache
def expressions() -> dict[str, str]:
    """Return the expressions by name, each with its places numbered from 1."""
    return _named(statement("group_executions"))


def narrowed(
    sql: str, conditions: Sequence[Condition], arguments: Sequence[object], mark: str = "filter"
) -> tuple[str, list[object]]:
    """Return a statement with conditions between its marks, and its arguments with theirs behind."""
    parts, values = _placed(allowed(), conditions, arguments)
    return between_marks(sql, mark, " AND ".join(parts) or "true"), values


def counted(sql: str, asked: Sequence[Expression], arguments: Sequence[object]) -> tuple[str, list[object]]:
    """Return a statement that counts by up to three expressions, and its arguments with theirs behind."""
    parts, values = _placed(expressions(), asked, arguments)
    parts += ["NULL::text"] * (len(_COLUMNS) - len(parts))
    columns = [f"{part} AS {column}" for part, column in zip(parts, _COLUMNS, strict=True)]
    return between_marks(sql, "groups", ", ".join(columns)), values


def between_marks(sql: str, name: str, words: str) -> str:
    """Return a statement with other words between the marks `/* name */` and `/* end of name */`."""
    before, _, rest = sql.partition(f"/* {name} */")
    return before + words + rest.partition(f"/* end of {name} */")[2]


def _named(listed: str) -> dict[str, str]:
    return {match["name"]: _renumbered(match["sql"], 1) for match in _LINE.finditer(listed)}


def _placed(
    known: Mapping[str, str], asked: Sequence[Condition | Expression], arguments: Sequence[object]
) -> tuple[list[str], list[object]]:
    values = list(arguments)
    parts = []
    for each in asked:
        parts.append(_renumbered(known[each.name], len(values) + 1))
        values += each.values
    return parts, values


def _renumbered(sql: str, first: int) -> str:
    numbers = sorted({int(number) for number in _PLACE.findall(sql)})
    return _PLACE.sub(lambda place: f"${first + numbers.index(int(place[1]))}", sql)
