"""Which executions are folded, where not all of them are: callables that other processes can be given."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Window:
    """A part of all ids, both ends included."""

    first: UUID
    last: UUID

    def __call__(self, id_: UUID) -> bool:
        """Whether an id lies within."""
        return self.first <= id_ <= self.last


@dataclass(frozen=True, slots=True)
class Chosen:
    """Some ids."""

    ids: frozenset[UUID]

    def __call__(self, id_: UUID) -> bool:
        """Whether an id is among them."""
        return id_ in self.ids
