"""Files that are whole or not there: written under a hidden name, on the disk, and only then named.

Whatever is killed when leaves nothing that passes for a file of an archive, and nothing that hinders the next run.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self
from uuid import UUID

from consumer.archive.layout import CHECKSUM, GAP, RECORDS, ArchiveError, folder_of, name_of, read_name
from consumer.archive.parquet import Writer
from consumer.chunk import Span
from consumer.errors import ExitCode
from consumer.record import Record, Stretch
from events.position import TopicPartition

GROUP_RECORDS = 10_000  # of a row group: what is held while writing, and while reading
GROUP_BYTES = 16 * 1_048_576  # of values
FILE_RECORDS = 1_000_000  # a file is hashed whole before it is used, and an interruption costs a part of one
FILE_BYTES = 256 * 1_048_576  # of values, before compression
UNFINISHED = ".unfinished"


class Files:
    """The files of one partition, one after the other; a context manager that keeps what was read before an error.

    Raises:
        ArchiveError: at any time, a file cannot be written; nothing of it is kept.
    """

    def __init__(self, root: Path, name: TopicPartition, topic_id: UUID | None, from_offset: int) -> None:
        self.next_offset = from_offset
        self._root = root
        self._place = folder_of(root, name)
        self._name = name
        self._topic_id = topic_id
        self._file: _File | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._finish()

    def add(self, stretch: Stretch) -> None:
        """Write what follows."""
        with self._writing():
            if self._file is None:
                _make(self._root, self._place)
                self._file = _File(self._place, self.next_offset)
            self._file.add(stretch.records)
            self.next_offset = stretch.next_offset
        if self._file.full:
            self._finish()

    def _finish(self) -> None:
        assert self._file is not None, "there is something to finish"
        with self._writing():
            self._file.finish(self._name, self.next_offset, self._topic_id)
            self._file = None

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Let go of a file that cannot be written: it does not get its name."""
        try:
            with _writable(self._place):
                yield
        except BaseException:
            if self._file is not None:
                self._file.discard()
                self._file = None
            raise


class _File:
    """One file on its way: without its name until it is whole, and on the disk."""

    def __init__(self, place: Path, from_offset: int) -> None:
        self._place = place
        self._from_offset = from_offset
        self._path = place / f"{UNFINISHED}{RECORDS}"
        self._sink = _Hashed(self._path.open("wb"))
        self._writer = Writer(self._sink)  # type: ignore[arg-type] # as much of a file as is written to
        self._group: list[Record] = []
        self._room = [GROUP_RECORDS, GROUP_BYTES]
        self._left = [FILE_RECORDS, FILE_BYTES]

    def add(self, records: Sequence[Record]) -> None:
        self._group += records
        size = sum(record.size for record in records)
        for room in (self._room, self._left):
            room[0] -= len(records)
            room[1] -= size
        if min(self._room) <= 0:
            self._write_group()

    @property
    def full(self) -> bool:
        return min(self._left) <= 0

    def finish(self, name: TopicPartition, next_offset: int, topic_id: UUID | None) -> None:
        self._write_group()
        span = Span(self._from_offset, next_offset)
        self._writer.close(name, span, topic_id)
        _to_disk(self._sink.file)
        self._sink.file.close()
        # The checksum comes first: where there is a file, there is its checksum.
        checksum = f"{self._sink.digest.hexdigest()}  {name_of(span, RECORDS)}\n"
        _write_whole(self._place / name_of(span, CHECKSUM), checksum.encode())
        self._path.rename(self._place / name_of(span, RECORDS))
        _folder_to_disk(self._place)

    def discard(self) -> None:
        self._sink.file.close()
        self._path.unlink(missing_ok=True)

    def _write_group(self) -> None:
        self._writer.write(self._group)
        self._group = []
        self._room = [GROUP_RECORDS, GROUP_BYTES]


class _Hashed:
    """A file that is hashed while it is written from its first byte to its last."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.digest = hashlib.sha256()
        self.closed = False

    def write(self, data: bytes) -> int:
        if self.file.closed:
            return len(data)  # it was given up, and the writer wants to end in good order
        self.digest.update(data)
        return self.file.write(data)

    def flush(self) -> None:
        """Do nothing: the file goes to the disk as a whole."""

    def close(self) -> None:
        self.closed = True  # the file itself is closed when it is on the disk


@contextmanager
def _writable(place: Path) -> Iterator[None]:
    """Say what cannot be written, and what to do."""
    try:
        yield
    except OSError as error:
        message = f"{place} cannot be written: {error.strerror or error}"
        raise ArchiveError(message, "Make room or mend the rights; the next run goes on.", ExitCode.ERROR) from error


def _write_whole(path: Path, content: bytes) -> None:
    """Write a small file so that it is there whole or not at all."""
    unfinished = path.with_name(f"{UNFINISHED}{path.suffix}")
    with unfinished.open("wb") as file:
        file.write(content)
        _to_disk(file)
    unfinished.rename(path)


def _make(root: Path, place: Path) -> None:
    """Make a partition's folder, on the disk."""
    if not place.exists():
        place.mkdir(parents=True)
        for above in (place.parent, root):
            _folder_to_disk(above)


def _to_disk(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _folder_to_disk(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_gap(root: Path, name: TopicPartition, gap: Span) -> None:
    """Keep that it was accepted that offsets are missing."""
    about = {"accepted_at": datetime.now(UTC).isoformat(timespec="seconds")}
    place = folder_of(root, name)
    with _writable(place):
        _make(root, place)
        _write_whole(place / name_of(gap, GAP), json.dumps(about).encode() + b"\n")
        _folder_to_disk(place)


def clear(place: Path) -> None:
    """Remove what a killed run has left: a file without a name, and a checksum without a file."""
    lonely = [
        path
        for path in place.glob(f"*{CHECKSUM}")
        if (named := read_name(path.name)) and not (place / name_of(named[0], RECORDS)).exists()
    ]
    with _writable(place):
        for path in [*place.glob(f"{UNFINISHED}*"), *lonely]:
            path.unlink()
