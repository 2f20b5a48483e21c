"""The observer: keeps the metrics of a service; told what happens by the loop, and looks around by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from consumer.chunk import Chunk, Prepared
from consumer.core import Core
from consumer.monitoring.lag import Marks
from consumer.monitoring.log_events import LogEvent, tell
from consumer.monitoring.metrics import Metrics, PartitionView, View
from consumer.partition import Claims, LogRanges
from consumer.record import Record
from consumer.rivalry import OftenWatch
from consumer.source import SourceError
from events.position import TopicPartition
from store.batch import Applied, Incident
from store.errors import FencedError, MisconfiguredError, RefusedError

LOOK_SECONDS = 1.0  # how often the view is made anew
LOGS_SECONDS = 5.0  # how often the ends of the logs are read
FENCED_OFTEN, FENCED_OFTEN_SECONDS = 3, 300.0  # no rebalance explains so many
REBALANCES_OFTEN, REBALANCES_OFTEN_SECONDS = 10, 60.0  # no deployment of a few consumers explains so many
RIVALS = (
    "Nothing is applied twice, but all are held up. Have two consumers the same group instance id, or two groups in"
    " Kafka the same consumer group here? Is a consumer killed over and over? The column owner of positions says who"
    " claimed last."
)

Logs = Callable[[Iterable[TopicPartition]], Awaitable[LogRanges]]


class Observer:
    """What is known about a consumer beside what its core must know.

    Args:
        core: where it stands.
        metrics: what is kept for those who ask.
    """

    def __init__(self, core: Core, metrics: Metrics) -> None:
        self._core = core
        self._metrics = metrics
        self._joined = False
        self._fenced_often = OftenWatch(FENCED_OFTEN, FENCED_OFTEN_SECONDS)
        self._rebalances_often = OftenWatch(REBALANCES_OFTEN, REBALANCES_OFTEN_SECONDS)
        self._looked_at = self._ready_at = self._ends_read_at = 0.0
        self._halted_at: dict[TopicPartition, int] = {}
        self._ends: dict[TopicPartition, int] = {}
        self._marks: dict[TopicPartition, Marks] = {}

    # What the loop tells.

    def joined(self, group: str, owner: str) -> None:
        """Note that the consumer is a member of its group."""
        self._joined = True
        tell("joined", "joined group %s as %s", group, owner, group=group, owner=owner)

    def claimed(self, claims: Claims) -> None:
        """Note where claimed partitions stand."""
        self._halted_at = {name: claim.next_offset for name, claim in claims.items()}
        tell(
            "claimed", "claimed %s", ", ".join(f"{name}@{claim.next_offset}" for name, claim in sorted(claims.items()))
        )

    def begun_late(self, claims: Claims) -> None:
        """Count what a first claim recorded of logs that had lost their beginning; nothing is halted."""
        for name, claim in claims.items():
            if claim.begins_late:
                self._metrics.count("wex_incidents_total", "log_start")
                what = "%s begins at %d: what was before was never seen here"
                tell("log_start", what, name, claim.next_offset, partition=str(name))

    def fetched(self, records: Mapping[TopicPartition, Sequence[Record]]) -> None:
        """Note when fetched records were written."""
        now = self._metrics.now()
        for name, of_partition in records.items():
            first, last, marks = of_partition[0], of_partition[-1], self._marks_of(name)
            marks.add(first.offset, min(now, first.timestamp_ms / 1000))  # a producer's clock may be ahead
            marks.add(last.next_offset, min(now, last.timestamp_ms / 1000))

    def applied(self, chunk: Chunk, prepared: Prepared, applied: Applied, seconds: float) -> None:
        """Count what a transaction did, and name the records that it set aside."""
        count = self._metrics.count
        self._metrics.observe("wex_apply_seconds", seconds)
        self._metrics.observe("wex_batch_records", len(chunk))
        for (outcome, verb), number in prepared.outcomes.items():
            count("wex_records_total", outcome, verb, by=number)
        count("wex_merges_total", "changed", by=applied.rows_changed - applied.rows_contested)
        count("wex_merges_total", "contested", by=applied.rows_contested)
        count("wex_merges_total", "unchanged", by=applied.executions - applied.rows_changed)
        for payload in prepared.withheld:
            for code in payload.codes.values():
                count("wex_withheld_total", code)
        for letter in prepared.dead_letters:
            count("wex_dead_letters_total", letter.reason)
            where, field = f"{letter.partition}@{letter.offset}", f" in {letter.field}" if letter.field else ""
            tell("dead_letter", "dead letter %s: %s%s", where, letter.reason, field, record=where, reason=letter.reason)
        now = self._metrics.now()
        for records in filter(None, chunk.records.values()):
            self._metrics.observe("wex_latency_seconds", max(0.0, now - records[0].timestamp_ms / 1000))

    def failed(self, error: Exception) -> None:
        """Count what could not be done and is tried again."""
        if isinstance(error, SourceError):
            self._metrics.count("wex_kafka_errors_total", "logs")
        else:
            action = "stop" if isinstance(error, MisconfiguredError) else "retry"
            self._metrics.count("wex_database_errors_total", action)
        event: LogEvent = "database_misconfigured" if isinstance(error, MisconfiguredError) else "database_failed"
        tell(event, "%s; trying again", error)

    def halting(self, incident: Incident) -> None:
        """Count an incident that is about to halt its partition; again, if that has to be tried again."""
        self._metrics.count("wex_incidents_total", incident.kind)
        where = str(incident.partition)
        what = (incident.kind, incident.detail)
        tell("halted", "halting %s: %s: %s", where, *what, partition=where, kind=incident.kind)

    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        """Count a rebalance, and say so if there are too many."""
        tell("assigned", "assigned %s", ", ".join(map(str, partitions)) or "nothing")
        self._metrics.count("wex_rebalances_total")
        watch = self._rebalances_often
        if watch.happened(asyncio.get_running_loop().time()):
            self._metrics.count("wex_unstable_group_total")
            what = "unstable group: the partitions were dealt anew %d times within %.0f s. %s"
            tell("unstable_group", what, watch.times, watch.seconds, RIVALS)

    def fenced(self, error: FencedError) -> None:
        """Count a transaction whose guard did not hold."""
        tell("fenced", "fenced: %s", error)
        self._metrics.count("wex_fenced_total")

    def rejoining(self, *, fenced: bool) -> None:
        """Count that the group is joined again; if another consumer is the cause, the more urgently the more often."""
        self._metrics.count("wex_rejoins_total", "fenced" if fenced else "stalled")
        if not fenced:
            return
        tell("rival", "another consumer holds what Kafka says is ours; leaving the group and joining it again")
        watch = self._fenced_often
        if watch.happened(asyncio.get_running_loop().time()):
            self._metrics.count("wex_two_owners_total")
            what = "two owners: for the %d. time within %.0f s another consumer holds what Kafka says is ours. %s"
            tell("two_owners", what, watch.times, watch.seconds, RIVALS)

    def fetch_failed(self, error: SourceError) -> None:
        """Count a fetch that failed."""
        tell("fetch_failed", "a fetch failed, seeking back: %s", error)
        self._metrics.count("wex_kafka_errors_total", "fetch")

    def refused(self, chunk: Chunk, error: RefusedError) -> None:
        """Count a chunk that PostgreSQL refuses; one record of it is to blame."""
        tell("chunk_refused", "a chunk of %d records is refused: %s", len(chunk), error)
        self._metrics.count("wex_database_errors_total", "bisect")

    # What it sees by itself.

    def look(self) -> None:
        """Leave a view of where the consumer stands; the loop calls this whenever it turns."""
        now = self._metrics.now()
        if self._core.ready:
            self._ready_at = now
        if now - self._looked_at >= LOOK_SECONDS or now < self._looked_at:
            self._looked_at = now
            self._metrics.view = View(self._partitions(), self._joined, self._ready_at, self._ends_read_at or None)

    def _partitions(self) -> dict[TopicPartition, PartitionView]:
        claimed = self._core.next_offsets
        self._halted_at |= claimed  # where a partition stood when it was halted
        halted = {name: self._halted_at.get(name, 0) for name in self._core.halted}
        offsets = claimed | halted
        for forgotten in (self._ends, self._marks):
            for name in forgotten.keys() - offsets.keys():
                del forgotten[name]
        return {name: self._partition(name, offset, halted=name in halted) for name, offset in sorted(offsets.items())}

    def _partition(self, name: TopicPartition, offset: int, *, halted: bool) -> PartitionView:
        marks = self._marks_of(name)
        written_after = marks.written_after(offset)
        return PartitionView(
            offset, halted, self._ends.get(name), marks.first if written_after is None else written_after
        )

    async def watch_logs(self, logs: Logs) -> None:
        """Read the ends of the logs for ever; also those of halted partitions, of which nothing is fetched."""
        while True:
            await asyncio.sleep(LOGS_SECONDS if self._ends else LOOK_SECONDS)
            if names := [*self._core.next_offsets, *self._core.halted]:
                try:
                    self._ends_are(await logs(names))
                except Exception as error:  # noqa: BLE001 - whatever it is, lag is not known, and nothing else is hindered
                    self._metrics.count("wex_kafka_errors_total", "logs")
                    tell("log_ends_unknown", "%s", error)

    def _ends_are(self, logs: LogRanges) -> None:
        self._ends_read_at = self._metrics.now()
        for name, log in logs.items():
            self._ends[name] = log.end
            self._marks_of(name).add(log.end, self._ends_read_at)

    def _marks_of(self, name: TopicPartition) -> Marks:
        return self._marks.setdefault(name, Marks())
