"""The Kafka client's codecs, replaced by bounded ones: aiokafka inflates whatever a producer compressed, without limit.

The client looks its codecs up as globals of the modules that read batches, in C as in Python, so that they can be
replaced there. `install` tries every one afterwards: a version of aiokafka that no longer asks them must not start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module

from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from consumer.inflate import INFLATED_BYTES_MAX, BeyondRoomError, Buffer, Codec, InflateError, inflate

READERS = ("aiokafka.record.default_records", "aiokafka.record.legacy_records")
READERS_IN_C = ("aiokafka.record._crecords.default_records", "aiokafka.record._crecords.legacy_records")

COMPRESSING = (Codec.GZIP, Codec.SNAPPY, Codec.LZ4, Codec.ZSTD)

# The client makes objects of all that it inflates: 640 MB of the 600 bytes that are 16 MB of empty headers. Real events
# are seldom compressed better than 20 to 1; what is denser than this and not small is left to the slow path.
INFLATED_BYTES_UNDOUBTED = 2 * 1_048_576
RATIO_UNDOUBTED = 100

_room: ContextVar[Room | None] = ContextVar("room", default=None)


class TooDenseError(Exception):
    """A batch inflates to so much more than it was that the client had better not make records of it."""


class Room:
    """How much may still be inflated."""

    def __init__(self, size: int) -> None:
        self.left = size

    def inflate(self, codec: Codec, data: Buffer) -> Buffer:
        """Inflate, and take the room that it needs."""
        room = min(self.left, max(INFLATED_BYTES_UNDOUBTED, RATIO_UNDOUBTED * len(data)))
        try:
            inflated = inflate(codec, data, room)
        except BeyondRoomError as error:
            if room < self.left:
                raise TooDenseError(str(error)) from None
            raise
        self.left -= len(inflated)
        return inflated


@contextmanager
def inflating_at_most(size: int) -> Iterator[None]:
    """Let the client inflate so many bytes altogether in this context; one byte more is a `BeyondRoomError`."""
    token = _room.set(Room(size))
    try:
        yield
    finally:
        _room.reset(token)


def install() -> None:
    """Replace the codecs, and see that the client uses these.

    Raises:
        RuntimeError: the client inflates in some other way.
    """
    for name in (*READERS, *READERS_IN_C):
        try:
            reader = import_module(name)
        except ImportError:  # aiokafka without its parts in C
            if name in READERS_IN_C:
                continue
            raise
        for codec in COMPRESSING:
            function = f"{codec.name.lower()}_decode"
            if hasattr(reader, function):
                setattr(reader, function, _bounded(codec))
    for codec in COMPRESSING:
        builders = [DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 1_000)]
        builders[0].append(0, 0, b"", bytes(100), [])
        if codec is not Codec.ZSTD:  # which came after the old format
            builders.append(LegacyRecordBatchBuilder(1, codec, 1_000))
            builders[1].append(0, 0, b"", bytes(100))
        for builder in builders:
            if not _is_bounded(bytes(builder.build())):
                msg = f"{type(builder).__module__}: this version of aiokafka inflates {codec.name} without a bound"
                raise RuntimeError(msg)


def _bounded(codec: Codec) -> Callable[[Buffer], Buffer]:
    def decode(data: Buffer) -> Buffer:
        room = _room.get() or Room(INFLATED_BYTES_MAX)
        try:
            return room.inflate(codec, data)
        except InflateError as error:
            msg = f"{codec.name.lower()}: {error}"
            raise CorruptRecordException(msg) from error

    return decode


def _is_bounded(batch: bytes) -> bool:
    try:
        with inflating_at_most(0):
            list(MemoryRecords(batch).next_batch())
    except BeyondRoomError:
        return True
    return False
