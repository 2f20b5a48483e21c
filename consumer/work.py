"""What the core asks the shell to do: commands for the source, and work that takes time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from consumer.chunk import Chunk, Prepared
from events.position import TopicPartition
from store.batch import Claim, Incident, Move


# What the source is to do, at once and without waiting.
@dataclass(frozen=True, slots=True)
class Pause:
    """Stop fetching partitions."""

    partitions: tuple[TopicPartition, ...]


@dataclass(frozen=True, slots=True)
class Seek:
    """Fetch a partition from an offset on."""

    partition: TopicPartition
    offset: int


@dataclass(frozen=True, slots=True)
class Resume:
    """Fetch partitions again."""

    partitions: tuple[TopicPartition, ...]


SourceCommand = Pause | Seek | Resume


# Work that takes time; the shell reports its end by the method that each names.
@dataclass(frozen=True, slots=True)
class ClaimPartitions:
    """Claim partitions under a fresh random token → `claimed` or `database_failed`."""

    generation: int
    partitions: tuple[TopicPartition, ...]


@dataclass(frozen=True, slots=True)
class Resync:
    """Read the claims, on a new connection after a failure → `resynced` or `database_failed`."""

    generation: int
    reconnect: bool = True


@dataclass(frozen=True, slots=True)
class PrepareChunk:
    """Decode and fold a chunk → `prepared`."""

    chunk: Chunk


@dataclass(frozen=True, slots=True)
class ApplyChunk:
    """Apply a prepared chunk in one transaction → `applied`, `refused`, `fenced` or `database_failed`."""

    chunk: Chunk
    work: Prepared
    moves: Mapping[TopicPartition, Move]


@dataclass(frozen=True, slots=True)
class HaltPartition:
    """Halt a partition in the table, at the position that the incident is about → `halted_in_table` or a failure.

    The failures are `fenced` and `database_failed`.
    """

    token: UUID
    next_offset: int
    incident: Incident

    def still_stands(self, claim: Claim | None, *, moving: bool) -> bool:
        """Whether the partition is still ours to halt; a halt whose answer was lost is in the table already.

        Args:
            claim: the row.
            moving: a chunk is on its way that moves the position to where it is to be halted.
        """
        if claim is None or claim.halted or claim.token != self.token:
            return False
        return moving or claim.next_offset == self.next_offset


@dataclass(frozen=True, slots=True)
class BackOff:
    """Wait before the next try, longer after more failures in a row → `waited`."""

    failures: int


@dataclass(frozen=True, slots=True)
class Rejoin:
    """Leave the group and join it again as a new client → `rejoined`.

    Attributes:
        fenced: because another consumer holds what Kafka says is ours, if it still does after a while; otherwise
            because the client brings nothing although there is more.
    """

    generation: int
    fenced: bool


@dataclass(frozen=True, slots=True)
class Release:
    """Give up the claims → `released` or `database_failed`."""

    tokens: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Finish:
    """Leave the group and end; `problem` says why if not because it was asked to."""

    problem: str = ""


DatabaseWork = ClaimPartitions | Resync | ApplyChunk | HaltPartition | BackOff | Rejoin | Release | Finish
Work = DatabaseWork | PrepareChunk
