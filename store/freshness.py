"""How fresh an answer is: which records of the log it has in it at least."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from events.position import Position


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedPartition:
    """How far a partition was applied.

    Attributes:
        next_offset: the first offset that was not.
        halted: whether an incident holds the partition.
        moved_at: when the position last moved, by the database's clock.
        age_seconds: how long ago that was; in a log to which nobody writes it grows, and means nothing.
    """

    topic: str
    partition: int
    next_offset: int
    halted: bool
    moved_at: datetime
    age_seconds: float


@dataclass(frozen=True, slots=True)
class Freshness:
    """What an answer has in it at least. How much more the log holds, only the consumer's metrics know.

    Attributes:
        partitions: all that have a position, sorted.
    """

    partitions: tuple[AppliedPartition, ...] = ()

    def covers(self, position: Position) -> bool:
        """Return whether the record at a position is in the answer."""
        return any(
            (each.topic, each.partition) == (position.topic, position.partition) and each.next_offset > position.offset
            for each in self.partitions
        )


def freshness(records: Sequence[asyncpg.Record]) -> Freshness:
    """Return the freshness in the records of `read_freshness`."""
    return Freshness(tuple(AppliedPartition(**record) for record in records))
