"""Halts on their way into the table: what was found wrong with a log, and is not recorded yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from consumer.partition import Claims
from consumer.work import HaltPartition
from events.position import TopicPartition


class Halts:
    """Halts in the order in which their reasons were found."""

    def __init__(self) -> None:
        self._waiting: deque[HaltPartition] = deque()

    @property
    def partitions(self) -> set[TopicPartition]:
        """What is to be halted."""
        return {halt.incident.partition for halt in self._waiting}

    def add(self, halt: HaltPartition) -> None:
        """Put a halt at the end."""
        self._waiting.append(halt)

    def first(self, moves: Callable[[TopicPartition], bool]) -> HaltPartition | None:
        """Return the halt to write now; none as long as a chunk moves its partition to where it is to be halted."""
        if not self._waiting or moves(self._waiting[0].incident.partition):
            return None
        return self._waiting[0]

    def written(self, halt: HaltPartition) -> None:
        """Forget a halt that is in the table."""
        if self._waiting and self._waiting[0] is halt:
            self._waiting.popleft()

    def follow(self, claims: Claims, moves: Callable[[TopicPartition], bool]) -> None:
        """Forget the halts that are in the table already, that are not ours to write any more, or not there.

        Args:
            claims: the rows.
            moves: whether a chunk that is not dropped moves a partition.
        """
        self._waiting = deque(
            halt
            for halt in self._waiting
            if halt.still_stands(claims.get(halt.incident.partition), moving=moves(halt.incident.partition))
        )

    def drop(self) -> None:
        """Forget everything: a halt needs the claim that is gone."""
        self._waiting.clear()
