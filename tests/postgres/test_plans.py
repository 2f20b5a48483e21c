"""What lists cost: for every order and every kind of filter, the index that serves it and a bound on the rows read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import product
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from store import purges
from store.conditions import Condition, narrowed
from store.connect import READER_SETTINGS
from store.cursors import Cursor
from store.filters import Filter
from store.listing import Listing
from store.purge_policy import PurgePolicy
from store.statements import statement
from tests.conftest import database
from tests.postgres.many_rows import BEGIN, SECONDS_EACH, make_many
from tests.stack import Servers

ROWS = 30_000
LIMIT = 50
PAGE = LIMIT + 1  # one more tells whether there is another page
NOW = BEGIN + ROWS * SECONDS_EACH
PLACES = (None, Cursor(NOW, BEGIN + ROWS // 2 * SECONDS_EACH, UUID(int=2**127)))
HOUR = timedelta(hours=1)

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]


@dataclass(frozen=True)
class Plan:
    """What PostgreSQL did: the indexes it went by, and how many rows it touched."""

    indexes: set[str]
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
        indexes = {node["Index Name"].removeprefix("workflow_executions_") for node in nodes if "Index Name" in node}
        read = round(sum(map(_read, nodes)))
        return Plan(indexes, read, any("Sort" in node["Node Type"] for node in nodes))

    def run(self, sql: str) -> None:
        """Change the session."""
        self._runner.run(self._connection.execute(sql))

    def fetchval(self, sql: str) -> Any:
        """Ask for one value."""
        return self._runner.run(self._connection.fetchval(sql))

    def page(self, wanted: Filter, order_by: str, direction: str, place: Cursor | None) -> Plan:
        """Run the statement of a page."""
        return self.explain(*_flat(Listing(wanted, LIMIT, 0, order_by, direction).query(place, NOW)))


def _flat(query: tuple[str, list[Any]]) -> tuple[Any, ...]:
    return query[0], *query[1]


def _short(value: object) -> str:
    """What is not as in every filter, for the names of tests."""
    if not isinstance(value, Filter):
        return str(value)
    asked = {name: getattr(value, name) for name in Filter.__dataclass_fields__}
    return " ".join(f"{name}={each}" for name, each in asked.items() if each != getattr(Filter(), name)) or "all"


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def _read(node: dict[str, Any]) -> float:
    if "Relation Name" not in node:  # a bitmap's own index scan reads no row
        return 0
    passed_over = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return float((node["Actual Rows"] + passed_over) * node["Actual Loops"])


@pytest.fixture(scope="module")
def planner(servers: Servers, template: str) -> Iterator[Planner]:
    """A session like a reader's, over thirty thousand executions."""
    name = f"plans_{uuid4().hex[:8]}"

    async def make() -> Connection:
        admin = await asyncpg.connect(servers.database_url)
        await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        await admin.close()
        writer = await asyncpg.connect(database(servers.database_url, name))
        await make_many(writer, ROWS)
        await writer.close()
        return await asyncpg.connect(database(servers.database_url, name), server_settings=READER_SETTINGS)

    async def drop() -> None:
        await connection.close()
        admin = await asyncpg.connect(servers.database_url)
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        await admin.close()

    with asyncio.Runner() as runner:
        connection = runner.run(make())
        yield Planner(runner, connection)
        runner.run(drop())


# Filter, the index, and how many rows a page may read at most. Only a page's own: the walk passes nothing over.
BY_START: list[tuple[Filter, str, int]] = [
    (Filter(), "by_start", PAGE),
    (Filter(started_since=HOUR), "by_start", PAGE),
    (Filter(workflow_id="w0"), "by_workflow", PAGE),
    (Filter(workflow_id="w49"), "by_workflow", PAGE),
    (Filter(user_id="u0"), "by_user", PAGE),
    (Filter(user_id="u199"), "by_user", PAGE),
    (Filter(open=True), "open", PAGE),
    (Filter(status="running"), "open", PAGE + 10),
    (Filter(status=["running", "pending", "paused"]), "open", PAGE),
    (Filter(status="failed"), "by_status", PAGE),
    (Filter(status="terminated"), "by_status", PAGE),
    (Filter(workflow_id="w0", status="failed"), "by_workflow_and_status", PAGE),
    (Filter(workflow_id="w49", status="failed"), "by_workflow_and_status", PAGE),
    (Filter(workflow_id="w49", status="running"), "by_workflow_and_status", PAGE),
    (Filter(user_id="u199", status="failed"), "by_user_and_other_status", PAGE),
    (Filter(contested=True), "contested", PAGE),
    (Filter(incomplete=True), "incomplete", PAGE),
    (Filter(silent_for=HOUR), "open", PAGE + 10),
    (Filter(status="completed"), "by_start", 10 * PAGE),  # what most are; the latest hundred still run
    (Filter(workflow_id="w49", status="completed"), "by_workflow", 2 * PAGE),
    (Filter(temporal_workflow_id="t77"), "by_temporal_workflow_id", PAGE),
]
BY_END: list[tuple[Filter, str, int]] = [
    (Filter(), "by_end", PAGE),
    (Filter(completed_since=HOUR), "by_end", PAGE),
    (Filter(open=False), "by_end", PAGE),
    (Filter(workflow_id="w0"), "by_end", 10 * PAGE),  # a quarter of all
]


@pytest.mark.parametrize(
    ("order_by", "wanted", "index", "most"),
    [*(("started_at", *case) for case in BY_START), *(("completed_at", *case) for case in BY_END)],
    ids=_short,
)
def test_a_page_reads_its_own_rows(planner: Planner, order_by: str, wanted: Filter, index: str, most: int) -> None:
    """In both directions, at the beginning and deep inside, the index has the order and the page reads its rows."""
    for direction, place in product(("asc", "desc"), PLACES):
        plan = planner.page(wanted, order_by, direction, place)
        assert (plan.indexes, plan.read <= most) == ({index}, True), (direction, place, plan)


# What no index has in the order asked for: read along the order and passed over, or all of a small set and sorted.
MIXED: list[tuple[str, Filter, int]] = [
    ("started_at", Filter(status=["failed", "timed_out"]), 25 * PAGE),
    ("started_at", Filter(status=["terminated", "cancelled"]), PAGE),
    ("started_at", Filter(workflow_id="w0", status=["failed", "timed_out"]), 25 * PAGE),
    ("started_at", Filter(overdue_for=HOUR), ROWS // 100),  # all that are open
    ("started_at", Filter(labels={"team": "t3"}), 15 * PAGE),
    ("started_at", Filter(error_type="E3"), ROWS // 15),  # all that failed
    ("completed_at", Filter(error_type="E3"), ROWS // 15),
    ("completed_at", Filter(error_text="CARD 300 d"), ROWS // 15),
    ("completed_at", Filter(status="failed"), 25 * PAGE),
    ("completed_at", Filter(status="terminated"), PAGE),
    ("completed_at", Filter(user_id="u199"), ROWS // 100),
    ("completed_at", Filter(workflow_id="w49"), ROWS // 10),
    ("started_at", Filter(started_since=HOUR, labels={"order": "o1"}), 3_600),
    ("started_at", Filter(started_since=HOUR, min_duration_ms=599_000), 3_600),
]


@pytest.mark.parametrize(("order_by", "wanted", "most"), MIXED, ids=_short)
def test_a_page_of_a_mixture_is_bounded(planner: Planner, order_by: str, wanted: Filter, most: int) -> None:
    """What is served by no index alone reads a small part of the table, by some index."""
    for direction, place in product(("asc", "desc"), PLACES):
        plan = planner.page(wanted, order_by, direction, place)
        assert plan.indexes, (direction, place, plan)
        assert plan.read <= most, (direction, place, plan)


def test_depth_costs_an_offset_and_not_a_cursor(planner: Planner) -> None:
    """An offset reads all that it passes over; that is what cursors are for."""
    deep = planner.explain(*_flat(Listing(Filter(), LIMIT, ROWS // 2).query(None, NOW)))
    assert deep.read == ROWS // 2 + PAGE
    assert planner.page(Filter(), "started_at", "desc", PLACES[1]).read == PAGE


def test_a_plan_for_any_value_would_be_bad_for_most(planner: Planner) -> None:
    """Readers plan for the values asked for: a plan made once for `$1 IS NULL OR …` searches for a rare workflow."""
    planner.run(
        "PREPARE any_filter (text, text) AS SELECT * FROM execution_rows "
        "WHERE namespace = $1 AND ($2 IS NULL OR workflow_id = $2) ORDER BY started_at DESC, id DESC LIMIT 51"
    )
    assert planner.explain("EXECUTE any_filter ('default', 'w49')").read <= PAGE
    planner.run("SET plan_cache_mode = force_generic_plan")
    generic = planner.explain("EXECUTE any_filter ('default', 'w49')")
    planner.run("SET plan_cache_mode = force_custom_plan")
    assert generic.indexes == {"by_start"}
    assert generic.read > 50 * PAGE


def test_a_tree_and_a_chain_read_their_own_rows(planner: Planner) -> None:
    """Children are found by their parent and runs by their links, however many others there are."""
    top = planner.fetchval("SELECT gen_id(100)")
    family = planner.explain(statement("read_family"), "default", top, False, 10, 501)
    assert family.indexes == {"pkey", "by_parent"}
    assert family.read == 2
    before = planner.explain(statement("read_run_before"), "default", "t26", "r105", False)
    assert (before.indexes, before.read) == ({"by_next_run"}, 1)
    behind = planner.explain(statement("read_run"), top, "default", False)
    assert (behind.indexes, behind.read) == ({"pkey"}, 1)


def test_frequent_errors_are_counted_among_the_latest(planner: Planner) -> None:
    """Counting errors reads those of the time asked for, and no others."""
    wanted = [*Filter(completed_since=HOUR).conditions(NOW), Condition("ended"), Condition("with_error")]
    plan = planner.explain(*_flat(narrowed(statement("top_errors"), wanted, [100_000, 20])))
    assert plan.indexes == {"with_error"}
    assert 100 < plan.read < 250  # one in twenty of 3,600


PAGE_OF_PURGE = 100
# A policy, the index that its search goes by, and how many rows a page may read.
PURGES: list[tuple[PurgePolicy, set[str], int]] = [
    (PurgePolicy(ended_before=NOW - 2 * HOUR), {"by_end"}, PAGE_OF_PURGE),
    (PurgePolicy(ended_before=NOW - 2 * HOUR, statuses=["completed"]), {"by_end"}, 2 * PAGE_OF_PURGE),
    (PurgePolicy(ended_before=NOW - 2 * HOUR, statuses=["failed"]), {"by_end"}, 25 * PAGE_OF_PURGE),
    (PurgePolicy(ended_before=NOW - 2 * HOUR, workflows=["w0"]), {"by_end"}, 10 * PAGE_OF_PURGE),
    (PurgePolicy(ended_before=NOW - 2 * HOUR, deleted_before=NOW), {"deleted"}, 1),
    (PurgePolicy(deleted_before=NOW), {"deleted"}, 1),
]


@pytest.mark.parametrize(("policy", "indexes", "most"), PURGES, ids=lambda value: str(value)[:90])
def test_a_purge_reads_what_it_deletes(
    planner: Planner, monkeypatch: pytest.MonkeyPatch, policy: PurgePolicy, indexes: set[str], most: int
) -> None:
    """From the first page on, and deep inside, the search reads along the index that has its order."""
    monkeypatch.setattr(purges, "PAGE_ROWS", PAGE_OF_PURGE)
    for after in (None, purges.Place(BEGIN + ROWS // 2 * SECONDS_EACH, UUID(int=2**127))):
        plan = planner.explain(*_flat(purges.search(policy, after)))
        assert (plan.indexes, plan.read <= most, plan.sorted) == (indexes, True, False), (after, plan)


def test_a_batch_of_a_purge_reads_its_own_rows(planner: Planner) -> None:
    """Rows of a batch are found by their ids."""
    ids = planner.fetchval("SELECT array_agg(gen_id(n)) FROM generate_series(1, 100) AS n")
    policy = PurgePolicy(ended_before=BEGIN - HOUR)  # covers none of them: the planner's rows stay
    planner.run("SET default_transaction_read_only = off")
    plan = planner.explain(*_flat(narrowed(statement("delete_purgeable"), policy.conditions(), [ids])))
    planner.run("SET default_transaction_read_only = on")
    assert plan.indexes <= {"pkey", "by_end"}
    assert plan.read <= 100
