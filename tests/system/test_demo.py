"""The demonstration, run as a newcomer runs it, and its judgement, which must be able to say no."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from consumer.local.demo.compare import Comparison, Facts
from consumer.local.demo.load import KINDS
from consumer.local.demo.play import Outcome, _judge_after, _judge_before, _judge_size
from consumer.local.stack_file import StackFile

PENDING, RUNNING = Facts("pending"), Facts("running")


def silent(line: str) -> None:
    """Report to nobody."""
    del line


@pytest.mark.system
@pytest.mark.timeout(240)
def test_the_demonstration_finds_no_difference_and_leaves_no_process(tmp_path: Path) -> None:
    """`wex demo` runs 200 workflows and more, finds every row equal after the sync, and ends its servers."""
    command = [sys.executable, "-m", "consumer", "demo", "--data-dir", str(tmp_path), "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    outcome = json.loads(ended.stdout)
    assert outcome["rows"] == outcome["runs"] >= 200
    assert len(outcome["kinds"]) == len(KINDS) >= 10
    unseen = {kind.name for kind in KINDS if not kind.seen_by_worker}
    assert outcome["differing_before"].keys() == unseen
    assert outcome["differing_after"] == {}
    assert not StackFile.read(tmp_path / "demo").alive()


def test_a_kind_that_a_worker_should_see_must_not_differ_before_the_sync() -> None:
    """A completed run that the table shows as running is found wrong."""
    outcome = Outcome()
    runs = Counter({"completed": 2, "terminated": 1})
    right = {("terminated-0", "r"): (Facts("terminated"), RUNNING)}
    _judge_before(outcome, Comparison(runs, right), silent)
    assert outcome.problems == []
    _judge_before(outcome, Comparison(runs, right | {("completed-0", "r"): (Facts("completed"), RUNNING)}), silent)
    assert len(outcome.problems) == 1


def test_a_kind_that_a_worker_cannot_see_must_differ_before_the_sync() -> None:
    """A table that knows what only the server can know was not fed by the workers alone."""
    outcome = Outcome()
    _judge_before(outcome, Comparison(Counter({"terminated": 1}), {}), silent)
    assert len(outcome.problems) == 1


def test_any_difference_after_the_sync_is_a_problem() -> None:
    """One run that differs after the sync fails the demonstration and is named."""
    outcome = Outcome()
    _judge_after(outcome, Comparison(Counter({"completed": 9}), {("completed-3", "r"): (RUNNING, PENDING)}), silent)
    assert "completed-3" in outcome.problems[0]
    assert "FAILED" in outcome.summary


def test_too_few_rows_or_an_empty_kind_are_problems() -> None:
    """Fewer than 200 rows, a missing row and a kind without runs each fail the demonstration."""
    full = Counter({kind.name: 20 for kind in KINDS})
    outcome = Outcome(runs=240, rows=240, kinds=full)
    _judge_size(outcome)
    assert outcome.problems == []
    for spoiled in (
        Outcome(runs=100, rows=100, kinds=full),
        Outcome(runs=240, rows=239, kinds=full),
        Outcome(runs=240, rows=240, kinds=full - Counter({"failed": 20})),
    ):
        _judge_size(spoiled)
        assert len(spoiled.problems) == 1
