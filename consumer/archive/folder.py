"""Reading an archive: what a folder covers, whether it is whole, and its records.

What is looked at first are names and footers, which costs little: gaps, overlaps, and files that lie elsewhere than
where they were written are found there. A file's checksum is compared whenever it is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from consumer.archive import parquet
from consumer.archive.layout import (
    CHECKSUM,
    GAP,
    RECORDS,
    Archived,
    ArchiveError,
    Part,
    check_contiguous,
    folder_of,
    name_of,
    read_name,
    topic_folder,
)
from consumer.chunk import Span
from consumer.errors import ExitCode
from consumer.record import Stretch
from events.position import TopicPartition

COPY = "Bring it back from a copy of the archive."
FOREIGN = "Take it away: a folder of an archive holds nothing else."


def partitions(root: Path, topics: Collection[str] | None = None) -> list[TopicPartition]:
    """Return the partitions that an archive has folders of; of these topics, or of all.

    Raises:
        ArchiveError: there is no archive there, or something else lies within it.
    """
    there = [_value(path, "topic") for path in _within(root)]
    if not there:
        message = f"there is no archive in {root}"
        raise ArchiveError(message, "`wex archive FOLDER` makes one; is the folder's name right?", ExitCode.NOT_FOUND)
    found = [
        TopicPartition(topic, _number(path))
        for topic in there
        if topics is None or topic in topics
        for path in _within(topic_folder(root, topic))
    ]
    return sorted(found)


def open_partition(root: Path, partition: TopicPartition) -> Archived | None:
    """Return what an archive has of a partition; None if a run was interrupted before it had anything.

    Raises:
        ArchiveError: something is missing, damaged, overlaps, or does not belong there.
    """
    parts = []
    for path in _within(folder_of(root, partition)):
        named = read_name(path.name)
        if named is None:
            raise ArchiveError(f"{path} is no part of an archive", FOREIGN)
        span, kind = named
        if kind == GAP:
            parts.append(Part(span, path))
        elif kind == RECORDS:
            parts.append(_file(path, partition, span))
        elif kind != CHECKSUM:
            raise ArchiveError(f"{path} is no part of an archive", FOREIGN)
    if not parts:
        return None
    parts.sort(key=lambda part: part.span)
    check_contiguous(partition, parts)
    archived = Archived(partition, parts)
    ids = {each.topic_id for each in archived.facts} - {None}
    if len(ids) > 1:
        message = (
            f"the files in {folder_of(root, partition)} are of topics with several ids: {', '.join(map(str, ids))}"
        )
        raise ArchiveError(message, "Take those away that are of another log.")
    return archived


def read_archive(root: Path, topics: Collection[str] | None = None) -> dict[TopicPartition, Archived]:
    """Return what an archive has; of these topics, or of all.

    Raises:
        ArchiveError: there is no archive there, or a part of it is missing, damaged or too many.
    """
    opened = (open_partition(root, partition) for partition in partitions(root, topics))
    return {archived.partition: archived for archived in opened if archived is not None}


class Survey(NamedTuple):
    """What there is in an archive, and what is wrong with it: at most one thing of each part."""

    archived: list[Archived]
    problems: list[ArchiveError]


def survey(
    root: Path,
    topics: Collection[str] | None = None,
    *,
    records: bool = False,
    told: Callable[[int, int], None] = lambda _, __: None,
) -> Survey:
    """Look at everything, whatever is wrong.

    Args:
        root: the archive's folder.
        topics: of these topics; None of all.
        records: reads every file whole.
        told: called with how many records were read, and of how many.

    Raises:
        ArchiveError: there is no archive.
    """
    found = Survey([], [])
    for partition in partitions(root, topics):
        try:
            archived = open_partition(root, partition)
        except ArchiveError as error:
            found.problems.append(error)
        else:
            found.archived.extend([] if archived is None else [archived])
    parts = [part for archived in found.archived for part in archived.parts if part.facts is not None and records]
    total = sum(part.facts.records for part in parts if part.facts)
    done = 0
    for part in parts:
        try:
            check_records(part)
        except ArchiveError as error:
            found.problems.append(error)
        done += part.facts.records if part.facts else 0
        told(done, total)
    return found


def read_stretches(archived: Archived, span: Span) -> Iterator[Stretch]:
    """Yield what an archive has of a partition within a span that it covers; gaps are passed over.

    Raises:
        ArchiveError: a file is damaged.
    """
    at = span.from_offset
    for part in archived.parts:
        end = min(part.span.next_offset, span.next_offset)
        if end <= at:
            continue
        if part.facts is not None:
            check_whole(part)
            for records in parquet.read_records(part.path):
                kept = [record for record in records if record.next_offset > at and record.offset < end]
                if kept:
                    next_offset = min(kept[-1].next_offset, end)
                    yield Stretch(at, next_offset, kept)
                    at = next_offset
        if at < end:
            yield Stretch(at, end, ())
            at = end
        if at == span.next_offset:
            return


def check_whole(part: Part) -> None:
    """Demand that a file is what was written.

    Raises:
        ArchiveError: it differs from its checksum, or has none.
    """
    path = part.path
    beside = path.with_name(name_of(part.span, CHECKSUM))
    try:
        wanted = beside.read_text(encoding="ascii").split()[0]
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError, IndexError) as error:
        message = f"{path} cannot be compared with its checksum: {error}"
        raise ArchiveError(message, COPY) from error
    if found != wanted:
        message = f"{path} is damaged: its SHA-256 is not the one in {beside.name}"
        raise ArchiveError(message, COPY)


def check_records(part: Part) -> None:
    """Read a file whole, and demand that its records are those that its footer speaks of.

    Raises:
        ArchiveError: they are not.
    """
    if part.facts is None:
        return
    check_whole(part)
    count, last = 0, part.span.from_offset - 1
    for records in parquet.read_records(part.path):
        for record in records:
            if not last < record.offset < part.span.next_offset:
                message = f"{part.path} holds a record of {record.offset} after {last}"
                raise ArchiveError(message, COPY)
            last = record.next_offset - 1
        count += len(records)
    if count != part.facts.records:
        message = f"{part.path} holds {count} records, its footer speaks of {part.facts.records}"
        raise ArchiveError(message, COPY)


def _file(path: Path, partition: TopicPartition, span: Span) -> Part:
    facts = parquet.read_facts(path)
    if (facts.partition, facts.span) != (partition, span):
        was = f"{facts.partition}, {name_of(facts.span, RECORDS)}"
        message = f"{path} was renamed or lies in the wrong place: it says that it is {was}"
        raise ArchiveError(message, "Put it back there, or take it away.")
    return Part(span, path, path.stat().st_size, facts)


def _within(folder: Path) -> list[Path]:
    """What lies in a folder and is not hidden."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ArchiveError(f"{folder} cannot be read: {error.strerror}", "Is it a folder that may be read?") from error


def _value(path: Path, column: str) -> str:
    name, _, value = path.name.partition("=")
    if name != column or not value or not path.is_dir():
        raise ArchiveError(f"{path} is no part of an archive", FOREIGN)
    return value


def _number(path: Path) -> int:
    value = _value(path, "partition")
    if not value.isdecimal() or str(int(value)) != value:
        raise ArchiveError(f"{path} is no part of an archive", FOREIGN)
    return int(value)
