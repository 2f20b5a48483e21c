"""The stall watch: notices partitions of which nothing comes, though nothing is known to keep it from coming.

The Kafka client only logs some answers of a broker (that its log is damaged, above all), and asks again for ever; and
it has been seen to stand still after a broker came back. Silence is not taken for the end of the log for long.
"""

from __future__ import annotations

from collections.abc import Mapping

from events.position import TopicPartition

PATIENCE_SECONDS = 15.0  # longer than a broker takes to come back, and than a partition waits for its turn


class StallWatch:
    """Knows since when each partition stands where it stands."""

    def __init__(self, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._patience = patience_seconds
        self._since: dict[TopicPartition, tuple[int, float]] = {}

    def standing(self, offsets: Mapping[TopicPartition, int], now: float) -> tuple[TopicPartition, ...]:
        """Return the partitions that have stood for the patience, each once for every time that it passes.

        Args:
            offsets: from which each partition is fetched next.
            now: in seconds, of a clock that only goes forward.
        """
        before, self._since = self._since, {}
        standing = []
        for name, offset in offsets.items():
            seen, since = before.get(name, (offset, now))
            if seen == offset and now - since >= self._patience:
                standing.append(name)
            going = seen != offset or now - since >= self._patience
            self._since[name] = (offset, now if going else since)
        return tuple(standing)

    def forget(self) -> None:
        """Begin anew: what was not asked for could not come."""
        self._since.clear()
