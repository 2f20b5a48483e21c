"""What PostgreSQL did to answer: a session like a reader's, over many rows, that tells how statements run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import asyncpg

from store.connect import READER_SETTINGS
from store.cursors import Cursor
from store.filters import Filter
from store.listing import Listing
from tests.conftest import database
from tests.postgres.many_rows import BEGIN, SECONDS_EACH, make_many

ROWS = 30_000
LIMIT = 50
PAGE = LIMIT + 1  # one more tells whether there is another page
NOW = BEGIN + ROWS * SECONDS_EACH
PLACES = (None, Cursor(NOW, BEGIN + ROWS // 2 * SECONDS_EACH, UUID(int=2**127)))

# Two groups, each with eight partitions of two topics.
MAKE_POSITIONS = """
INSERT INTO positions (consumer_group, topic, partition, next_offset, fold_version)
SELECT 'group-' || n % 2, 'topic-' || n / 2 % 2, n / 4, n, 1 FROM generate_series(0, 31) AS n
"""
# As many as make reading all of them dearer than finding one.
MAKE_OTHER_WORKFLOWS = """
INSERT INTO workflows (namespace, id, created_at) SELECT 'default', 'w' || n, now() FROM generate_series(50, 1049) AS n
"""

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]


@dataclass(frozen=True)
class Plan:
    """What PostgreSQL did: the indexes it went by, and how many rows it touched."""

    indexes: frozenset[str]
    read: int
    sorted: bool


class Planner:
    """A reader's session over many rows that tells how statements run."""

    def __init__(self, runner: asyncio.Runner, connection: Connection) -> None:
        self._runner, self._connection = runner, connection

    def explain(self, sql: str, *arguments: Any) -> Plan:
        """Run a statement and return what it took."""
        told = self._connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON, BUFFERS OFF) {sql}", *arguments)
        nodes = list(_nodes(json.loads(self._runner.run(told))[0]["Plan"]))
        names = (node["Index Name"] for node in nodes if "Index Name" in node)
        indexes = frozenset(name.removeprefix("workflow_executions_") for name in names)
        read = round(sum(map(_read, nodes)))
        return Plan(indexes, read, any("Sort" in node["Node Type"] for node in nodes))

    def run(self, sql: str) -> None:
        """Change the session."""
        self._runner.run(self._connection.execute(sql))

    def fetchval(self, sql: str) -> Any:
        """Ask for one value."""
        return self._runner.run(self._connection.fetchval(sql))

    @contextmanager
    def changed(self, sql: str) -> Iterator[None]:
        """Let the database be another one for a while."""
        self.run("BEGIN READ WRITE")
        try:
            self.run(sql)
            yield
        finally:
            self.run("ROLLBACK")

    def page(self, wanted: Filter, order_by: str, direction: str, place: Cursor | None) -> Plan:
        """Run the statement of a page."""
        return self.explain(*flat(Listing(wanted, LIMIT, 0, order_by, direction).query(place, NOW)))


def flat(query: tuple[str, list[Any]]) -> tuple[Any, ...]:
    """A statement with its arguments behind it."""
    return query[0], *query[1]


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def _read(node: dict[str, Any]) -> float:
    if "Relation Name" not in node:  # a bitmap's own index scan reads no row
        return 0
    passed_over = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return float((node["Actual Rows"] + passed_over) * node["Actual Loops"])


@contextmanager
def planning(url: str, template: str) -> Iterator[Planner]:
    """Open a session over thirty thousand executions in a database of its own."""
    name = f"plans_{uuid4().hex[:8]}"

    async def make() -> Connection:
        admin = await asyncpg.connect(url)
        await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        await admin.close()
        writer = await asyncpg.connect(database(url, name))
        await writer.execute(MAKE_POSITIONS)
        await writer.execute(MAKE_OTHER_WORKFLOWS)
        await make_many(writer, ROWS)
        await writer.execute("SELECT count_all_executions()")
        await writer.execute("ANALYZE")
        await writer.close()
        return await asyncpg.connect(database(url, name), server_settings=READER_SETTINGS)

    async def drop() -> None:
        await connection.close()
        admin = await asyncpg.connect(url)
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        await admin.close()

    with asyncio.Runner() as runner:
        connection = runner.run(make())
        yield Planner(runner, connection)
        runner.run(drop())
