"""Kafka as the consumer uses it: bytes only, callbacks that only note, and a fetch that is never cancelled.

What aiokafka really does decides the shape: records can arrive before `on_partitions_assigned` returns and its
exceptions are swallowed, so that the callback is synchronous and pauses first; cancelling `getmany` disables a guard
for ever, so that a fetch ends by itself or by `stop`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, assert_never
from uuid import UUID

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.errors import ConsumerStoppedError, IllegalStateError, KafkaError, OffsetOutOfRangeError

from consumer import client_codecs, client_connections, slow_path
from consumer.inflate import INFLATED_BYTES_MAX, BeyondRoomError
from consumer.kafka_address import Kafka, address, explained
from consumer.monitoring.log_events import tell
from consumer.record import Record, Stretch, from_client
from consumer.record_batch import UnreadableError
from consumer.topic_ids import TopicIds
from consumer.waiting import problem_of
from consumer.work import Pause, Resume, Seek, SourceCommand
from events.position import TopicPartition
from store.batch import LogRange

FETCH_TIMEOUT_MS = 300  # a fetch without records ends after this time, so that positions and halts are looked at
FETCH_RECORDS_MAX = 2_000  # records in a chunk: one transaction stays well under a second
PARTITION_FETCH_BYTES_MAX = 1_048_576  # held per partition by the client, before decompression
FETCH_BYTES_MAX = 16 * 1_048_576
START_TIMEOUT_SECONDS = 40.0  # a group coordinator that is missing, or a rebalance that does not end
STOP_TIMEOUT_SECONDS = 8.0  # the client can hang while it leaves the group; it is left behind then
CLOSE_TIMEOUT_SECONDS = 1.0  # its connections after that, which close without an answer
REBALANCE_TIMEOUT_MS = 30_000  # aiokafka's own default is the session timeout, too short for a batch under way
ASK_SECONDS = 5.0  # for one question beside the fetching: a broker that does not answer holds nobody up for long
ROOM_KEPT = 4  # a part of the records of a fetch is for partitions that the client would not come to yet
FEWER_RECORDS = 16  # after a fetch that inflated too much, the next ask for a part of the records

client_codecs.install()
client_connections.install()


class SourceError(Exception):
    """A fetch failed; what it had already taken from healthy partitions is lost to the caller until it seeks back."""

    denied = False  # Kafka answers, but one side does not accept the other: waiting does not help


async def unreachable(kafka: Kafka, otherwise: str) -> SourceError:
    """Return the error for a client that could not be started, with the cause that the client keeps to its log."""
    message, denied = await explained(kafka, otherwise)
    error = SourceError(message)
    error.denied = denied
    return error


class OutOfRangeError(SourceError):
    """The logs of some partitions do not hold their positions.

    Attributes:
        partitions: which.
    """

    def __init__(self, partitions: Iterable[TopicPartition]) -> None:
        self.partitions = tuple(sorted(partitions))
        super().__init__("out of range: " + ", ".join(map(str, self.partitions)))


class TooMuchInflatedError(SourceError):
    """The records of one fetch inflate to more than is held at once; the next asks for fewer."""


class OvertakenError(SourceError):
    """A partition was sought elsewhere while the topics' ids were asked for: where the records belong is not known."""


class Fetched(NamedTuple):
    """Records by partition, and the ids of their topics as they were known after the records had come."""

    records: dict[TopicPartition, list[Record]]
    topic_ids: dict[TopicPartition, UUID]


class SourceStopped(Exception):  # noqa: N818 - it is an end, not an error
    """The source was stopped while it fetched."""


class Source(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka ships no type information
    """The records of some topics, as a member of a consumer group.

    Args:
        bootstrap_servers: host:port of brokers, comma-separated, or with how they are spoken to.
        topics: topics to read.
        group: consumer group; None reads without one.
        session_timeout_ms: how long the group waits for a silent member.
        records_max: how many records one fetch returns at most.
        assigned: called in the client's callback with what Kafka assigned; its commands are performed at once.
        revoked: called in the client's callback when Kafka takes everything back.
    """

    def __init__(
        self,
        *,
        bootstrap_servers: Kafka,
        topics: tuple[str, ...],
        group: str | None,
        session_timeout_ms: int,
        records_max: int = FETCH_RECORDS_MAX,
        assigned: Callable[[list[TopicPartition]], list[SourceCommand]],
        revoked: Callable[[], None],
    ) -> None:
        self._kafka = bootstrap_servers
        self._topics = topics
        self._records_max = self._records_wanted = records_max
        self._assigned = assigned
        self._revoked = revoked
        self._consumer = AIOKafkaConsumer(
            **address(bootstrap_servers).arguments,
            group_id=group,
            client_id="workflow-executions",
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            session_timeout_ms=session_timeout_ms,
            heartbeat_interval_ms=session_timeout_ms // 5,
            rebalance_timeout_ms=REBALANCE_TIMEOUT_MS,
            max_poll_interval_ms=86_400_000,  # the watchdog ends a stuck loop; this guard disables itself
            max_partition_fetch_bytes=PARTITION_FETCH_BYTES_MAX,
            fetch_max_bytes=FETCH_BYTES_MAX,
            metadata_max_age_ms=30_000,
            request_timeout_ms=20_000,
        )
        # The connections there are, and what is known of the cluster; aiokafka is pinned, and this tested.
        self._client = self._consumer._client  # noqa: SLF001 - see above
        self._topic_ids = TopicIds(self._client)
        self.seeks = 0  # how often a partition was sought to an offset

    async def start(self) -> None:
        """Connect and join the group.

        Raises:
            SourceError: no broker answers.
        """
        self._consumer.subscribe(list(self._topics), listener=self)
        try:
            await asyncio.wait_for(self._consumer.start(), START_TIMEOUT_SECONDS)
        except (KafkaError, OSError) as error:
            await self.stop()
            said = f"Kafka does not answer: {str(error) or f'no assignment within {START_TIMEOUT_SECONDS:g} s'}"
            raise await unreachable(self._kafka, said) from error

    async def stop(self) -> None:
        """Leave the group; an outstanding fetch ends with `SourceStopped`. Never raises, never hangs."""
        # Awaited from a distance: the client lets the CancelledError of a task of its own out of `stop`, where it waits
        # to ask a broker again that went away, and in our task that would pass for our own cancellation.
        stopping = asyncio.create_task(self._consumer.stop())
        await asyncio.wait({stopping}, timeout=STOP_TIMEOUT_SECONDS)
        if problem := problem_of(stopping):
            tell("client_stop_failed", "the Kafka client did not stop cleanly: %s", problem)
            closing = asyncio.create_task(self._client.close())  # it stopped before it came to this
            await asyncio.wait({closing}, timeout=CLOSE_TIMEOUT_SECONDS)
            problem_of(closing)

    async def fetch(self, partitions: Iterable[TopicPartition] = ()) -> Fetched:
        """Return the next records of these partitions, or of all where none is named, as far as they are not paused.

        Raises:
            OutOfRangeError: a position lies outside of its log.
            TooMuchInflatedError: less must be fetched at once, and will be.
            OvertakenError: positions were moved while the topics' ids were asked for.
            SourceError: the client failed otherwise.
            SourceStopped: the source was stopped.
        """
        try:
            with client_codecs.inflating_at_most(INFLATED_BYTES_MAX):
                fetched, seeks = await self._drain([*map(_theirs, partitions)] or self._readable())
        except BeyondRoomError as error:
            if self._records_wanted == 1:  # then it was a single batch
                msg = f"a record batch {error}"
                raise SourceError(msg) from None
            self._records_wanted = max(1, self._records_wanted // FEWER_RECORDS)
            msg = f"one fetch {error}; asking for {self._records_wanted} records"
            raise TooMuchInflatedError(msg) from None
        except ConsumerStoppedError:
            raise SourceStopped from None
        except OffsetOutOfRangeError as error:
            raise OutOfRangeError(_ours(tp) for tp in error.args[0]) from error
        except Exception as error:
            msg = f"{type(error).__name__}: {error}"
            raise SourceError(msg) from error
        self._records_wanted = min(self._records_max, self._records_wanted + self._records_wanted // 4 + 1)
        records = {_ours(tp): [from_client(record) for record in records] for tp, records in fetched.items()}
        topic_ids = await self.topic_ids(records)
        if seeks != self.seeks:
            msg = "positions were moved meanwhile"
            raise OvertakenError(msg)
        return Fetched(records, topic_ids)

    def _readable(self) -> list[KafkaPartition]:
        return sorted(self._consumer.assignment() - self._consumer.paused())

    async def _drain(self, partitions: list[KafkaPartition]) -> tuple[dict[KafkaPartition, list[Any]], int]:
        """Take what the client has, and say how many seeks there were before the first record was taken.

        The client empties one partition before it looks at the next; so a part of the room is kept for the others.
        """
        kept = self._records_wanted // ROOM_KEPT if len(partitions) > 1 else 0
        first = self._records_wanted - kept
        fetched = await self._consumer.getmany(*partitions, timeout_ms=FETCH_TIMEOUT_MS, max_records=first)
        seeks = self.seeks
        others = [partition for partition in partitions if partition not in fetched]
        if kept and sum(map(len, fetched.values())) == first:
            for partition in others:
                share = max(1, kept // len(others))
                fetched |= await self._consumer.getmany(partition, timeout_ms=0, max_records=share)
        return fetched, seeks

    async def topic_ids(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, UUID]:
        """Return the ids of partitions' topics; none where the brokers are too old to tell.

        Raises:
            SourceError: no broker answers, or there is no such topic now.
        """
        with _failing("the topics' ids cannot be read"):
            async with asyncio.timeout(ASK_SECONDS):
                ids = await self._topic_ids.of(map(_theirs, partitions))
        return {_ours(tp): id_ for tp, id_ in ids.items()}

    def may_have_records(self, partition: TopicPartition, offset: int) -> bool:
        """Return False only if the last answer of the broker said that there is nothing from an offset on."""
        if not self._consumer.assignment() >= {_theirs(partition)}:
            return False
        end = self._consumer.last_stable_offset(_theirs(partition))
        return end is None or end < 0 or offset < end

    async def read_slowly(self, partition: TopicPartition, offset: int) -> Stretch:
        """Return records that the client cannot read, or can, from an offset on; the client's position stays.

        Raises:
            UnreadableError: the log cannot be read there.
            OutOfRangeError: the log does not hold the offset.
            SourceError: no broker answers.
        """
        with _failing(f"{partition} cannot be read slowly"):
            try:
                return await slow_path.read_slowly(self._client, _theirs(partition), offset)
            except OffsetOutOfRangeError as error:
                raise OutOfRangeError([partition]) from error

    def perform(self, commands: Iterable[SourceCommand]) -> None:
        """Do what the core asks for; a partition that Kafka took back meanwhile is passed over."""
        for command in commands:
            try:
                self._perform(command)
            except IllegalStateError:
                tell("not_assigned", "not assigned any more: %s", command)

    def _perform(self, command: SourceCommand) -> None:
        match command:
            case Pause(partitions):
                self._consumer.pause(*map(_theirs, partitions))
            case Resume(partitions):
                self._consumer.resume(*map(_theirs, partitions))
            case Seek(partition, offset):
                self.seeks += 1
                self._consumer.seek(_theirs(partition), offset)
            case _:
                assert_never(command)

    async def logs(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, LogRange]:
        """Return where partitions' logs begin and end, and what their topics are known by.

        Those that no broker leads now are left out: the others need not wait for them.

        Raises:
            SourceError: no broker answers.
        """
        wanted = [tp for tp in map(_theirs, partitions) if self._is_led(tp)]
        if not wanted:
            return {}
        with _failing("the logs' starts and ends cannot be read"):
            async with asyncio.timeout(ASK_SECONDS):
                starts = await self._consumer.beginning_offsets(wanted)
                ends = await self._consumer.end_offsets(wanted)
        ids = await self.topic_ids(map(_ours, wanted))
        return {_ours(tp): LogRange(starts[tp], ends[tp], ids.get(_ours(tp))) for tp in wanted}

    def _is_led(self, partition: KafkaPartition) -> bool:
        led = self._client.cluster.leader_for_partition(partition) not in (None, -1)
        if not led:
            self._client.force_metadata_update()
        return led

    async def positions(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the offsets from which the client would fetch; valid only while no fetch is under way."""
        positions = {}
        for partition in partitions:
            try:
                positions[partition] = await self._consumer.position(_theirs(partition))
            except (IllegalStateError, KafkaError):
                continue
        return positions

    async def mirror(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Tell Kafka how far the table is, for lag tools only; nothing of ours ever reads it back."""
        try:
            async with asyncio.timeout(ASK_SECONDS):
                await self._consumer.commit({_theirs(partition): offset for partition, offset in offsets.items()})
        except Exception as error:  # noqa: BLE001 - whatever it is, it hinders nothing
            tell("offsets_not_mirrored", "offsets were not mirrored: %s", error)

    # aiokafka awaits these if they are coroutines; they are not, on purpose: nothing in them may wait.

    def on_partitions_revoked(self, revoked: Iterable[KafkaPartition]) -> None:
        """Note that Kafka takes back what it gave."""
        del revoked  # every rebalance takes back everything
        self._revoked()

    def on_partitions_assigned(self, assigned: Iterable[KafkaPartition]) -> None:
        """Note what Kafka gives, and pause it before a record can arrive."""
        self.perform(self._assigned([_ours(tp) for tp in assigned]))


@contextmanager
def _failing(what: str) -> Iterator[None]:
    """Have every failure of the client leave as an error of the source; what may come out of it is written nowhere."""
    try:
        yield
    except (SourceError, UnreadableError):
        raise
    except Exception as error:
        msg = f"{what}: {type(error).__name__}: {error}"
        raise SourceError(msg) from error


def _ours(partition: KafkaPartition) -> TopicPartition:
    return TopicPartition(partition.topic, partition.partition)


def _theirs(partition: TopicPartition) -> KafkaPartition:
    return KafkaPartition(partition.topic, partition.partition)
