"""What the consumer hands to a store, and what a store promises to do with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol
from uuid import UUID

from events.catalogue import Catalogue
from events.fold import State
from events.position import TopicPartition


class Anchor(NamedTuple):
    """The last applied record: its offset, and SHA-256 of its timestamp, key and value."""

    offset: int
    digest: bytes


class LogRange(NamedTuple):
    """Where a partition's log begins and ends, and the id that Kafka gave its topic; None where a broker tells none."""

    start: int
    end: int
    topic_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A partition's row in `positions`.

    Attributes:
        next_offset: the first offset that is not applied.
        token: the claim's random token; None if nobody holds it.
        halted: whether an incident holds the partition.
        fold_version: the version of the fold that wrote the table.
        topic_id: of the topic that was read so far; another topic of the same name has another one.
        begins_late: whether this claim was the first, and recorded that the log had lost its beginning.
    """

    next_offset: int
    token: UUID | None
    halted: bool
    fold_version: int
    anchor: Anchor | None = None
    topic_id: UUID | None = None
    begins_late: bool = False


class Move(NamedTuple):
    """One partition's step: from where the caller believes the position to be, to the first offset after the batch."""

    token: UUID
    from_offset: int
    next_offset: int
    anchor: Anchor | None = None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that is wrong in itself, byte for byte."""

    partition: TopicPartition
    offset: int
    timestamp_ms: int | None
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    reason: str
    field: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class WithheldPayload:
    """A record that was applied without a payload that PostgreSQL cannot hold."""

    partition: TopicPartition
    offset: int
    execution_id: UUID
    codes: Mapping[str, str]  # field → why
    value: bytes


@dataclass(frozen=True, slots=True)
class Incident:
    """Something wrong with a log, not with a record."""

    kind: str
    partition: TopicPartition
    from_offset: int | None
    to_offset: int | None
    detail: str


def begins_late(partition: TopicPartition, log_start: int) -> Incident:
    """Return the incident of a first claim on a log that has lost its beginning; nothing is halted."""
    detail = f"first start on a log that begins at {log_start}; what was before is gone"
    return Incident("log_start", partition, 0, log_start, detail)


@dataclass(slots=True)
class Batch:
    """Everything that one transaction does: the moves are the guard, the rest are their effects."""

    consumer_group: str
    moves: dict[TopicPartition, Move]
    states: Sequence[State] = ()
    catalogue: Catalogue = field(default_factory=Catalogue)
    dead_letters: Sequence[DeadLetter] = ()
    withheld: Sequence[WithheldPayload] = ()


@dataclass(frozen=True, slots=True)
class Applied:
    """What a batch did: how many executions were in it, how many rows changed, how many of those are contested now."""

    executions: int
    rows_changed: int
    rows_contested: int


class Store(Protocol):
    """Keeps executions and positions together.

    *Claiming* a partition gives it a fresh random token; *applying* a batch moves positions and writes their effects
    in one transaction, and is *fenced* (nothing at all is written) unless every move's token and offset are those
    of the row.
    """

    async def claim(
        self, consumer_group: str, logs: Mapping[TopicPartition, LogRange], token: UUID, owner: str
    ) -> dict[TopicPartition, Claim]:
        """Claim partitions; one without a row begins at its log's start, with an incident if that is not 0.

        A row that knows no topic id takes the log's; one that knows another keeps it, for the caller to see.

        Raises:
            UnavailableError: the database does not answer.
        """
        ...

    async def read_claims(self, consumer_group: str) -> dict[TopicPartition, Claim]:
        """Return every position of a group: the truth after any doubt.

        Raises:
            UnavailableError: the database does not answer.
        """
        ...

    async def apply(self, batch: Batch) -> Applied:
        """Move the positions and write their effects in one transaction.

        Raises:
            FencedError: a token or an offset differs; nothing was written.
            RefusedError: the content of some record is refused; nothing was written.
            UnavailableError: the outcome is unknown; read the claims before going on.
            MisconfiguredError: trying again will not help.
        """
        ...

    async def halt(self, consumer_group: str, token: UUID, next_offset: int, incident: Incident) -> None:
        """Halt a partition that the caller holds, at the position it believes in, and record why.

        Raises:
            FencedError: the token or the offset differs, or it is halted already; nothing was written.
            UnavailableError: the database does not answer.
        """
        ...

    async def release(self, consumer_group: str, token: UUID) -> None:
        """Give up all claims made with a token, so that a late duplicate of this process is fenced at once.

        Raises:
            UnavailableError: the database does not answer.
        """
        ...

    async def reset(self) -> None:
        """Forget the connection, so that the next call begins on a new one."""
        ...

    async def close(self) -> None:
        """Let go of everything; never raises."""
        ...
