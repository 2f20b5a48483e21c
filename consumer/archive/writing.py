"""A run that archives: it goes on where the folder ends, partition by partition, and can be stopped at any moment.

Nothing is committed to Kafka and no group is joined: consumers do not notice. Where one partition cannot be gone on
with, the others are: retention does not wait.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from consumer.archive import folder
from consumer.archive.files import Files, clear, write_gap
from consumer.archive.layout import ArchiveError, folder_of
from consumer.chunk import Span
from consumer.errors import ExitCode, WexError
from consumer.replay.log_reader import LogLostError, read
from consumer.replay.log_source import LogSource
from consumer.replay.whole_log import check_continues
from events.position import TopicPartition
from store.batch import LogRange

LOCK = ".lock"

Told = Callable[[int, int], None]


@dataclass(slots=True)
class Outcome:
    """What a run did.

    Attributes:
        written: offsets that were archived, by partition.
        refused: why a partition was not gone on with.
    """

    written: dict[TopicPartition, Span] = field(default_factory=dict)
    refused: list[WexError] = field(default_factory=list)


async def archive(
    source: LogSource,
    root: Path,
    topics: tuple[str, ...],
    *,
    accepted: Mapping[TopicPartition, int],
    told: Told = lambda _, __: None,
) -> Outcome:
    """Archive what the logs of some topics hold, up to where they end now.

    Args:
        source: Kafka.
        root: the archive's folder; it is made if it is missing.
        topics: whose logs.
        accepted: gaps: partitions, and the offsets behind what is missing.
        told: called with how many offsets are archived, and of how many.

    Raises:
        ArchiveError: another run is at work, a topic is missing, a gap that is not there was accepted, or the folder
            cannot be written.
        SourceError: no broker answers.
    """
    with _locked(root):
        logs = await source.ranges(topics)
        if missing := sorted(set(topics) - {name.topic for name in logs}):
            message = f"Kafka has no topic {', '.join(missing)}"
            raise ArchiveError(message, "--topics names those to archive.", ExitCode.NOT_FOUND)
        if unknown := sorted(accepted.keys() - logs.keys()):
            message = f"Kafka has no partition {', '.join(map(str, unknown))}"
            raise ArchiveError(message, "--accept-gap TOPIC/PARTITION@OFFSET names one that is archived.")
        outcome = Outcome()
        spans = {}
        for name, log in logs.items():
            try:
                spans[name] = await _span(source, root, name, log, accepted.get(name))
            except WexError as error:
                outcome.refused.append(error)
        total = sum(span.next_offset - span.from_offset for span in spans.values())
        done = 0
        for name, span in spans.items():
            with Files(root, name, logs[name].topic_id, span.from_offset) as files, _refusing(outcome):
                async for stretches in read(source, {name: span}):
                    files.add(stretches[name])
                    told(done + files.next_offset - span.from_offset, total)
            done += files.next_offset - span.from_offset
            outcome.written[name] = Span(span.from_offset, files.next_offset)
        return outcome


@contextmanager
def _refusing(outcome: Outcome) -> Iterator[None]:
    """Go on with the other partitions where one cannot be read on."""
    try:
        yield
    except LogLostError as error:
        remedy = "--accept-gap TOPIC/PARTITION@OFFSET goes on behind what cannot be read."
        outcome.refused.append(WexError(str(error), remedy, ExitCode.REFUSED))


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Have this process alone write into a folder; the lock ends with the process, however that ends."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(root / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        message = f"{root} cannot be written: {error.strerror}"
        raise ArchiveError(message, "Name a folder that may be written.", ExitCode.ERROR) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ArchiveError(f"another `wex archive` writes into {root}", "Wait for it, or stop it.") from error
        yield
    finally:
        os.close(descriptor)


async def _span(source: LogSource, root: Path, name: TopicPartition, log: LogRange, accepted: int | None) -> Span:
    """Return what of a partition's log is to be archived, and clear away what a killed run has left."""
    clear(folder_of(root, name))
    archived = folder.open_partition(root, name)
    ends = log.start if archived is None else archived.span.next_offset
    if accepted is not None:
        _check_gap(name, Span(ends, accepted), log)
        write_gap(root, name, Span(ends, accepted))
        archived = folder.open_partition(root, name)
        ends = accepted
    if archived is not None:
        await check_continues(source, archived, log)
    return Span(ends, log.end)


def _check_gap(name: TopicPartition, gap: Span, log: LogRange) -> None:
    if not gap.from_offset < gap.next_offset <= log.end:
        message = f"there is no gap in {name} up to {gap.next_offset}: the archive ends at {gap.from_offset}"
        raise ArchiveError(message, f"The log goes from {log.start} to {log.end}.", ExitCode.USAGE)
