"""Inflating what producers compressed, but never beyond a given room: 6 kB of zstd can be 200 MB of zeros. Pure.

Every function stops as soon as the room is used up, and never holds more than that: gzip is inflated piece by piece,
a block of snappy says its length in advance, and zstd and lz4 write into a buffer of bounded size, of which larger
ones are tried until the room is reached. What was inflated in vain is freed at once, not when the error is forgotten.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from enum import IntEnum

import cramjam

# What one batch may be inflated to, and one fetch altogether. A batch is 1 MiB by the brokers' default, and real events
# are seldom compressed better than 20 to 1; three times as much fits, and a container of 512 MiB bears it.
INFLATED_BYTES_MAX = 64 * 1_048_576

GZIP_FORMAT = 16 + zlib.MAX_WBITS  # zlib's way to say: with the header and the checksum of gzip
GZIP_MEMBERS_MAX = 100  # producers write one; each costs a copy of all that follows it
PIECE_BYTES = 1_048_576  # of gzip, inflated at a time
BUFFER_BYTES_MIN = 65_536  # the first buffer tried; batches are 16 kB unless a producer is told otherwise
USUAL_RATIO = 8  # few batches of JSON are compressed better than this, so the first buffer nearly always does
GROWTH = 8  # the buffers that were too small together cost a seventh of the one that is not

XERIAL = b"\x82SNAPPY\x00" + struct.pack(">ii", 1, 1)  # Java's framing of snappy: blocks, each after its length
BUFFER_IS_FULL = "failed to write whole buffer"  # cramjam tells this only in words

Buffer = bytes | bytearray | memoryview


class Codec(IntEnum):
    """Kafka's numbers."""

    NONE = 0
    GZIP = 1
    SNAPPY = 2
    LZ4 = 3
    ZSTD = 4


class InflateError(Exception):
    """The data cannot be inflated: it is damaged, or not of this codec."""


class BeyondRoomError(Exception):
    """The data inflates to more than there is room for."""

    def __init__(self, room: int) -> None:
        super().__init__(f"inflates to more than {room} bytes")


def inflate(codec: Codec, data: Buffer, room: int) -> Buffer:
    """Return what was compressed, at most `room` bytes of it.

    Raises:
        BeyondRoomError: there is more.
        InflateError: the data is damaged.
    """
    try:
        inflated: Buffer = _BY_CODEC[codec](data, room)
    except (zlib.error, cramjam.DecompressionError) as error:
        raise InflateError(str(error)) from error
    return inflated


def _none(data: Buffer, room: int) -> Buffer:
    if len(data) > room:
        raise BeyondRoomError(room)
    return data


def _gzip(data: Buffer, room: int) -> bytearray:
    inflated = bytearray()
    rest = bytes(data)
    members = 0
    while rest:
        members += 1
        if members > GZIP_MEMBERS_MAX:
            msg = f"gzip: more than {GZIP_MEMBERS_MAX} members"
            raise InflateError(msg)
        member = zlib.decompressobj(GZIP_FORMAT)
        while not member.eof:
            piece = member.decompress(rest, PIECE_BYTES)
            rest = member.unconsumed_tail
            if not piece and not rest and not member.eof:
                msg = "gzip: the data ends too early"
                raise InflateError(msg)
            inflated += piece
            if len(inflated) > room:
                inflated.clear()
                raise BeyondRoomError(room)
        rest = member.unused_data.lstrip(b"\x00")  # a member may be padded with zeros
    return inflated


def _snappy(data: Buffer, room: int) -> bytearray:
    blocks = list(_xerial_blocks(data)) if bytes(data[: len(XERIAL)]) == XERIAL else [data]
    if sum(map(cramjam.snappy.decompress_raw_len, blocks)) > room:  # before anything of it takes memory
        raise BeyondRoomError(room)
    inflated = bytearray()
    for block in blocks:
        inflated += memoryview(cramjam.snappy.decompress_raw(block))
    return inflated


def _xerial_blocks(data: Buffer) -> Iterator[memoryview]:
    rest = memoryview(data)[len(XERIAL) :]
    while rest:
        length = int.from_bytes(rest[:4], signed=True)
        if len(rest) < 4 or not 0 <= length <= len(rest) - 4:
            msg = f"snappy: a block of {length} bytes, and {len(rest)} are left"
            raise InflateError(msg)
        yield rest[4 : 4 + length]
        rest = rest[4 + length :]


def _lz4(data: Buffer, room: int) -> bytes:
    return _into_buffer(cramjam.lz4.decompress_into, data, room)


def _zstd(data: Buffer, room: int) -> bytes:
    return _into_buffer(cramjam.zstd.decompress_into, data, room)


def _into_buffer(decompress_into: Callable[[Buffer, bytearray], int], data: Buffer, room: int) -> bytes:
    size = min(room, max(BUFFER_BYTES_MIN, USUAL_RATIO * len(data)))
    while True:
        buffer = bytearray(size)
        try:
            written = decompress_into(data, buffer)
        except cramjam.DecompressionError as error:
            buffer.clear()
            # Whatever the words: data counts as damaged only if it fails in the largest buffer as well.
            if size == room:
                if BUFFER_IS_FULL in str(error):
                    raise BeyondRoomError(room) from None
                raise
            size = min(room, GROWTH * size)
        else:
            return bytes(memoryview(buffer)[:written])  # cutting the buffer to size takes ten times as long


_BY_CODEC: dict[Codec, Callable[[Buffer, int], Buffer]] = {
    Codec.NONE: _none,
    Codec.GZIP: _gzip,
    Codec.SNAPPY: _snappy,
    Codec.LZ4: _lz4,
    Codec.ZSTD: _zstd,
}
