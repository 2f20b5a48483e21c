"""The exercise as a test: every incident is told, mended as the runbook says, and leaves nothing lost."""

from __future__ import annotations

import os

import pytest

from tests import promtool
from tests.exercise.__main__ import play_all
from tests.exercise.scene import Outcome

TOLD = {
    "poison flood": {"WexDeadLetterFlood", "WexDeadLetters", "WexAbsent"},
    "database gone": {"WexNotReady"},
    "disk full": {"WexDatabaseErrors", "WexNotReady"},
    "lost partition": {"WexPartitionHalted", "WexIncident"},
    "recreated topic": {"WexPartitionHalted", "WexIncident"},
    "stuck loop": {"WexLoopStuck"},
}


def report(lines: str) -> None:
    """Say in the test's output how it goes."""
    print(lines)  # noqa: T201 - pytest shows it when the test fails


@pytest.mark.system
@pytest.mark.timeout(600)
def test_six_incidents_are_told_and_mended_as_the_runbook_says() -> None:
    """For each its alert fires, the entry's commands work as they are shown, and the table is what it must be."""
    outcomes: dict[str, Outcome] = {outcome.name: outcome for outcome in play_all(promtool.needed(), report)}
    left_out = set() if "disk full" in outcomes or os.geteuid() == 0 else {"disk full"}  # only root can mount one
    assert {name: set(outcome.alerts) for name, outcome in outcomes.items()} == {
        name: alerts for name, alerts in TOLD.items() if name not in left_out
    }
    assert sum(len(outcome.ran) for outcome in outcomes.values()) >= 10
