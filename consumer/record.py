"""A record of Kafka as the consumer sees it: coordinates and bytes, nothing decoded."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from store.batch import Anchor

LOG_APPEND_TIME = 1  # the type of a timestamp that is the broker's


class Fault(NamedTuple):
    """Why a record is set aside without a look at its value: what the Kafka client cannot read.

    Attributes:
        last_offset: set where the record stands for a whole batch, of which no record can be told from another.
    """

    reason: str
    field: str
    detail: str
    last_offset: int | None = None


class Record(NamedTuple):
    """One record; `timestamp_ms` is the producer's clock, or the broker's (`log_append_time`), since 1970."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    fault: Fault | None = None
    log_append_time: bool = False

    @property
    def size(self) -> int:
        """Bytes of the value."""
        return len(self.value or b"")

    @property
    def next_offset(self) -> int:
        """The first offset after what this record stands for."""
        if self.fault is None or self.fault.last_offset is None:
            return self.offset + 1
        return self.fault.last_offset + 1

    @property
    def anchor(self) -> Anchor | None:
        """What tells this record from any other at the same offset; None for a batch, which is not read as a record."""
        if self.fault is not None and self.fault.last_offset is not None:
            return None
        digest = hashlib.sha256(self.timestamp_ms.to_bytes(8, signed=True))
        for part in (self.key, self.value):
            digest.update(b"\x00" if part is None else b"\x01" + len(part).to_bytes(8) + part)
        return Anchor(self.offset, digest.digest())


def from_client(r: Any) -> Record:  # noqa: ANN401 - the Kafka client ships no type information
    """Return a record that the Kafka client has read."""
    of_the_broker = r.timestamp_type == LOG_APPEND_TIME
    return Record(r.offset, r.timestamp, r.key, r.value, tuple(r.headers), None, of_the_broker)


class Stretch(NamedTuple):
    """A part of a partition's log: its records, and the offsets that it goes from and up to.

    The last of its offsets may have no records: transaction markers, aborted transactions, what compaction took.
    """

    from_offset: int
    next_offset: int
    records: Sequence[Record]
