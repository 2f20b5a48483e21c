"""Coverage: which part of the log stands behind the table, and what the log has of it no longer. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from consumer.chunk import Span
from consumer.incident_kinds import KINDS
from consumer.partition import LogRanges
from consumer.replay.log_reader import LogLostError
from events.position import TopicPartition
from store.batch import LogRange
from store.shadow import GivenUp, Standing

ALWAYS = datetime.min.replace(tzinfo=UTC)

NOTHING: Mapping[TopicPartition, Iterable[Span]] = {}


@dataclass(frozen=True, slots=True)
class Coverage:
    """What is to be read, and why that is not everything that the table was made from.

    Attributes:
        logs: each partition's log; `start` is where it is read from.
        gone: a sentence for each part of the log that is not there any more; empty if everything is.
    """

    logs: Mapping[TopicPartition, LogRange]
    gone: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether the log still holds every event of what is looked at."""
        return not self.gone


def cover(
    standings: Mapping[TopicPartition, Standing],
    logs: LogRanges,
    *,
    gaps: Mapping[TopicPartition, Iterable[Span]],
    anew: Collection[TopicPartition] = (),
    compacted: Collection[str] = (),
    since: Mapping[TopicPartition, int] | None = None,
    not_archived: Mapping[TopicPartition, Iterable[Span]] = NOTHING,
) -> Coverage:
    """Return what of the log is read.

    Args:
        standings: how far the table stands in every partition.
        logs: where the log of every partition begins and ends, in the archive if there is one, and in Kafka.
        gaps: what operators gave up.
        anew: partitions whose log an operator accepted as another one, or had read once more.
        compacted: topics that keep one event of each execution.
        since: reads partitions from later offsets on; one that is not named has nothing to be read.
        not_archived: gaps of the archive.

    Raises:
        LogLostError: a log ends before the table's position: it is not the log that was applied.
    """
    read: dict[TopicPartition, LogRange] = {}
    gone = [f"{topic} is compacted" for topic in sorted({partition.topic for partition in standings} & set(compacted))]
    for partition, standing in sorted(standings.items()):
        end = standing.next_offset
        log = logs.get(partition, LogRange(end, end, standing.topic_id))
        _compare(partition, standing, log)
        wanted = 0 if since is None else since.get(partition, end)
        read[partition] = log._replace(start=min(max(wanted, log.start), end))
        if partition not in logs:
            gone.append(f"Kafka has no partition {partition}")
        elif wanted < read[partition].start:
            gone.append(f"the log of {partition} begins at {log.start}")
        if partition in anew:
            gone.append(f"the log of {partition} was accepted as another one")
        lacking = ((a, b) for a, b in not_archived.get(partition, ()) if b > wanted and a < end)
        gone += [f"the archive of {partition} lacks {a} to {b - 1}" for a, b in lacking]
        gone += [f"{partition} was given up from {a} to {b - 1}" for a, b in gaps.get(partition, ()) if b > wanted]
    return Coverage(read, tuple(gone))


def _compare(partition: TopicPartition, standing: Standing, log: LogRange) -> None:
    """Demand that a log is the one that was applied."""
    if log.end < standing.next_offset:
        where = f"ends at {log.end}, before the position {standing.next_offset}"
        msg = f"the log of {partition} {where}: it was made anew or truncated, or only a part of it was archived"
        raise LogLostError(msg)
    if None not in (log.topic_id, standing.topic_id) and log.topic_id != standing.topic_id:
        msg = f"the topic of {partition} was made anew: its id is {log.topic_id}, the table's {standing.topic_id}"
        raise LogLostError(msg)


def gaps(decisions: Iterable[GivenUp]) -> dict[TopicPartition, list[Span]]:
    """Return the offsets that were given up and never read after all: going back reads them again."""
    found: dict[TopicPartition, list[Span]] = {}
    for partition, accepted_from, accepted_to, *_ in decisions:
        spans = found.setdefault(partition, [])
        if accepted_to > accepted_from:
            spans.append(Span(accepted_from, accepted_to))
        else:
            cut = (Span(span.from_offset, min(span.next_offset, accepted_to)) for span in spans)
            found[partition] = [span for span in cut if span.from_offset < span.next_offset]
    return {partition: sorted(spans) for partition, spans in found.items() if spans}


def begun_anew(decisions: Iterable[GivenUp], *, since: datetime = ALWAYS) -> set[TopicPartition]:
    """Return the partitions whose log may be another one than that from which the table has its first rows."""
    anew = {kind for kind, meant in KINDS.items() if meant.another_log}
    return {
        each.partition
        for each in decisions
        if each.decided_at >= since and (each.accepted_to <= each.accepted_from or each.kind in anew)
    }


def readable(span: Span, gaps_: Iterable[Span]) -> list[Span]:
    """Return the parts of a span that lie outside of its gaps."""
    parts = []
    start = span.from_offset
    for gap in gaps_:
        if start < min(gap.from_offset, span.next_offset):
            parts.append(Span(start, min(gap.from_offset, span.next_offset)))
        start = max(start, gap.next_offset)
    if start < span.next_offset:
        parts.append(Span(start, span.next_offset))
    return parts
