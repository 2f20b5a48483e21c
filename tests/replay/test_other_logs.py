"""Logs that an operator has accepted as other ones: what the table knows of the log before stays."""

from __future__ import annotations

import pytest

from consumer.errors import ExitCode, WexError
from consumer.replay.refusals import Reason
from tests.consuming import fetch, produce
from tests.replay.applying import apply_all
from tests.replay.conftest import Rebuilding
from tests.replay.load import records
from tests.replay.test_verify import execute, verified
from tests.stack import Servers

BEFORE, AFTER = 20, 5


async def begin_anew(servers: Servers, database_url: str, topic: str, first: int = BEFORE) -> None:
    """Let the positions go on with another log, of a name of its own, as accept-gap lets them after `recreated`."""
    bootstrap, other = servers.kafka_bootstrap_servers, f"{topic}-anew"
    await produce(bootstrap, other, records(AFTER, first=first))
    await execute(
        database_url,
        "INSERT INTO incidents (kind, consumer_group, topic, partition, detail, resolved_at, resolved_by, resolution,"
        " accepted_from, accepted_to) SELECT 'recreated', consumer_group, $1, partition, '', now(), 'ann', 'accepted',"
        " next_offset, 0 FROM positions",
        other,
    )
    await execute(
        database_url,
        "UPDATE positions SET topic = $1, next_offset = 0, topic_id = NULL, anchor = NULL, anchor_offset = NULL,"
        " claim_token = NULL",
        other,
    )
    await apply_all(bootstrap, database_url, other)


@pytest.fixture
async def applied(servers: Servers, database_url: str, topic: str) -> str:
    """A database into which a topic was applied."""
    await produce(servers.kafka_bootstrap_servers, topic, records(BEFORE))
    await apply_all(servers.kafka_bootstrap_servers, database_url, topic)
    return database_url


async def executions(database_url: str) -> int:
    """How many there are."""
    [found] = await fetch(database_url, "SELECT count(*) AS rows FROM workflow_executions")
    rows: int = found["rows"]
    return rows


async def test_repair_leaves_rows_of_the_log_before(servers: Servers, applied: str, topic: str) -> None:
    """Rows of a log that is not there any more are unverifiable, and repair does not take them away."""
    await begin_anew(servers, applied, topic)
    verdict = await verified(servers, applied, repair=True)
    assert (verdict.different, verdict.repaired, verdict.coverage.complete) == (0, 0, False)
    assert f"the log of {topic}-anew/0 was accepted as another one" in verdict.coverage.gone
    assert await executions(applied) == BEFORE + AFTER


async def test_a_replay_carries_rows_of_the_log_before(
    servers: Servers, applied: str, topic: str, rebuild: Rebuilding
) -> None:
    """A replay carries them over, and a swap says so before it goes on."""
    await begin_anew(servers, applied, topic)
    await rebuild().start()
    with pytest.raises(WexError, match=f"accepted as another one; .*; {BEFORE} executions were carried over"):
        await rebuild().swap()
    await rebuild().swap([Reason.GONE])
    assert await executions(applied) == BEFORE + AFTER


async def test_a_shadow_of_the_log_before_is_begun_again(
    servers: Servers, applied: str, topic: str, rebuild: Rebuilding
) -> None:
    """A shadow that was begun before another log was accepted is not swapped in, nor gone on with."""
    await rebuild().start()
    await begin_anew(servers, applied, topic)
    for refused in (rebuild().start(), rebuild().diff(1), rebuild().swap([Reason.GONE])):
        with pytest.raises(WexError, match="another log than the table has now") as error:
            await refused
        assert error.value.exit_code == ExitCode.REFUSED
        assert "wex replay abort" in error.value.remedy
    await rebuild().abort()
    await rebuild().start()
    await rebuild().swap([Reason.GONE])
    assert await executions(applied) == BEFORE + AFTER
