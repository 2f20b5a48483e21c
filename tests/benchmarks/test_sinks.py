"""The table of `make bench` says what was measured, and of whom there is nothing."""

from __future__ import annotations

from benchmarks.metering import Cost
from benchmarks.peers.programs import Consumer, Script
from benchmarks.peers.run import Run
from benchmarks.sinks import Outcome, summary, table


def test_a_table_has_medians_ratios_and_who_was_left_out() -> None:
    """Rates are medians beside their range and that of the first sink; what failed says so in its place."""
    runs = [Run(1_000, Cost(seconds, 0.02, 0.01, 50.0), 0, 5.0) for seconds in (0.1, 0.2, 0.4)]
    slower = [Run(1_000, Cost(0.8, 0.04, 0.04, 100.0), 7, 5.0)]
    found = {
        "wex": Outcome(Consumer(), runs),
        "slow": Outcome(Script("slow", "slow"), slower, problem="ended with 1; its log:\n…"),
        "gone": Outcome(Script("gone", "gone"), problem="the package gone is not installed"),
    }
    lines = table(summary(found)).splitlines()[1:]
    assert " ".join(lines[0].split()) == "wex consume 5,000 (2,500 to 10,000) 1.00 20.0 10.0 30.0 50 0 1,000 5%"
    assert " ".join(lines[1].split()) == "slow 1,250 (1,250 to 1,250) 0.25 40.0 40.0 80.0 100 7 1,000 5%"
    assert lines[2].split(maxsplit=1)[1] == "left out after 1 runs: ended with 1; its log:"
    assert lines[3].split(maxsplit=1)[1] == "left out after 0 runs: the package gone is not installed"
    assert len(lines) == 4
