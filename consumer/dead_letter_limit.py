"""The limit on dead letters: when so much is bad, it is not the records that are to blame. Pure.

Setting a record aside is right as long as it is an exception. A publisher that was deployed with a mistake, a consumer
that is older than what it reads, or a constraint that somebody added make everything bad at once; a consumer that goes
on moves its positions over all of it, and what readers see is silently behind. Nothing would be lost, for dead letters
can be redriven; but whoever looks at a consumer that ends looks sooner.

Two bounds, because each misses what the other sees:

- *In a row*: a partition with nothing but bad records, however slowly they come. A thousand: a burst of one careless
  test stays below, a publisher that always fails is above within minutes.
- *The share* of the last ten thousand records, once there are a thousand: one bad publisher among good ones never
  makes a row. A fifth: events of one kind of many go wrong without it, the deployment of a whole publisher does not.

A chunk that would exceed a bound is not applied: a consumer that is started again meets it again, and soon ends again,
until somebody decides.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from consumer.chunk import Chunk, Prepared
from events.position import TopicPartition

IN_A_ROW_MAX = 1_000
PERCENT_MAX = 20
WINDOW_RECORDS = 10_000
JUDGED_RECORDS = 1_000  # of fewer records no share is taken


@dataclass(slots=True)
class DeadLetterLimit:
    """Counts what was applied, and says whether a chunk would be too much.

    Attributes:
        in_a_row_max: dead letters in a row that a partition may have; 0 is no bound.
        percent_max: the share of the last records that may be dead letters; 100 is no bound.
    """

    in_a_row_max: int = IN_A_ROW_MAX
    percent_max: int = PERCENT_MAX
    _rows: dict[TopicPartition, int] = field(default_factory=dict)
    _window: deque[tuple[int, int]] = field(default_factory=deque)  # records and dead letters of each chunk
    _records: int = 0
    _letters: int = 0

    def exceeded_by(self, chunk: Chunk, prepared: Prepared) -> str:
        """Return what is too much if a chunk is applied; empty if nothing is."""
        if not prepared.dead_letters:
            return ""
        for partition, (longest, _) in self._rows_with(chunk, prepared).items():
            if 0 < self.in_a_row_max < longest:
                reasons = _reasons(prepared)
                return (
                    f"too many dead letters: {longest} in a row in {partition} ({reasons}), at most {self.in_a_row_max}"
                )
        records, letters = self._records + len(chunk), self._letters + len(prepared.dead_letters)
        if records >= JUDGED_RECORDS and letters * 100 > records * self.percent_max:
            share = f"{letters} of the last {records} records ({_reasons(prepared)})"
            return f"too many dead letters: {share}, at most {self.percent_max} %"
        return ""

    def applied(self, chunk: Chunk, prepared: Prepared) -> None:
        """Count a chunk that is in the table."""
        self._rows |= {partition: last for partition, (_, last) in self._rows_with(chunk, prepared).items()}
        self._window.append((len(chunk), len(prepared.dead_letters)))
        self._records += len(chunk)
        self._letters += len(prepared.dead_letters)
        while self._window and self._records - self._window[0][0] >= WINDOW_RECORDS:
            records, letters = self._window.popleft()
            self._records -= records
            self._letters -= letters

    def _rows_with(self, chunk: Chunk, prepared: Prepared) -> dict[TopicPartition, tuple[int, int]]:
        """Return the longest row of dead letters in each partition, and the one that its last record leaves."""
        bad = {(letter.partition, letter.offset) for letter in prepared.dead_letters}
        found = {}
        for partition, records in chunk.records.items():
            if not bad:
                found[partition] = (0, 0)
                continue
            longest = row = self._rows.get(partition, 0)
            for record in records:
                row = row + 1 if (partition, record.offset) in bad else 0
                longest = max(longest, row)
            found[partition] = (longest, row)
        return found


def _reasons(prepared: Prepared) -> str:
    return ", ".join(sorted({letter.reason for letter in prepared.dead_letters})[:3])
