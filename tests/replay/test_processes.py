"""Folding in several processes gives what folding in one gives, and their ends are no different."""

from __future__ import annotations

from multiprocessing import active_children

import pytest

from consumer.replay import folding
from consumer.replay.folding import Folded, dealt
from consumer.replay.log_reader import LogLostError
from consumer.replay.rebuild import Rebuild
from consumer.replay.verify import Question, verify
from consumer.replay.whole_log import WholeLog
from events.position import TopicPartition
from store.replays import SCHEMA
from store.shadow import Shadow
from tests.consuming import produce
from tests.replay.applying import apply_all
from tests.replay.load import EVENTS_EACH, records
from tests.replay.test_verify import delete_records
from tests.stack import Servers

EXECUTIONS = 300
JOBS = 2


@pytest.fixture
async def applied(servers: Servers, database_url: str, topic: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database into which a topic was applied, that counts as much to fold."""
    monkeypatch.setattr(folding, "MUCH_RECORDS", 0)
    values = [*records(EXECUTIONS), b"no event", None]
    await produce(servers.kafka_bootstrap_servers, topic, values, partitions=4)
    await apply_all(servers.kafka_bootstrap_servers, database_url, topic)
    return database_url


async def test_processes_rebuild_the_table(servers: Servers, applied: str) -> None:
    """A shadow that several processes have filled holds what the table holds, dead letters left out."""
    told: list[int] = []

    def note(folded: Folded, total: int) -> None:
        assert total == EVENTS_EACH * EXECUTIONS + 2
        told.append(folded.records)

    report = await Rebuild(servers.kafka_bootstrap_servers, applied, "tests", jobs=JOBS, told=note).start()
    assert report.behind == 0
    assert told == sorted(told)
    assert told[-1] == EVENTS_EACH * EXECUTIONS + 2
    preview = await Rebuild(servers.kafka_bootstrap_servers, applied, "tests").diff(10)
    assert (list(preview.counts), preview.carried) == ([], 0)


async def test_processes_verify_a_window(servers: Servers, applied: str) -> None:
    """A sample is folded by several processes as by one."""
    question = Question(sample=EXECUTIONS // 2, jobs=JOBS)
    verdict = await verify(servers.kafka_bootstrap_servers, applied, "tests", question, lambda *_: None)
    assert (verdict.different, verdict.folded.left_out) == (0, 1)
    assert verdict.folded.records == EVENTS_EACH * EXECUTIONS + 2


async def test_what_a_process_meets_is_told(servers: Servers, applied: str, topic: str) -> None:
    """A log whose start was deleted before it was read is the same error, whichever process met it."""
    async with WholeLog(servers.kafka_bootstrap_servers) as source, Shadow(applied, SCHEMA, group="tests") as shadow:
        await shadow.create(scratch=True)
        logs = await source.ranges([topic])
        folding_ = folding.Folding(source, shadow, await shadow.claim(logs), jobs=JOBS)
        await delete_records(servers, topic, dict.fromkeys(range(4), 10))
        with pytest.raises(LogLostError, match="deleted while they were read"):
            await folding_.fold_to({name: log.end for name, log in logs.items()})
        assert active_children() == []


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_partitions_are_dealt_by_what_is_left_of_them(jobs: int) -> None:
    """Every partition goes to one process, and the fullest ones to different processes."""
    left = {TopicPartition("t", number): 10 * (number + 1) for number in range(7)}
    shares = dealt(left, jobs)
    assert sorted(name for share in shares for name in share) == sorted(left)
    loads = [sum(left[name] for name in share) for share in shares]
    assert max(loads) - min(loads) <= max(left.values())
