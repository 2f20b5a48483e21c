"""The campaign as a test: ninety seconds of faults, and a consumer without its guard, which must be found out."""

from __future__ import annotations

import json

import pytest

from tests.chaos import campaign
from tests.chaos.__main__ import shown

# What takes a partition away from a consumer that does not notice.
USURPERS = ("instance id shared", "consumer frozen", "commit acknowledgement lost")


def report(line: str) -> None:
    """Say in the test's output how it goes."""
    print(line)  # noqa: T201 - pytest shows it when the test fails


@pytest.mark.system
@pytest.mark.timeout(400)
async def test_ninety_seconds_of_faults_leave_no_trace() -> None:
    """After more than twenty faults on real servers every oracle is content."""
    verdict = await campaign.run(minutes=1.5, seed=7, report=report)
    print(json.dumps(verdict["faults"], indent=1))  # noqa: T201 - what led to a failure
    assert verdict["passed"], shown(verdict)
    assert sum(verdict["faults by kind"].values()) >= 20


@pytest.mark.system
@pytest.mark.timeout(300)
async def test_a_consumer_without_its_guard_is_found_out() -> None:
    """Where positions are written blindly, the ledger shows records that were applied twice."""
    verdict = await campaign.run(minutes=0.8, seed=3, report=report, weakened=True, only=USURPERS)
    assert not verdict["passed"]
    assert verdict["oracles"]["O1 ledger"]["duplicate"] > 0, shown(verdict)
