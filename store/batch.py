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


@dataclass(frozen=True, slots=True)
class Claim:
    """A partition's row in `positions`.

    Attributes:
        next_offset: the first offset that is not applied.
        token: the claim's random token; None if nobody holds it.
        halted: whether an incident holds the partition.
        created: whether this very claim made the row.
        fold_version: the version of the fold that wrote the table.
    """

    next_offset: int
    token: UUID | None
    halted: bool
    created: bool
    fold_version: int
    anchor: Anchor | None = None


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
    """What a batch did: how many executions were in it, and how many rows changed."""

    executions: int
    rows_changed: int


class Store(Protocol):
    """Keeps executions and positions together.

    *Claiming* a partition gives it a fresh random token; *applying* a batch moves positions and writes their effects
    in one transaction, and is *fenced* (nothing at all is written) unless every move's token and offset are those
    of the row.
    """

    async def claim(
        self, consumer_group: str, log_starts: Mapping[TopicPartition, int], token: UUID, owner: str
    ) -> dict[TopicPartition, Claim]:
        """Claim partitions; one without a row begins at its log's start.

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

    async def halt(self, consumer_group: str, token: UUID, incident: Incident) -> None:
        """Halt a partition that the caller holds, and record why.

        Raises:
            FencedError: the caller does not hold it.
            UnavailableError: the database does not answer.
        """
        ...

    async def record(self, consumer_group: str, incident: Incident) -> None:
        """Record an incident that stops nothing.

        Raises:
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
