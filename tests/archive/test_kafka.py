"""The archive on a real Kafka and a real PostgreSQL: what retention takes is still read, verified and replayed."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from consumer.archive import files, writing
from consumer.archive.folder import read_archive, survey
from consumer.archive.layout import CHECKSUM, RECORDS, ArchiveError, folder_of
from consumer.archive.writing import Outcome
from consumer.chunk import Span
from consumer.errors import ExitCode, WexError
from consumer.record import Record
from consumer.replay import folding
from consumer.replay.log_reader import LogLostError
from consumer.replay.log_source import LogSource
from consumer.replay.rebuild import Rebuild
from consumer.replay.whole_log import WholeLog
from events.position import TopicPartition
from store.replays import Step
from tests.archive import archiver
from tests.consuming import PostgresStore, consume_all, fetch, produce, rows, until
from tests.kafka.poison import HEADERS, producing, send_batch
from tests.replay.applying import apply_all
from tests.replay.load import EVENTS_EACH, records
from tests.replay.test_verify import delete_records, execute, named, verified
from tests.stack import Servers

EXECUTIONS = 60
PARTITIONS = 3
EACH = EXECUTIONS * EVENTS_EACH // PARTITIONS  # records in every partition

Records = dict[TopicPartition, list[Record]]


async def archived(
    servers: Servers, folder: Path, topic: str, accepted: Mapping[TopicPartition, int] | None = None
) -> Outcome:
    """Archive a topic as the command does."""
    async with LogSource(servers.kafka_bootstrap_servers) as source:
        return await writing.archive(source, folder, (topic,), accepted=accepted or {})


async def read_whole(servers: Servers, topic: str, archive: Path | None = None) -> Records:
    """Every record of a topic, of the archive and the log or of the log alone."""
    async with WholeLog(servers.kafka_bootstrap_servers, archive) as log:
        spans = {name: Span(each.start, each.end) for name, each in (await log.ranges([topic])).items()}
        found: Records = {name: [] for name in spans}
        async for stretches in log.read(spans):
            for name, stretch in stretches.items():
                found[name] += stretch.records
        return found


async def delete_topic(servers: Servers, topic: str) -> None:
    """Remove a topic."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers.kafka_bootstrap_servers)
    await admin.start()
    try:
        await admin.delete_topics([topic])

        async def gone() -> bool:
            return topic not in await admin.list_topics()

        await until(gone, "the topic is gone")
    finally:
        await admin.close()


@pytest.fixture
async def applied(servers: Servers, database_url: str, topic: str) -> str:
    """A database into which a topic was applied."""
    await produce(servers.kafka_bootstrap_servers, topic, records(EXECUTIONS), partitions=PARTITIONS)
    await apply_all(servers.kafka_bootstrap_servers, database_url, topic)
    return database_url


@pytest.fixture
async def cut(servers: Servers, applied: str, topic: str, tmp_path: Path) -> str:
    """The same, archived; then events came, and retention took the first half and more of what was archived."""
    await archived(servers, tmp_path, topic)
    await produce(servers.kafka_bootstrap_servers, topic, records(10, first=EXECUTIONS), partitions=PARTITIONS)
    await apply_all(servers.kafka_bootstrap_servers, applied, topic)
    await delete_records(servers, topic, {0: EACH // 2, 1: EACH, 2: EACH // 3})
    return applied


async def test_a_table_is_proven_though_retention_took_half_of_its_log(
    servers: Servers, cut: str, tmp_path: Path
) -> None:
    """Without the archive rows cannot be verified; with it nothing is gone, and what differs is named and mended."""
    alone = await verified(servers, cut)
    assert (alone.different, alone.coverage.complete) == (0, False)
    assert alone.unverifiable
    whole = await verified(servers, cut, archive=tmp_path)
    assert (whole.different, whole.coverage.gone, whole.unverifiable) == (0, (), ())
    assert whole.folded.events == (EXECUTIONS + 10) * EVENTS_EACH
    await execute(cut, "UPDATE workflow_executions SET actor = 'x' WHERE temporal_workflow_id = 'order-2'")
    [different] = (await verified(servers, cut, archive=tmp_path, repair=True)).described
    assert different.fields == {"actor": ("x", "ann")}
    found = await verified(servers, cut, archive=tmp_path)
    assert (found.different, found.coverage.gone) == (0, ())


async def test_processes_read_the_archive_as_one_does(
    servers: Servers, cut: str, topic: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where several processes fold, each reads the archive of its partitions, and what is wrong with it is told."""
    monkeypatch.setattr(folding, "MUCH_RECORDS", 0)
    verdict = await verified(servers, cut, archive=tmp_path, jobs=2)
    assert (verdict.different, verdict.coverage.gone) == (0, ())
    assert verdict.folded.events == (EXECUTIONS + 10) * EVENTS_EACH
    for checksum in folder_of(tmp_path, TopicPartition(topic, 1)).glob(f"*{CHECKSUM}"):
        checksum.write_text("0")
    with pytest.raises(ArchiveError, match="is damaged: its SHA-256 is not the one") as refused:
        await verified(servers, cut, archive=tmp_path, jobs=2)
    assert refused.value.exit_code == ExitCode.REFUSED
    assert refused.value.remedy


async def test_the_deciding_event_is_found_in_the_archive(
    servers: Servers, cut: str, topic: str, tmp_path: Path
) -> None:
    """Where the log has lost the event that decides a field, the archive says where it lies."""
    await execute(cut, "UPDATE workflow_executions SET actor = 'x' WHERE temporal_workflow_id = 'order-2'")
    verdict = await verified(servers, cut, archive=tmp_path)
    [different] = verdict.described
    at = verdict.search.position(different, "actor")
    assert at is not None
    assert at == (topic, 2, 2)  # the ninth record of three partitions, which retention has taken
    assert list(named(verdict)) == [("workflow_executions", different.key)]


async def test_a_replay_reads_the_archive_first(servers: Servers, cut: str, topic: str, tmp_path: Path) -> None:
    """A table that is spoilt is built anew from archive and log, with nothing to accept and nothing carried over."""
    right = await rows(cut)
    await execute(cut, "UPDATE workflow_executions SET actor = 'x'")

    def rebuild() -> Rebuild:
        return Rebuild(servers.kafka_bootstrap_servers, cut, "tests", archive=tmp_path)

    report = await rebuild().start()
    assert (report.state.step, report.behind, report.state.carried) == (Step.READY, 0, 0)
    preview = await rebuild().diff(1000)
    assert {field for each in preview.described for field in each.fields} == {"actor"}
    await rebuild().swap()
    assert await rows(cut) == right
    await rebuild().rollback()
    await rebuild().swap()
    # Consumers read no archive: where the log does not reach back to the old table, nothing leads back to it.
    await produce(servers.kafka_bootstrap_servers, topic, records(1), partitions=PARTITIONS)
    await archived(servers, tmp_path, topic)
    await delete_records(servers, topic, dict.fromkeys(range(PARTITIONS), EACH + 11))
    with pytest.raises(WexError, match="the log has lost what the old table has not applied"):
        await rebuild().rollback()


async def test_a_shadow_that_lacks_a_part_of_the_log_is_told_from_one_that_does_not(
    servers: Servers, cut: str, topic: str, tmp_path: Path
) -> None:
    """A shadow that was begun without the archive is not swapped in as if begun with it, nor gone on with."""
    servers_, archive = servers.kafka_bootstrap_servers, tmp_path
    await Rebuild(servers_, cut, "tests").start()
    for refused in ("start", "swap"):
        with pytest.raises(WexError, match=f"begun without an archive, .*: {topic}/0 at {EACH // 2}, ") as error:
            await getattr(Rebuild(servers_, cut, "tests", archive=archive), refused)()
        assert error.value.exit_code == ExitCode.REFUSED
    await Rebuild(servers_, cut, "tests").abort()
    await Rebuild(servers_, cut, "tests", archive=archive).start()
    await execute(cut, "UPDATE wex_replay.positions SET next_offset = 1 WHERE partition = 0")
    with pytest.raises(WexError, match=f"has lost what the shadow has not folded: .*/0 from 1 to {EACH // 2 - 1}\n"):
        await Rebuild(servers_, cut, "tests").start()


async def test_a_lost_topic_is_verified_from_its_archive(
    servers: Servers, applied: str, topic: str, tmp_path: Path
) -> None:
    """A topic that Kafka has no more is verified as far as it is archived; a table that is further is refused."""
    await archived(servers, tmp_path, topic)
    await delete_topic(servers, topic)
    verdict = await verified(servers, applied, archive=tmp_path)
    assert (verdict.different, verdict.coverage.gone, verdict.folded.events) == (0, (), EXECUTIONS * EVENTS_EACH)
    assert (await verified(servers, applied)).coverage.gone[0] == f"Kafka has no partition {topic}/0"
    await execute(applied, "UPDATE positions SET next_offset = next_offset + 1 WHERE partition = 0")
    with pytest.raises(LogLostError, match=f"{topic}/0 ends at {EACH}, .* or only a part of it was archived"):
        await verified(servers, applied, archive=tmp_path)


async def test_a_topic_that_was_made_anew_is_another_log(
    servers: Servers, applied: str, topic: str, tmp_path: Path
) -> None:
    """Neither is the archive gone on with, nor is it read before a log that only has the same name."""
    await archived(servers, tmp_path, topic)
    await delete_topic(servers, topic)
    await produce(servers.kafka_bootstrap_servers, topic, records(EXECUTIONS), partitions=PARTITIONS)
    outcome = await archived(servers, tmp_path, topic)
    assert outcome.written == {}
    assert len(outcome.refused) == PARTITIONS
    assert "was made anew: its id is" in str(outcome.refused[0])
    with pytest.raises(ArchiveError, match="was made anew"):
        await verified(servers, applied, archive=tmp_path)


async def test_a_log_with_other_records_is_another_one(
    servers: Servers, applied: str, topic: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no id tells two logs apart, the last record that was archived does."""
    other = f"{topic}-other"
    await produce(servers.kafka_bootstrap_servers, other, records(EXECUTIONS, first=1), partitions=PARTITIONS)
    with monkeypatch.context() as patched:
        patched.setattr(LogSource, "topic_ids", no_ids)
        await archived(servers, tmp_path, other)
        (tmp_path / f"topic={other}").rename(tmp_path / f"topic={topic}")
        patched.setattr("consumer.archive.folder._file", as_if_of(topic))
        outcome = await archived(servers, tmp_path, topic)
        assert f"the record at {topic}/0@{EACH - 1} is not the one that was archived" in str(outcome.refused[0])
        with pytest.raises(ArchiveError, match="it is another log"):
            await verified(servers, applied, archive=tmp_path)


async def no_ids(*_: object) -> dict[TopicPartition, object]:
    """What a broker says that is too old to know ids."""
    return {}


def as_if_of(topic: str) -> object:
    """Open a file as if it were one of another topic."""
    from consumer.archive import parquet
    from consumer.archive.layout import Part

    def open_(path: Path, partition: TopicPartition, span: Span) -> Part:
        return Part(span, path, 0, parquet.read_facts(path)._replace(partition=partition._replace(topic=topic)))

    return open_


async def test_a_gap_is_refused_until_it_is_accepted(servers: Servers, cut: str, topic: str, tmp_path: Path) -> None:
    """Where retention was quicker nothing is passed over in silence; what was accepted is told by every verdict."""
    await delete_records(servers, topic, {1: EACH + 3})
    gap = TopicPartition(topic, 1)
    outcome = await archived(servers, tmp_path, topic)
    [refused] = outcome.refused
    assert f"{gap} ends at {EACH}, the log begins at {EACH + 3}" in str(refused)
    assert f"--accept-gap {gap}@{EACH + 3}" in refused.remedy
    assert outcome.written.keys() == {gap._replace(partition=0), gap._replace(partition=2)}
    with pytest.raises(ArchiveError, match=f"{EACH} to {EACH + 2} are in neither"):
        await verified(servers, cut, archive=tmp_path)
    with pytest.raises(ArchiveError, match="Kafka has no partition"):
        await archived(servers, tmp_path, topic, {TopicPartition(topic, 9): 5})
    assert "there is no gap" in str((await archived(servers, tmp_path, topic, {gap: EACH})).refused[0])
    assert (await archived(servers, tmp_path, topic, {gap: EACH + 3})).refused == []
    verdict = await verified(servers, cut, archive=tmp_path)
    assert verdict.coverage.gone == (f"the archive of {gap} lacks {EACH} to {EACH + 2}",)
    assert verdict.different == 0
    assert {each.relation for each in verdict.unverifiable} >= {"workflow_executions"}
    report = await Rebuild(servers.kafka_bootstrap_servers, cut, "tests", archive=tmp_path).start()
    assert report.behind == 0


async def test_a_run_goes_on_where_the_last_one_ended(
    servers: Servers, applied: str, topic: str, tmp_path: Path
) -> None:
    """Each run writes what is new, in files that follow on each other; where nothing is new it writes nothing."""
    first = await archived(servers, tmp_path, topic)
    assert set(first.written.values()) == {Span(0, EACH)}
    assert (await archived(servers, tmp_path, topic)).written == {name: Span(EACH, EACH) for name in first.written}
    await produce(servers.kafka_bootstrap_servers, topic, records(3, first=EXECUTIONS), partitions=PARTITIONS)
    await archived(servers, tmp_path, topic)
    found = read_archive(tmp_path)
    assert {each.span for each in found.values()} == {(0, EACH + 3)}
    assert {len(each.parts) for each in found.values()} == {2}
    assert survey(tmp_path, records=True).problems == []
    assert await read_whole(servers, topic, tmp_path) == await read_whole(servers, topic)
    assert (await fetch(applied, "SELECT count(*) FROM incidents"))[0]["count"] == 0


async def test_an_archive_that_grows_meanwhile_is_not_ahead_of_its_log(
    servers: Servers, applied: str, topic: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that archives what came after Kafka was asked for the end of its log makes no archive of another log."""
    await archived(servers, tmp_path, topic)
    ranges = LogSource.ranges

    async def grow(source: LogSource, topics: Iterable[str]) -> object:
        before = await ranges(source, topics)
        monkeypatch.setattr(LogSource, "ranges", ranges)
        await produce(servers.kafka_bootstrap_servers, topic, records(5), partitions=PARTITIONS)
        await archived(servers, tmp_path, topic)
        return before

    monkeypatch.setattr(LogSource, "ranges", grow)
    assert (await verified(servers, applied, archive=tmp_path)).different == 0
    assert {each.span for each in read_archive(tmp_path).values()} == {(0, EACH + 5)}


async def test_two_runs_at_once_are_refused(servers: Servers, topic: str, tmp_path: Path) -> None:
    """Only one run writes into a folder."""
    with writing._locked(tmp_path), pytest.raises(ArchiveError, match="another `wex archive` writes into") as refused:
        await archived(servers, tmp_path, topic)
    assert refused.value.exit_code == ExitCode.REFUSED


async def test_what_the_client_cannot_read_is_archived_as_it_is(
    servers: Servers, database_url: str, topic: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken header names, dead letters, nulls and transactions: archive and log give what the log alone gives."""
    bootstrap = servers.kafka_bootstrap_servers
    await produce(bootstrap, topic, [*records(5), b"no event", None], partitions=1)
    async with producing(servers, monkeypatch) as producer:
        good = [
            (value, [("content-type", b"application/json"), ("twice", None), ("twice", b"")]) for value in records(2)
        ]
        await send_batch(producer, topic, 0, [*good[:3], (good[0][0], HEADERS), *good[3:]])
    await in_transactions(bootstrap, topic)
    await consume_all(bootstrap, PostgresStore(database_url), topic)
    letters = await fetch(database_url, 'SELECT partition, "offset", reason FROM dead_letters ORDER BY 2')
    before = await read_whole(servers, topic)
    await archived(servers, tmp_path, topic)
    assert await read_whole(servers, topic, tmp_path) == before
    assert [record.fault is not None for record in before[TopicPartition(topic, 0)]].count(True) == 1
    await delete_topic(servers, topic)
    assert await read_whole(servers, topic, tmp_path) == before
    verdict = await verified(servers, database_url, archive=tmp_path)
    assert (verdict.different, verdict.folded.left_out, verdict.folded.refused) == (0, len(letters), 0)
    assert verdict.coverage.complete
    await execute(database_url, "DELETE FROM dead_letters")
    rebuild = Rebuild(bootstrap, database_url, "tests", archive=tmp_path)
    await rebuild.start()
    await rebuild.swap()
    assert await fetch(database_url, 'SELECT partition, "offset", reason FROM dead_letters ORDER BY 2') == letters


async def in_transactions(bootstrap: str, topic: str) -> None:
    """Leave an aborted event and two markers."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=topic)
    await producer.start()
    for number, aborted in ((10, True), (11, False)):
        await producer.begin_transaction()
        for value in records(1, first=number):
            await producer.send_and_wait(topic, value, partition=0)
        await (producer.abort_transaction() if aborted else producer.commit_transaction())
    await producer.stop()


async def test_an_interruption_keeps_what_was_read(
    servers: Servers, applied: str, topic: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the middle of a file ends the file there, and the next run goes on."""
    monkeypatch.setattr("consumer.replay.log_source.RECORDS_MAX", 10)

    def interrupt(done: int, _: int) -> None:
        if done > 25:
            raise asyncio.CancelledError

    async with LogSource(servers.kafka_bootstrap_servers) as source:
        with pytest.raises(asyncio.CancelledError):
            await writing.archive(source, tmp_path, (topic,), accepted={}, told=interrupt)
    [found] = read_archive(tmp_path).values()
    assert 25 < found.span.next_offset < EACH
    await archived(servers, tmp_path, topic)
    assert await read_whole(servers, topic, tmp_path) == await read_whole(servers, topic)
    assert applied


def unfinished(folder: Path) -> list[Path]:
    """Files without their names."""
    return list(folder.rglob(f"{files.UNFINISHED}*"))


@pytest.mark.parametrize("moment", archiver.MOMENTS)
@pytest.mark.usefixtures("applied")
async def test_a_run_can_be_killed_at_any_moment(servers: Servers, topic: str, tmp_path: Path, moment: str) -> None:
    """Killed while it writes, before or after a file gets its name, it leaves what the next run goes on with."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.archive.archiver",
        servers.kafka_bootstrap_servers,
        str(tmp_path),
        topic,
        moment,
        stdin=PIPE,
        stdout=PIPE,
    )
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 30) == b"now\n"
    process.kill()
    await process.wait()
    assert bool(unfinished(tmp_path)) == (moment != "renamed")
    assert survey(tmp_path, records=True).problems == []
    await archived(servers, tmp_path, topic)
    assert survey(tmp_path, records=True).problems == []
    assert unfinished(tmp_path) == []
    assert await read_whole(servers, topic, tmp_path) == await read_whole(servers, topic)
    assert {path.suffix for path in folder_of(tmp_path, TopicPartition(topic, 0)).iterdir()} == {RECORDS, ".sha256"}
