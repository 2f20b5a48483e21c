"""Metrics and log events: declared once, each with what an operator does, used, and on the page as declared."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from consumer.monitoring.log_events import LOG_EVENTS, LogEvent
from consumer.monitoring.metric_table import METRICS, PROCESS_METRICS, MetricName
from consumer.monitoring.page import page
from tests.architecture.sources import CODE, ROOT, modules, place, tree
from tests.docs.pages import table

PAGE = "docs/metrics.md"
LOGGING = {"debug", "info", "warning", "error", "exception", "critical", "log"}
DECLARES = ROOT / "consumer" / "monitoring"


def strings(path: Path) -> set[str]:
    """The texts in a module."""
    return {n.value for n in ast.walk(tree(path)) if isinstance(n, ast.Constant) and isinstance(n.value, str)}


def nameless(path: Path) -> Iterator[int]:
    """The lines that log without naming an event of the table."""
    for node in ast.walk(tree(path)):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="log" | "logger" | "logging" | "LOGGER"), attr=name)):
                if name in LOGGING and _event_of(node) not in LOG_EVENTS:
                    yield node.lineno


def _event_of(call: ast.Call) -> object:
    for keyword in call.keywords:
        if keyword.arg == "extra" and isinstance(keyword.value, ast.Dict):
            names = [key.value for key in keyword.value.keys if isinstance(key, ast.Constant)]
            values = dict(zip(names, keyword.value.values, strict=True))
            if isinstance(value := values.get("event"), ast.Constant):
                return value.value
    return None


def test_the_page_is_up_to_date() -> None:
    """docs/metrics.md says what the tables say; otherwise run `make pages`."""
    assert (ROOT / PAGE).read_text(encoding="utf-8") == page()


def test_every_name_is_declared_and_every_declared_name_is_used() -> None:
    """Each metric and each event of the log has its row, is used in the code, and says what to do."""
    assert list(METRICS) == list(get_args(MetricName))
    assert list(LOG_EVENTS) == list(get_args(LogEvent))
    users = [path for path in modules(*CODE) if path.name not in ("metric_table.py", "log_events.py")]
    used = set().union(*map(strings, users))
    assert {name for name in [*METRICS, *LOG_EVENTS] if name not in used} == set()
    assert [row[0] for row in table(PAGE, "metric")] == [f"`{name}`" for name in METRICS]
    assert [row[0] for row in table(PAGE, "metric of the process")] == [f"`{name}`" for name in PROCESS_METRICS]
    assert all(all(cell for n, cell in enumerate(row) if n != 2) for row in table(PAGE, "metric"))
    assert all(all(row) for row in table(PAGE, "event"))


def test_the_tables_are_sound() -> None:
    """Names follow Prometheus, values are given for every label, and buckets for histograms only, in order."""
    for name, metric in METRICS.items():
        assert name.startswith("wex_")
        assert name.endswith("_total") == (metric.kind == "counter")
        assert {len(values) for values in metric.values} <= {len(metric.labels)}
        assert bool(metric.buckets) == (metric.kind == "histogram")
        assert list(metric.buckets) == sorted(set(metric.buckets))


def test_every_line_of_the_log_names_its_event() -> None:
    """No code logs but through `tell`, or with the name of an event of the table."""
    found = [place(p, line) for p in modules(*CODE) for line in nameless(p)]
    assert [each for each in found if not each.startswith(str(DECLARES.relative_to(ROOT)))] == []


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("logger.info('x')", False),
        ("log.warning('x', extra={'event': 'nobody_knows'})", False),
        ("log.warning('x', extra={'event': 'topic_compacted'})", True),
        ("logger.isEnabledFor(1)", True),
    ],
)
def test_a_line_without_an_event_is_found(tmp_path: Path, line: str, named: bool) -> None:
    """The rule above sees a plain call and an unknown name, and leaves others alone."""
    module = tmp_path / "module.py"
    module.write_text(line + "\n")
    assert list(nameless(module)) == ([] if named else [1])
