"""Reading record batches by ourselves: bytes as the broker sends them, to records one by one. Pure.

The Kafka client reads a batch or fails at it, for ever. Here a record that cannot be read is cut out by its own length,
and a batch that cannot be read by its own; each becomes one record with a `Fault`, which is kept as a dead letter.
What is no producer's doing is no fault: a checksum that does not hold says that the log or the way here is damaged, and
then nothing is read on.

The format is that of Kafka's message format 2, written since 0.11: a header of 61 bytes, and records of which each
begins with its length. Integers within records are zigzag varints.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from consumer.inflate import INFLATED_BYTES_MAX, BeyondRoomError, Buffer, Codec, InflateError, inflate
from consumer.record import Fault, Record, Stretch
from events.limits import HEADERS_MAX

STRETCH_BYTES_MAX = 8 * 1_048_576  # of values; as much as a chunk, so that batches just below the bound do not add up
STRETCH_RECORDS_MAX = 2_000  # as many as the client returns at once
BATCH_RECORDS_MAX = 100_000  # a batch is inflated again for every stretch of it, and real ones hold some thousands
KEPT_BYTES_MAX = 1_048_576  # of a batch that is set aside; the brokers' own default for a batch

HEADER = struct.Struct(">qiibIhiqqqhii")
LENGTH_COUNTS_FROM = 12  # a batch's length leaves out its first offset and itself
MAGIC_AT = 16
CHECKED_FROM = 21  # the checksum covers everything after itself
MAGIC = 2

CODEC_BITS, LOG_APPEND_TIME, TRANSACTIONAL, CONTROL = 0x07, 0x08, 0x10, 0x20
ABORT = b"\x00\x00"  # ends the key of a marker, after two bytes of version, if the transaction was aborted
VARINT_BYTES_MAX = 10
TIMESTAMP_LIMIT = 2**63

Checksum = Callable[[bytes], int]


class UnreadableError(Exception):
    """The log cannot be read on from an offset, and no producer's content is to blame.

    Attributes:
        kind: the incident's: `corrupt` if the bytes are damaged, otherwise `unreadable`.
        offset: of the batch, or of the fetch.
    """

    def __init__(self, kind: str, offset: int, detail: str) -> None:
        self.kind = kind
        self.offset = offset
        super().__init__(f"at offset {offset}: {detail}")


class MalformedError(Exception):
    """Bytes that a checksum has confirmed are not what the format demands."""


class Batch(NamedTuple):
    """A record batch: the fields of its header, and all its bytes."""

    base_offset: int
    attributes: int
    last_offset: int
    first_timestamp: int
    max_timestamp: int
    producer_id: int
    record_count: int
    raw: memoryview

    @property
    def log_append_time(self) -> bool:
        """Whether the timestamps are the broker's."""
        return bool(self.attributes & LOG_APPEND_TIME)

    @property
    def codec(self) -> Codec:
        """How the records are compressed.

        Raises:
            InflateError: Kafka has no such codec.
        """
        try:
            return Codec(self.attributes & CODEC_BITS)
        except ValueError as error:
            raise InflateError(str(error)) from None


def read_stretch(
    data: bytes,
    from_offset: int,
    aborted: Iterable[tuple[int, int]],
    checksum: Checksum,
    room: int = INFLATED_BYTES_MAX,
) -> Stretch:
    """Read what a broker answered to one fetch of one partition, or the first part of it if that is much.

    Args:
        data: record batches, of which the last may be cut off.
        from_offset: the offset that was asked for; the first batch may begin before it.
        aborted: producer and first offset of the aborted transactions in the data.
        checksum: CRC-32C.
        room: what one batch may be inflated to.

    Raises:
        UnreadableError: not even the first batch can be read, through no fault of its producer.
    """
    records: list[Record] = []
    next_offset, size = from_offset, 0
    try:
        for batch in _committed(_cut(memoryview(data), from_offset, checksum), aborted):
            for record in _records_of(batch, from_offset, room):
                records.append(record)
                next_offset, size = record.next_offset, size + record.size
                if size >= STRETCH_BYTES_MAX or len(records) >= STRETCH_RECORDS_MAX:
                    return Stretch(from_offset, next_offset, records)
            next_offset = max(next_offset, batch.last_offset + 1)
    except UnreadableError:
        if next_offset == from_offset:
            raise
    return Stretch(from_offset, next_offset, records)


# Batches.


def _cut(data: memoryview, from_offset: int, checksum: Checksum) -> Iterator[Batch]:
    """The batches that are there in full; a last one that is cut off is left for the next fetch."""
    position = 0
    while len(data) - position > MAGIC_AT:
        base, length, _, magic = struct.unpack_from(">qiib", data, position)
        raw = data[position : position + LENGTH_COUNTS_FROM + length]
        if magic in (0, 1):
            detail = f"a message in format {magic}, of a time before Kafka 0.11"
            raise UnreadableError("unreadable", max(base, from_offset), detail)
        if magic != MAGIC or length < HEADER.size - LENGTH_COUNTS_FROM:
            detail = f"no record batch: format {magic}, {length} bytes long"
            raise UnreadableError("corrupt", from_offset, detail)
        if len(raw) < LENGTH_COUNTS_FROM + length:
            break
        _, _, _, _, crc, attributes, delta, first, latest, producer, _, _, count = HEADER.unpack_from(raw)
        if checksum(bytes(raw[CHECKED_FROM:])) != crc:
            raise UnreadableError("corrupt", base, "the checksum of the record batch does not hold (CRC-32C)")
        yield Batch(base, attributes, base + delta, first, latest, producer, count, raw)
        position += len(raw)
    if position == 0 and len(data) > 0:
        detail = f"the answer of {len(data)} bytes does not hold the first record batch"
        raise UnreadableError("corrupt", from_offset, detail)


def _committed(batches: Iterable[Batch], aborted: Iterable[tuple[int, int]]) -> Iterator[Batch]:
    """All batches; those that hold nothing to be applied (markers, aborted transactions) without their records."""
    waiting = sorted(aborted, key=lambda transaction: transaction[1])
    aborting: set[int] = set()
    for batch in batches:
        while waiting and waiting[0][1] <= batch.base_offset:
            aborting.add(waiting.pop(0)[0])
        if batch.attributes & CONTROL:
            if _marker(batch)[2:4] == ABORT:
                aborting.discard(batch.producer_id)
            yield batch._replace(record_count=0)
        elif batch.attributes & TRANSACTIONAL and batch.producer_id in aborting:
            yield batch._replace(record_count=0)
        else:
            yield batch


def _marker(batch: Batch) -> bytes:
    """The key of a control batch's one record; a batch whose record compaction took has none."""
    try:
        keys = [record.key or b"" for record in _decode(batch, batch.raw[HEADER.size :], batch.base_offset)]
    except MalformedError as error:
        detail = f"a control batch that cannot be read: {error}"
        raise UnreadableError("unreadable", batch.base_offset, detail) from None
    return keys[0] if keys else b""


def _records_of(batch: Batch, from_offset: int, room: int) -> Iterator[Record]:
    """The records of a batch from an offset on; if it cannot be read, one record that stands for all the rest of it."""
    if batch.record_count == 0:
        return
    following = max(batch.base_offset, from_offset)
    if batch.record_count > BATCH_RECORDS_MAX:
        yield _set_aside(batch, following, "too_many_records", f"{batch.record_count}, at most {BATCH_RECORDS_MAX}")
        return
    try:
        for record in _decode(batch, inflate(batch.codec, batch.raw[HEADER.size :], room), following):
            yield record
            following = record.offset + 1
    except BeyondRoomError as error:
        yield _set_aside(batch, following, "inflates_beyond_cap", str(error))
    except (InflateError, MalformedError) as error:
        if following <= batch.last_offset:
            yield _set_aside(batch, following, "corrupt_batch", str(error))


def _set_aside(batch: Batch, offset: int, reason: str, why: str) -> Record:
    number = batch.attributes & CODEC_BITS
    codec = Codec(number).name.lower() if number in set(Codec) else f"codec {number}"
    detail = (
        f"offsets {batch.base_offset} to {batch.last_offset}: {ascii(why)[1:-1]}; "
        f"{codec}, {len(batch.raw)} bytes, sha256 {hashlib.sha256(batch.raw).hexdigest()}"
    )
    value = bytes(batch.raw) if len(batch.raw) <= KEPT_BYTES_MAX else None
    fault = Fault(reason, "", detail, batch.last_offset)
    return Record(offset, batch.max_timestamp, None, value, (), fault, batch.log_append_time)


# Records.


class _Cursor:
    """A place in bytes from which the format's primitives are read."""

    __slots__ = ("_data", "_position")

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._position = 0

    @property
    def left(self) -> int:
        """How many bytes follow."""
        return len(self._data) - self._position

    def take(self, length: int) -> memoryview:
        """Read so many bytes."""
        if not 0 <= length <= self.left:
            msg = f"{length} bytes announced, and {self.left} are left"
            raise MalformedError(msg)
        self._position += length
        return self._data[self._position - length : self._position]

    def varint(self) -> int:
        """Read an integer: seven bits a byte, the least first, then the sign in the lowest bit."""
        value = 0
        for n in range(VARINT_BYTES_MAX):
            if not self.left:
                break
            byte = self._data[self._position]
            self._position += 1
            value |= (byte & 0x7F) << 7 * n
            if byte < 0x80:
                return value >> 1 ^ -(value & 1)
        msg = "an integer that does not end"
        raise MalformedError(msg)

    def bytes_or_none(self) -> bytes | None:
        """Read bytes after their length; a length of -1 means None."""
        length = self.varint()
        return None if length == -1 else bytes(self.take(length))


def _decode(batch: Batch, inflated: Buffer, from_offset: int) -> Iterator[Record]:
    """The records of a batch from an offset on.

    Raises:
        MalformedError: records cannot be told from each other any more.
    """
    cursor = _Cursor(memoryview(inflated))
    previous = batch.base_offset - 1
    for _ in range(batch.record_count):
        raw = cursor.take(cursor.varint())
        start = _Cursor(raw)
        start.take(1)  # attributes, of which there are none
        timestamp, offset = batch.first_timestamp + start.varint(), batch.base_offset + start.varint()
        if not previous < offset <= batch.last_offset:
            msg = f"a record says that its offset is {offset}"
            raise MalformedError(msg)
        previous = offset
        if offset >= from_offset:
            yield _record(batch, offset, timestamp, start, raw)
    if cursor.left or batch.record_count < 0:
        msg = f"{batch.record_count} records announced, and {cursor.left} bytes are left after them"
        raise MalformedError(msg)


def _record(batch: Batch, offset: int, timestamp: int, cursor: _Cursor, raw: memoryview) -> Record:
    try:
        if batch.log_append_time:
            timestamp = batch.max_timestamp
        if not -TIMESTAMP_LIMIT <= timestamp < TIMESTAMP_LIMIT:
            msg = f"a timestamp of {timestamp}"
            raise MalformedError(msg)
        key, value = cursor.bytes_or_none(), cursor.bytes_or_none()
        headers, fault = _headers(cursor)
        if cursor.left:
            msg = f"{cursor.left} bytes after the last header"
            raise MalformedError(msg)
    except MalformedError as error:
        malformed = Fault("malformed_record", "", str(error))
        return Record(offset, batch.max_timestamp, None, bytes(raw), (), malformed, batch.log_append_time)
    return Record(offset, timestamp, key, value, headers, fault, batch.log_append_time)


def _headers(cursor: _Cursor) -> tuple[tuple[tuple[str, bytes | None], ...], Fault | None]:
    headers = []
    fault = None
    count = cursor.varint()
    if count < 0:
        msg = f"{count} headers announced"
        raise MalformedError(msg)
    if count > HEADERS_MAX:
        cursor.take(cursor.left)
        return (), Fault("too_many_headers", "headers", f"{count}, at most {HEADERS_MAX}")
    for n in range(count):
        name = bytes(cursor.take(cursor.varint()))
        try:
            key = name.decode()
        except UnicodeDecodeError as error:
            key = name.decode(errors="surrogateescape")  # which gives the same bytes again when it is written
            detail = f"the key of header {n + 1} of {count}: {error.reason} at byte {error.start} of {len(name)}"
            fault = fault or Fault("header_not_utf8", "headers", detail)
        headers.append((key, cursor.bytes_or_none()))
    return tuple(headers), fault
