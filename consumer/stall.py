"""The stall watch: notices partitions of which nothing comes, though nothing is known to keep it from coming.

The Kafka client only logs some answers of a broker (that its log is damaged, above all), and asks again for ever; and
it has been seen to stand still after a broker came back. Silence is not taken for the end of the log for long.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from events.position import TopicPartition

PATIENCE_SECONDS = 15.0  # longer than a broker takes to come back
FETCHES_MIN = 20  # a full fetch has something of every partition of which there is anything; time alone says nothing


class Since(NamedTuple):
    """Where a partition stands, since when, and since how many fetches."""

    offset: int
    seconds: float
    fetches: int


class StallWatch:
    """Knows since when each partition stands where it stands."""

    def __init__(self, patience_seconds: float = PATIENCE_SECONDS, fetches_min: int = FETCHES_MIN) -> None:
        self._patience = patience_seconds
        self._fetches_min = fetches_min
        self._since: dict[TopicPartition, Since] = {}

    def standing(self, offsets: Mapping[TopicPartition, int], now: float, fetches: int) -> tuple[TopicPartition, ...]:
        """Return the partitions that have stood for the patience, each once for every time that it passes.

        Args:
            offsets: from which each partition is fetched next.
            now: in seconds, of a clock that only goes forward.
            fetches: how many have ended so far; while there is no room for records, none does.
        """
        before, self._since = self._since, {}
        standing = []
        for name, offset in offsets.items():
            since = before.get(name)
            if since is None or since.offset != offset:
                since = Since(offset, now, fetches)
            elif now - since.seconds >= self._patience and fetches - since.fetches >= self._fetches_min:
                standing.append(name)
                since = Since(offset, now, fetches)
            self._since[name] = since
        return tuple(standing)
