"""How an archive lies in a folder, and what its parts must be to each other. Pure, but for the shapes of paths.

    FOLDER/topic=workflow-executions/partition=0/
        00000000000000000000-00000000000001000000.parquet   records 0 to 999,999
        _00000000000000000000-00000000000001000000.sha256   of that file, as `sha256sum -c` checks it
        _00000000000001000000-00000000000001000400.gap      an operator has accepted that these are missing

A name says which *offsets* a part answers for, from the first up to but without the second, and not which records it
holds: logs have holes. So the parts of a partition are complete if each begins where the one before ends, whatever
transactions and compaction have left. The folders are named as tools that query Parquet expect columns to be named, and
what such tools are to pass over begins with an underscore.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from consumer.chunk import Span
from consumer.errors import ExitCode, WexError
from events.position import TopicPartition
from store.batch import Anchor

RECORDS, GAP, CHECKSUM = ".parquet", ".gap", ".sha256"
NAME = re.compile(r"_?(\d{20})-(\d{20})(\.[a-z0-9]+)")


class ArchiveError(WexError):
    """An archive cannot be used as it is, or not for this log."""

    def __init__(self, message: str, remedy: str = "", exit_code: ExitCode = ExitCode.REFUSED) -> None:
        super().__init__(message, remedy, exit_code)


class Facts(NamedTuple):
    """What a file says of itself.

    Attributes:
        anchor: its last record that is one; what tells this log from another with the same offsets.
        latest_ms: the greatest timestamp; None if there are no records.
        value_bytes: of the records' keys and values, as they were sent.
    """

    partition: TopicPartition
    span: Span
    topic_id: UUID | None
    records: int
    value_bytes: int
    anchor: Anchor | None
    latest_ms: int | None


@dataclass(frozen=True, slots=True)
class Part:
    """A file of records, or a gap that was accepted, of which there are no facts."""

    span: Span
    path: Path
    size: int = 0
    facts: Facts | None = None


@dataclass(frozen=True, slots=True)
class Archived:
    """A partition in an archive: parts without a gap or an overlap between them; at least one."""

    partition: TopicPartition
    parts: Sequence[Part]

    @property
    def span(self) -> Span:
        """From the first offset up to but without the last."""
        return Span(self.parts[0].span.from_offset, self.parts[-1].span.next_offset)

    @property
    def facts(self) -> list[Facts]:
        """What its files say."""
        return [part.facts for part in self.parts if part.facts is not None]

    @property
    def gaps(self) -> list[Span]:
        """The offsets that are accepted to be missing."""
        return [part.span for part in self.parts if part.facts is None]

    @property
    def topic_id(self) -> UUID | None:
        """The id of the topic whose log it is; None if no broker told it."""
        return next((each.topic_id for each in self.facts if each.topic_id is not None), None)

    @property
    def anchor(self) -> Anchor | None:
        """Its last record."""
        return next((each.anchor for each in reversed(self.facts) if each.anchor is not None), None)

    def offset_at(self, time_ms: int) -> int | None:
        """Return an offset before which every record is older than a time; None if all of them are."""
        late = (
            each.span.from_offset for each in self.facts if each.latest_ms is not None and each.latest_ms >= time_ms
        )
        return next(late, None)


def folder_of(root: Path, partition: TopicPartition) -> Path:
    """Return where a partition's parts lie."""
    return topic_folder(root, partition.topic) / f"partition={partition.partition}"


def topic_folder(root: Path, topic: str) -> Path:
    """Return where a topic's partitions lie."""
    return root / f"topic={topic}"


def name_of(span: Span, kind: str) -> str:
    """Return the name of a part, or of a checksum."""
    return f"{'' if kind == RECORDS else '_'}{span.from_offset:020}-{span.next_offset:020}{kind}"


def read_name(name: str) -> tuple[Span, str] | None:
    """Return what a name says; None if it is none of ours."""
    match = NAME.fullmatch(name)
    if match is None:
        return None
    span, kind = Span(int(match[1]), int(match[2])), match[3]
    return (span, kind) if span.from_offset < span.next_offset and name == name_of(span, kind) else None


def check_contiguous(partition: TopicPartition, parts: Iterable[Part]) -> None:
    """Demand that each part begins where the one before ends.

    Raises:
        ArchiveError: there is a gap, or an overlap.
    """
    before: Part | None = None
    for part in parts:
        end = part.span.from_offset if before is None else before.span.next_offset
        if part.span.from_offset > end:
            message = f"the archive of {partition} lacks {end} to {part.span.from_offset - 1}, before {part.path}"
            raise ArchiveError(message, "Bring the file back that was there, from a copy of the archive.")
        if part.span.from_offset < end and before is not None:
            message = (
                f"{part.path} begins at {part.span.from_offset}, and {before.path.name} ends at {end}: they overlap"
            )
            raise ArchiveError(message, "Take the one away that does not belong there.")
        before = part


def check_follows(archived: Archived, start: int, end: int, topic_id: UUID | None) -> None:
    """Demand that a log goes on where an archive ends.

    Args:
        archived: the archive of a partition.
        start: where its log begins.
        end: where its log ends.
        topic_id: of its topic.

    Raises:
        ArchiveError: it is another log, or there is a gap between the two.
    """
    name, ends = archived.partition, archived.span.next_offset
    other = f"Name a folder that holds this log; {archived.parts[0].path.parents[1]} holds another."
    if None not in (topic_id, archived.topic_id) and topic_id != archived.topic_id:
        message = f"the topic of {name} was made anew: its id is {topic_id}, the archive's {archived.topic_id}"
        raise ArchiveError(message, other)
    if end < ends:
        message = f"the log of {name} ends at {end}, the archive at {ends}: it was made anew or truncated"
        raise ArchiveError(message, other)
    if start > ends:
        message = (
            f"the archive of {name} ends at {ends}, the log begins at {start}: {ends} to {start - 1} are in neither"
        )
        remedy = f"What is gone is gone: `wex archive FOLDER --accept-gap {name}@{start}` goes on behind it."
        raise ArchiveError(message, remedy)


def split(span: Span, archived: Span | None) -> tuple[Span, Span, Span]:
    """Return what of a span comes from the log, then from an archive, then from the log again; each may be empty.

    An archive is read though the log may hold the same: retention does not wait until it was read.
    """
    start, end = span.from_offset, max(span)
    if archived is None:
        return Span(start, start), Span(start, start), Span(start, end)
    first = min(max(start, archived.from_offset), end)
    second = min(max(first, archived.next_offset), end)
    return Span(start, first), Span(first, second), Span(second, end)
