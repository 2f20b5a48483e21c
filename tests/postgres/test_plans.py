"""What lists cost: for every order and every kind of filter, the index that serves it and a bound on the rows read."""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from uuid import UUID

import pytest

from store import purges
from store.conditions import narrowed
from store.counting import Counting
from store.filters import Filter
from store.listing import Listing
from store.purge_policy import PurgePolicy
from store.statements import statement
from tests.postgres.many_rows import BEGIN, SECONDS_EACH
from tests.postgres.planning import LIMIT, NOW, PAGE, PLACES, ROWS, Planner, flat

HOUR = timedelta(hours=1)


def _short(value: object) -> str:
    """What is not as in every filter, for the names of tests."""
    if not isinstance(value, Filter):
        return str(value)
    asked = {name: getattr(value, name) for name in Filter.__dataclass_fields__}
    return " ".join(f"{name}={each}" for name, each in asked.items() if each != getattr(Filter(), name)) or "all"


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
    (Filter(user_id="u0", status="failed"), "by_user_and_other_status", PAGE),
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
        assert plan.indexes == {index}, (direction, place, plan)
        assert plan.read <= most, (direction, place, plan)


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
    deep = planner.explain(*flat(Listing(Filter(), LIMIT, ROWS // 2).query(None, NOW)))
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


INDEX_OF_CASES = [(index, "started_at", wanted, most) for wanted, index, most in BY_START]
INDEX_OF_CASES += [(index, "completed_at", wanted, most) for wanted, index, most in BY_END]


# Whatever is asked, and whether or not an index has it: the rows of the walk, and none besides.
COUNTED: list[tuple[Filter, str]] = [
    *((wanted, index) for wanted, index, _ in BY_START if wanted.status != ("completed",)),
    (Filter(status="completed"), "by_start"),
    (Filter(status=["failed", "timed_out"]), "by_start"),
    (Filter(workflow_id="w0", user_id="u199", labels={"order": "o1"}), "by_user"),
    (Filter(workflow_id="w0", status="failed", min_duration_ms=1), "by_workflow_and_status"),
    (Filter(workflow_id="w0", status="completed"), "by_workflow"),
    (Filter(overdue_for=HOUR), "open"),
    (Filter(open=False), "by_start"),
    (Filter(completed_since=timedelta(days=1), workflow_id="w0"), "by_end"),
    (Filter(completed_until=NOW, status="running"), "by_end"),
    (Filter(error_text="declined", user_id="u0"), "with_error"),
    (Filter(error_type="E3", include_deleted=True), "with_error"),
]


@pytest.mark.parametrize(("wanted", "index"), COUNTED, ids=_short)
def test_a_bounded_count_reads_no_more_than_its_bound(planner: Planner, wanted: Filter, index: str) -> None:
    """A count walks along one index and reads one row more than its bound, whatever the filter and the groups."""
    bound = 100
    plan = planner.explain(*flat(Counting(wanted, ("status", "day", "label:team"), bound, 100).query(NOW)))
    assert (plan.indexes, plan.read <= bound + 1) == (frozenset({index}), True), plan


def test_a_missing_index_is_noticed(planner: Planner) -> None:
    """Without any one index of lists some case that names it reads more than it may, or sorts."""
    for name in sorted({case[0] for case in INDEX_OF_CASES}):
        with planner.changed(f"DROP INDEX workflow_executions_{name}"):
            plans = {
                planner.page(wanted, order_by, "desc", PLACES[1]): most
                for index, order_by, wanted, most in INDEX_OF_CASES
                if index == name
            }
        assert all(name not in plan.indexes for plan in plans)
        assert any(plan.read > most or plan.sorted for plan, most in plans.items()), (name, plans)


@pytest.mark.parametrize(
    "broken",
    [
        "(e.started_at < $5 OR e.started_at = $5 AND e.id < $6)",  # the same rows
        "(e.started_at + interval '0', e.id) < ($5, $6)",
    ],
)
def test_a_cursor_that_no_index_understands_is_noticed(planner: Planner, broken: str) -> None:
    """The same place in other words than the comparison of rows passes over all that lies before it."""
    sql, arguments = Listing(Filter(), LIMIT).query(PLACES[1], NOW)
    assert planner.explain(sql, *arguments).read == PAGE
    place = "(e.started_at, e.id) < ($5, $6)"
    assert place in sql
    assert planner.explain(sql.replace(place, broken), *arguments).read > ROWS // 3


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
        plan = planner.explain(*flat(purges.search(policy, after)))
        assert (set(plan.indexes), plan.read <= most, plan.sorted) == (indexes, True, False), (after, plan)


def test_a_batch_of_a_purge_reads_its_own_rows(planner: Planner) -> None:
    """Rows of a batch are found by their ids."""
    ids = planner.fetchval("SELECT array_agg(gen_id(n)) FROM generate_series(1, 100) AS n")
    policy = PurgePolicy(ended_before=BEGIN - HOUR)  # covers none of them: the planner's rows stay
    with planner.changed("SET LOCAL lock_timeout = '1s'"):
        plan = planner.explain(*flat(narrowed(statement("delete_purgeable"), policy.conditions(), [ids])))
    assert plan.indexes <= {"pkey", "by_end"}
    assert plan.read <= 100
