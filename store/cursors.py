"""Cursors: where in a list a page begins, as an opaque text that only fits the list it came from.

A cursor names the last row seen, not a number of rows: so a page costs the same at any depth, and rows that come or go
elsewhere shift nothing. It is not signed: whoever makes one up can ask for nothing but another place of his own list.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self
from uuid import UUID

from events.limits import TIME_MAX, TIME_MIN

VERSION = 1
TEXT_LENGTH = 64

# version, backward, digest of filter and order, moment and time in microseconds, id
_LAYOUT = struct.Struct(">BB8sqq16s")
_CHECKSUM_BYTES = 6  # makes 48 bytes, which are 64 letters without padding
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DAMAGED = "the cursor is damaged; pass it on as it was given"
_OLD = "the cursor is of another version of this service; ask for the first page again"
_FOREIGN = "the cursor belongs to another filter or order; ask for the first page of this one"


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place between two rows of a list.

    Attributes:
        moment: when the first page was asked for, which relative times of the filter go by.
        time: the value of the order's column in the row beside the place.
        id: that row's id.
        backward: whether the page ends before the place, instead of beginning after it.
    """

    moment: datetime
    time: datetime
    id: UUID
    backward: bool = False

    def encode(self, digest: bytes) -> str:
        """Return the text of a cursor of the list with this digest."""
        times = _microseconds(self.moment), _microseconds(self.time)
        packed = _LAYOUT.pack(VERSION, self.backward, digest, *times, self.id.bytes)
        return base64.urlsafe_b64encode(packed + _checksum(packed)).decode()

    @classmethod
    def decode(cls, text: str, digest: bytes) -> Self:
        """Return the cursor of a text, which must be of the list with this digest.

        Raises:
            ValueError: it is damaged, of another version, or of another list.
        """
        _, backward, its_digest, moment, time, id_ = _LAYOUT.unpack(_unpacked(text))
        if its_digest != digest:
            raise ValueError(_FOREIGN)
        if backward > 1:
            raise ValueError(_DAMAGED)
        return cls(_time(moment), _time(time), UUID(bytes=id_), bool(backward))


def _unpacked(text: str) -> bytes:
    try:
        packed = base64.b64decode(text, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise ValueError(_DAMAGED) from None
    body, checksum = packed[:-_CHECKSUM_BYTES], packed[-_CHECKSUM_BYTES:]
    canonical = base64.urlsafe_b64encode(packed).decode() == text  # Python reads more than it writes
    if not (canonical and body) or checksum != _checksum(body):
        raise ValueError(_DAMAGED)
    if body[0] != VERSION:
        raise ValueError(_OLD)
    if len(body) != _LAYOUT.size:
        raise ValueError(_DAMAGED)
    return body


def _checksum(packed: bytes) -> bytes:
    return hashlib.sha256(packed).digest()[:_CHECKSUM_BYTES]


def _microseconds(time: datetime) -> int:
    return (time - _EPOCH) // _MICROSECOND


def _time(microseconds: int) -> datetime:
    if not _microseconds(TIME_MIN) <= microseconds < _microseconds(TIME_MAX):
        raise ValueError(_DAMAGED)
    return _EPOCH + microseconds * _MICROSECOND
