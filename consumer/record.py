"""A record of Kafka as the consumer sees it: coordinates and bytes, nothing decoded."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from store.batch import Anchor


class Record(NamedTuple):
    """One record; `timestamp_ms` is the broker's or the producer's clock, milliseconds since 1970."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()

    @property
    def size(self) -> int:
        """Bytes of the value."""
        return len(self.value or b"")

    @property
    def anchor(self) -> Anchor:
        """What tells this record from any other at the same offset."""
        digest = hashlib.sha256(self.timestamp_ms.to_bytes(8, signed=True))
        for part in (self.key, self.value):
            digest.update(b"\x00" if part is None else b"\x01" + len(part).to_bytes(8) + part)
        return Anchor(self.offset, digest.digest())
