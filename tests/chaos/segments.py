"""The log as it lies on the broker's disk, read without any client: every record, marker and aborted transaction.

It shares nothing with the consumer's way of reading, so that the two cannot be wrong together. Only what the campaign's
producers write is understood: record batches of the second format, uncompressed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

BATCH = struct.Struct(">qiibIhiqqqhii")  # base offset … number of records
LENGTH_FROM = 12  # a batch's length counts from behind itself
TRANSACTIONAL, CONTROL, COMPRESSION = 0x10, 0x20, 0x07
COMMIT = 1


class LogRecord(NamedTuple):
    """A record of the log, in bytes."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[bytes, bytes | None], ...]


@dataclass
class PartitionLog:
    """One partition.

    Attributes:
        records: what a reader of committed records sees, by offset.
        aborted: offsets of records that nobody may apply.
        markers: offsets that hold no records.
        open: offsets of transactions that did not end.
        end: the first offset that is not written.
    """

    records: dict[int, LogRecord] = field(default_factory=dict)
    aborted: set[int] = field(default_factory=set)
    markers: set[int] = field(default_factory=set)
    open: set[int] = field(default_factory=set)
    end: int = 0


def read_topic(log_folder: Path, topic: str) -> dict[int, PartitionLog]:
    """Every partition of a topic, from the folder that the broker keeps its logs in."""
    folders = {int(path.name.rpartition("-")[2]): path for path in log_folder.glob(f"{topic}-*") if path.is_dir()}
    return {number: read_partition(path, number) for number, path in sorted(folders.items())}


def read_partition(folder: Path, number: int) -> PartitionLog:
    """One partition, from all of its segments."""
    log = PartitionLog()
    pending: dict[int, list[LogRecord]] = {}
    for segment in sorted(folder.glob("*.log")):
        for header, body in _batches(segment.read_bytes()):
            base, attributes, last_delta, producer = header[0], header[5], header[6], header[9]
            log.end = base + last_delta + 1
            assert attributes & COMPRESSION == 0, "the campaign's producers do not compress"
            records = list(_records(header, body, number))
            if attributes & CONTROL:
                log.markers |= {record.offset for record in records}
                committed = _commits(records[0])
                for record in pending.pop(producer, []):
                    if committed:
                        log.records[record.offset] = record
                    else:
                        log.aborted.add(record.offset)
            elif attributes & TRANSACTIONAL:
                pending.setdefault(producer, []).extend(records)
            else:
                log.records |= {record.offset: record for record in records}
    log.open = {record.offset for records in pending.values() for record in records}
    return log


def _batches(data: bytes) -> Iterator[tuple[tuple[int, ...], bytes]]:
    at = 0
    while at + BATCH.size <= len(data):
        header = BATCH.unpack_from(data, at)
        end = at + LENGTH_FROM + header[1]
        if header[1] == 0 or end > len(data):
            return  # what a killed broker had not written to its end
        yield header, data[at + BATCH.size : end]
        at = end


def _commits(marker: LogRecord) -> bool:
    assert marker.key is not None, "a marker's key says what it is"
    return int.from_bytes(marker.key[2:4]) == COMMIT


def _records(header: tuple[int, ...], body: bytes, partition: int) -> Iterator[LogRecord]:
    base, first_timestamp, count = header[0], header[7], header[12]
    at = 0
    for _ in range(count):
        _, at = _varint(body, at)  # length
        timestamp_delta, at = _varint(body, at + 1)  # behind the record's attributes
        offset_delta, at = _varint(body, at)
        key, at = _bytes(body, at)
        value, at = _bytes(body, at)
        header_count, at = _varint(body, at)
        headers = []
        for _ in range(header_count):
            name, at = _bytes(body, at)
            content, at = _bytes(body, at)
            headers.append((name or b"", content))
        yield LogRecord(partition, base + offset_delta, first_timestamp + timestamp_delta, key, value, tuple(headers))


def _bytes(body: bytes, at: int) -> tuple[bytes | None, int]:
    length, at = _varint(body, at)
    return (None, at) if length < 0 else (body[at : at + length], at + length)


def _varint(body: bytes, at: int) -> tuple[int, int]:
    shift = raw = 0
    while True:
        byte = body[at]
        at += 1
        raw |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (raw >> 1) ^ -(raw & 1), at
        shift += 7
