"""What all the other questions of a reader cost: the index that serves each, and a bound on the rows read."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import store
from store.conditions import Condition, narrowed
from store.filters import Filter
from store.statements import statement
from store.windows import FINEST, Window
from tests.postgres.planning import NOW, Planner, flat

HOUR = timedelta(hours=1)
READERS = ("reader", "neighbours", "listing", "pool", "asking", "statistics", "counting")
POSITIONS = 32  # all that there are
TOP = "SELECT gen_id(100)"

# Statement, arguments, the indexes it goes by, and how many rows it may read at most; `TOP` stands for that id.
QUESTIONS: list[tuple[str, list[Any], set[str], int]] = [
    ("get_execution", ["default", "t77", False], {"by_temporal_workflow_id", "workflows_pkey"}, 2),
    ("get_execution", ["default", "nobody's", False], {"by_temporal_workflow_id", "workflows_pkey"}, 0),
    ("get_execution_by_id", ["default", TOP, False], {"pkey", "workflows_pkey"}, 2),
    ("read_run", [TOP, "default", False], {"pkey"}, 1),
    ("read_run_before", ["default", "t26", "r105", False], {"by_next_run"}, 1),
    ("read_family", ["default", TOP, False, 10, 501], {"pkey", "by_parent"}, 2),
    ("read_freshness", [], set(), POSITIONS),
    ("read_applied_offset", ["topic-1", 3], set(), POSITIONS),
    ("read_extremes", ["default", "w0"], {"by_duration"}, 2),
]
# Asked otherwise than with these arguments alone; see below, and `test_plans` for lists.
ELSEWHERE = {
    "any_execution",
    "count_by_status",
    "list_executions",
    "top_errors",
    "read_statistics",
    "count_all",
    "count_newest",
}


def test_every_question_of_a_reader_is_here() -> None:
    """A statement that a reader asks has a case among the plans."""
    folder = Path(store.__file__).parent
    asked = {
        name
        for module in READERS
        for name in re.findall(r'statement\("(\w+)"\)', (folder / f"{module}.py").read_text())
    }
    assert asked == {name for name, *_ in QUESTIONS} | ELSEWHERE


def _same_in_every_process(value: object) -> str:
    """A set in one order."""
    return str(sorted(value) if isinstance(value, set) else value)


@pytest.mark.parametrize(("name", "arguments", "indexes", "most"), QUESTIONS, ids=_same_in_every_process)
def test_a_question_reads_what_it_answers(
    planner: Planner, name: str, arguments: list[Any], indexes: set[str], most: int
) -> None:
    """However many executions there are, a question about one reads that one, and one about positions reads those."""
    given = [planner.fetchval(TOP) if each is TOP else each for each in arguments]
    plan = planner.explain(statement(name), *given)
    assert plan.indexes - {"positions_pkey"} == indexes, plan
    assert plan.read <= most, plan


def test_chosen_executions_are_read_by_their_ids(planner: Planner) -> None:
    """What a tree or a chain has chosen is fetched one by one."""
    ids = [planner.fetchval(f"SELECT gen_id({number})") for number in range(0, 30_000, 600)]
    wanted = [Condition("namespace", ("default",)), Condition("ids", (ids,))]
    plan = planner.explain(*flat(narrowed(statement("list_executions"), wanted, [False, len(ids), 0])))
    assert plan.indexes == {"pkey"}
    assert plan.read == len(ids)


@pytest.mark.parametrize(("namespace", "found"), [("default", 1), ("nobody's", 0)])
def test_whether_there_is_any_is_told_by_one(planner: Planner, namespace: str, found: int) -> None:
    """The first one answers; that there is none is seen without looking at those of others."""
    assert planner.explain(statement("any_execution"), namespace).read == found


@pytest.mark.parametrize("workflow", ["w0", "w49"])
def test_counting_a_workflow_reads_its_own_rows(planner: Planner, workflow: str) -> None:
    """Nobody else's executions are read for the statistics of a workflow."""
    count = planner.fetchval(f"SELECT count(*) FROM workflow_executions WHERE workflow_id = '{workflow}'")
    plan = planner.explain(statement("count_by_status"), "default", workflow)
    assert plan.indexes <= {"by_workflow", "by_workflow_and_status"}
    assert plan.read == count


def test_frequent_errors_are_counted_among_the_latest(planner: Planner) -> None:
    """Counting errors reads those of the time asked for, and no others."""
    wanted = [*Filter(completed_since=HOUR).conditions(NOW), Condition("ended"), Condition("with_error")]
    plan = planner.explain(*flat(narrowed(statement("top_errors"), wanted, [100_000, 20])))
    assert plan.indexes == {"with_error"}
    assert 100 < plan.read < 250  # one in twenty of 3,600


# Of thirty thousand executions in a good eight hours: a workflow, the window before the end, and how many rows of
# statistics make that up.
COUNTED: list[tuple[str | None, timedelta | None, int]] = [
    ("w0", None, 16),
    (None, None, 16),
    ("w0", timedelta(hours=3), 250),
    (None, timedelta(hours=3), 300),
]


@pytest.mark.parametrize(("workflow", "since", "most"), COUNTED, ids=str)
def test_statistics_look_at_no_execution(
    planner: Planner, workflow: str | None, since: timedelta | None, most: int
) -> None:
    """Counts and percentiles come from the statistics of the spans that make up a window, and from nothing else."""
    window = Window.around(since, None, NOW)
    spans = [list(part) for part in zip(*window.spans(), strict=True)]
    asked = ["default", workflow, "", *spans, *window.bounds, FINEST, True]
    plan = planner.explain(statement("read_statistics"), *asked)
    # The deltas were merged: whether PostgreSQL passes over none of them by index or one by one is its own affair.
    assert plan.indexes - {"statistics_deltas_by_xid"} == {"execution_statistics_pkey"}
    assert plan.read <= most
