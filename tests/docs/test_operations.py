"""Alert rules, metrics, exit codes, incidents, manifests and the runbook name the same things."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import click
import promql_parser
import pytest
import yaml

from consumer.cli import wex
from consumer.ending import SAY_SECONDS
from consumer.errors import ExitCode
from consumer.incident_kinds import KINDS
from consumer.monitoring.log_events import LOG_EVENTS
from consumer.monitoring.metric_table import METRICS, PROCESS_METRICS
from consumer.monitoring.server import STUCK_SECONDS
from consumer.settings import Settings, secrets
from consumer.watchdog import PATIENCE_SECONDS
from tests import promtool
from tests.architecture.sources import ROOT
from tests.monitoring.scraping import Samples
from tests.promtool import RULES_FILE

PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
RULES: list[dict[str, Any]] = yaml.safe_load(RULES_FILE.read_text())["groups"][0]["rules"]
DEPLOYED = [path for path in sorted((ROOT / "deploy").rglob("*")) if path.is_file()]
CODE = re.compile(r"`([^`]+)`")
# When a consumer that is asked to end has ended, its last words and the end of its threads included.
DRAINED_SECONDS = Settings.model_fields["drain_timeout_seconds"].default + SAY_SECONDS + 5


def entries(heading: str) -> dict[str, str]:
    """The entries of a chapter of the runbook, by their titles."""
    chapter = PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    parts = re.split(r"^### (.+)$", chapter, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def series(expression: str) -> set[str]:
    """The names of the series that an expression reads."""
    return {name for name in _selected(promql_parser.parse(expression)) if name}


def _selected(node: Any) -> Iterator[str]:
    if isinstance(node, promql_parser.VectorSelector):
        yield node.name or ""
    for part in ("expr", "lhs", "rhs", "vector_selector"):
        if (inner := getattr(node, part, None)) is not None:
            yield from _selected(inner)
    for argument in getattr(node, "args", None) or ():
        yield from _selected(argument)


def metric_of(name: str) -> str:
    """The metric that a series belongs to."""
    base = re.sub(r"_(?:bucket|sum|count)$", "", name)
    return base if base in METRICS else name


def commands(text: str) -> list[str]:
    """The commands of this project that a text shows."""
    return [code for code in CODE.findall(text) if code.startswith("wex ")]


def unknown_parts(command: str) -> list[str]:
    """What of a command does not exist: a subcommand, or an option."""
    found: click.Command = wex
    context = click.Context(wex)
    words = shlex.split(command)[1:]
    while words and isinstance(found, click.Group):
        inner = found.get_command(context, words[0])
        if inner is None:
            return [words[0]]
        found, words = inner, words[1:]
    options = {name for parameter in found.params for name in (*parameter.opts, *parameter.secondary_opts)}
    return [word for word in words if word.startswith("-") and word not in options | {"--help"}]


def test_every_alert_has_its_entry_and_every_entry_its_alert() -> None:
    """Rules and runbook name the same alerts; an entry says what it means, how to look and what to do."""
    found = entries("Alerts")
    assert list(found) == [rule["alert"] for rule in RULES]
    for title, text in found.items():
        assert [f"*{part}*:" in text for part in ("Means", "Look", "Do")] == [True] * 3, title
    for rule in RULES:
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["runbook_url"] == f"docs/operations.md#{rule['alert'].lower()}"


def test_rules_read_metrics_that_there_are() -> None:
    """Each series of each rule belongs to a metric of the table, or to what is known of a process."""
    read = {rule["alert"]: {metric_of(name) for name in series(rule["expr"])} for rule in RULES}
    assert all(read.values())
    assert {name: names for name, names in read.items() if names - {*METRICS, *PROCESS_METRICS}} == {}


def test_every_metric_has_a_rule_or_is_looked_at() -> None:
    """No metric is kept that neither a rule reads nor the runbook speaks of."""
    read = {metric_of(name) for rule in RULES for name in series(rule["expr"])}
    assert {name for name in METRICS if name not in read and name not in PAGE} == set()


def test_a_series_is_found_wherever_it_stands_in_an_expression() -> None:
    """Selectors are found in functions, aggregations, ranges and on both sides of an operator."""
    expression = "histogram_quantile(0.9, sum by (le) (rate(a_bucket[5m]))) > 1 and on (x) max(b) == 0 or absent(-c)"
    assert series(expression) == {"a_bucket", "b", "c"}


def test_prometheus_accepts_the_rules() -> None:
    """Prometheus' own tool finds nothing wrong with the rules."""
    command = [str(promtool.needed()), "check", "rules", str(RULES_FILE)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def incidents(count: float) -> Samples:
    """What a consumer shows that has counted incidents of a first start."""
    labels = {"version": "1", "fold_version": "1"}
    counted = ("wex_incidents_total", frozenset({"kind": "log_start"}.items()))
    return {("wex_build_info", frozenset(labels.items())): 1, counted: count}


@pytest.mark.parametrize(
    ("counted", "fires"),
    [
        ([0, 0, 1], True),
        ([1, 1, 1], True),  # counted before it was first scraped
        ([None, 1], True),
        ([0, 0, 0], False),
        ([1] * 70, False),  # more than an hour ago
        ([0, 1, *[1] * 70], False),
    ],
)
def test_an_incident_is_told_for_an_hour_and_also_by_a_new_consumer(counted: list[float | None], fires: bool) -> None:
    """What a consumer counts before Prometheus first asks is told as well, and for no longer."""
    scrapes = [None if count is None else incidents(count) for count in counted]
    assert ("WexIncident" in promtool.firing(promtool.needed(), scrapes)) == fires


def test_every_incident_and_every_exit_code_has_its_entry() -> None:
    """The runbook has an entry for each kind of incident and each exit code, and for no other."""
    assert list(entries("Incidents")) == list(KINDS)
    assert list(entries("Exit codes")) == [f"{int(code)} {code.name.lower().replace('_', ' ')}" for code in ExitCode]


def test_commands_of_the_runbook_exist() -> None:
    """Each command that the runbook, the tables and the kinds of incidents show has its subcommands and options."""
    texts = [PAGE, *(each.to_do for each in METRICS.values()), *(each.to_do for each in LOG_EVENTS.values())]
    texts += [kind.advice for kind in KINDS.values()]
    shown = [command for text in texts for command in commands(text)]
    assert len(shown) > 40
    assert {command: wrong for command in shown if (wrong := unknown_parts(command))} == {}
    assert unknown_parts("wex incidents explain 3") == ["explain"]
    assert unknown_parts("wex dead-letter purge --everything") == ["--everything"]


def test_names_in_the_runbook_exist() -> None:
    """Settings, metrics and events of the log that the runbook and the manifests name are there."""
    texts = [PAGE, *(path.read_text() for path in DEPLOYED)]
    settings = {name for text in texts for name in re.findall(r"\bWEX_[A-Z_]+\b", text)}
    known = {f"WEX_{name.upper()}" for name in Settings.model_fields}
    assert settings - known - {f"WEX_{name.upper()}_FILE" for name in secrets()} == set()
    named = {code for code in CODE.findall(PAGE) if re.fullmatch(r"[a-z]+(?:_[a-z]+)+", code)}
    tables = {"workflow_executions", "withheld_payloads", "pg_locks", "pg_stat_activity"}
    assert {metric_of(n) for n in named} - {*METRICS, *PROCESS_METRICS, *LOG_EVENTS, *KINDS, *tables} == set()


def manifest() -> dict[str, Any]:
    """The pods of the Kubernetes manifest."""
    deployment: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "kubernetes" / "wex-consume.yaml").read_text())
    pods: dict[str, Any] = deployment["spec"]["template"]
    return pods


def test_pods_are_probed_confined_and_given_time_to_drain() -> None:
    """Probes ask what is served, liveness acts before the watchdog, roots are read-only, users are not root."""
    pods = manifest()
    [container] = pods["spec"]["containers"]
    port = Settings.model_fields["http_port"].default
    assert container["ports"] == [{"name": "http", "containerPort": port}]
    assert pods["metadata"]["annotations"]["prometheus.io/port"] == str(port)
    paths = {name: container[name]["httpGet"]["path"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert paths == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    liveness = container["livenessProbe"]
    assert STUCK_SECONDS + liveness["periodSeconds"] * liveness["failureThreshold"] < PATIENCE_SECONDS
    assert pods["spec"]["terminationGracePeriodSeconds"] >= DRAINED_SECONDS
    assert pods["spec"]["securityContext"]["runAsNonRoot"] is True
    for each in (*pods["spec"]["containers"], *pods["spec"]["initContainers"]):
        assert each["securityContext"]["readOnlyRootFilesystem"] is True
        assert each["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert each["resources"]["limits"]["memory"] == "512Mi"
        assert unknown_parts(shlex.join(["wex", *each["args"]])) == []


def test_the_unit_restarts_what_a_restart_can_help() -> None:
    """The unit starts the command as it is, gives it time to drain, and leaves it down where a decision is needed."""
    unit = (ROOT / "deploy" / "systemd" / "wex-consume.service").read_text()
    settings = dict(line.split("=", 1) for line in unit.splitlines() if re.match(r"[A-Z]\w+=", line))
    command = settings["ExecStart"].split("/")[-1]
    assert unknown_parts(command) == []
    assert int(settings["TimeoutStopSec"]) >= DRAINED_SECONDS
    needs_a_decision = {str(int(code)) for code in (ExitCode.USAGE, ExitCode.HALTED, ExitCode.REFUSED)}
    assert set(settings["RestartPreventExitStatus"].split()) == needs_a_decision
    if shutil.which("systemd-analyze") is not None:
        path = ROOT / "deploy" / "systemd" / "wex-consume.service"
        checked = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True, check=False)
        complaints = [line for line in checked.stderr.splitlines() if path.name in line]
        assert [line for line in complaints if "is not executable" not in line] == []  # it is not installed here
