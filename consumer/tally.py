"""The tally: what the service has done, counted, and told in the log every few seconds."""

from __future__ import annotations

import logging
from collections import Counter

from consumer.chunk import Prepared
from store.batch import Applied

logger = logging.getLogger(__name__)


class Tally:
    """Counts by name: events, rows_changed, dead_letters, withheld, skipped_<reason>, fenced, rejoined and more."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._told: Counter[str] = Counter()

    def count(self, name: str) -> None:
        """Count something that happened."""
        self.counts[name] += 1

    def applied(self, prepared: Prepared, applied: Applied) -> None:
        """Count what a transaction did, and name the records that it set aside."""
        self.counts["events"] += prepared.events
        self.counts["rows_changed"] += applied.rows_changed
        self.counts["withheld"] += len(prepared.withheld)
        for reason, count in prepared.skipped.items():
            self.counts[f"skipped_{reason}"] += count
        for letter in prepared.dead_letters:
            self.counts["dead_letters"] += 1
            field = f" in {letter.field}" if letter.field else ""
            logger.warning("dead letter %s@%d: %s%s", letter.partition, letter.offset, letter.reason, field)

    def tell(self) -> None:
        """Say in the log what came since it was last told."""
        told, self._told = self._told, self.counts.copy()
        if new := self._told - told:
            logger.info(
                "since last told: %s", ", ".join(f"{name.replace('_', ' ')} {new[name]}" for name in sorted(new))
            )
