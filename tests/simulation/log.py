"""A partition's log as Kafka keeps it, with everything that can become of it."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

from consumer.record import Fault, Record, Stretch


def serial_of(record: Record) -> int:
    """The number of a record; later ones have higher numbers, in whatever log."""
    assert record.value is not None, "every simulated record has one"
    return int(record.value)


@dataclass
class Log:
    """One partition's log; offsets without a record are markers, aborted transactions, or what compaction took.

    Attributes:
        serial: numbers the records of all logs of a world; a record's number is its value.
        topic_id: what its topic is known by until it is made anew.
        plain: it has no transactions and is not compacted, so that a hole is the client's.
        start: the first offset that retention has left.
        end: the first offset that is not written yet.
        content: every record that was committed and not compacted, also before the start.
        poison: first and last offset of what the client cannot read: a record, or a whole batch.
        corrupt: offsets that nothing can read.
        refused: offsets of records that PostgreSQL refuses.
        changed: how often it was cut off or made anew.
        another_from: the number of the first record after the last of these changes.
        clean_below: offsets where a change has put readable records, so that it can be noticed.
        born_from: the number of the first record since the topic was made anew.
    """

    serial: Iterator[int]
    topic_id: UUID
    plain: bool = True
    start: int = 0
    end: int = 0
    content: dict[int, Record] = field(default_factory=dict)
    poison: dict[int, int] = field(default_factory=dict)
    corrupt: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    changed: int = 0
    another_from: int = 0
    clean_below: int = 0
    born_from: int = 0
    _offsets: list[int] = field(default_factory=list)

    def append(self, records: int = 1) -> int:
        """Write good records, and return the first one's offset."""
        first = self.end
        for _ in range(records):
            self.content[self.end] = Record(self.end, 0, None, b"%d" % next(self.serial))
            self._offsets.append(self.end)
            self.end += 1
        return first

    def append_something(self, chance: random.Random, *, trouble: bool) -> None:
        """Write a record or a batch, which may be bad; or a transaction with its marker, which may be aborted."""
        what = chance.random()
        if self.end < self.clean_below or what < 0.7:
            self.append()
        elif what < 0.77:
            first = self.append()
            self.poison[first] = first
        elif what < 0.8:
            first = self.append(4)
            self.poison[first + 1] = first + 3
        elif what < 0.82:
            self.refused.add(self.append())
        elif what < 0.825 and trouble:
            self.corrupt.add(self.append())
        elif self.plain:
            self.append(2)
        elif what < 0.93:
            self.append(chance.randrange(1, 4))
            self.end += 1  # the marker
        else:
            self.end += chance.randrange(2, 5)  # aborted, and the marker

    def next_record(self, position: int) -> int:
        """The offset of the first record from a position on, or the log's end."""
        index = bisect_left(self._offsets, position)
        return self._offsets[index] if index < len(self._offsets) else self.end

    def read(self, position: int, most: int) -> list[Record]:
        """Records from a position on."""
        first = bisect_left(self._offsets, position)
        return [self.content[offset] for offset in self._offsets[first : first + most]]

    def holds(self, position: int) -> bool:
        """Whether a fetch from a position is in range."""
        return self.start <= position <= self.end

    def defeats_client(self, first: int, last: int) -> bool:
        """Whether the client fails at records from first to last."""
        if any(begin <= last and first <= end for begin, end in self.poison.items()):
            return True
        return any(first <= offset <= last for offset in self.corrupt)

    def batch_of(self, offset: int) -> tuple[int, int] | None:
        """First and last offset of the unreadable record or batch at an offset."""
        return next(((first, last) for first, last in self.poison.items() if first <= offset <= last), None)

    def read_slowly(self, position: int, most: int) -> Stretch | None:
        """What the slow path reads: records, each with what is wrong with it; None if it is damaged right there."""
        start, records = position, list[Record]()
        while len(records) < most and (offset := self.next_record(position)) < self.end:
            if offset in self.corrupt:
                return Stretch(start, position, records) if records else None
            record, batch = self.content[offset], self.batch_of(offset)
            if batch is not None:
                record = record._replace(fault=Fault("poison", "", "", batch[1] if batch[1] > batch[0] else None))
            records.append(record)
            position = record.next_offset
        return Stretch(start, self.next_record(position) if len(records) < most else position, records)

    # What becomes of it.

    def delete_until(self, offset: int) -> None:
        """Retention, or an operator, deletes the records before an offset."""
        self.start = max(self.start, offset)

    def compact(self, chance: random.Random) -> None:
        """Compaction takes some good records."""
        bad = self.corrupt | {at for first, last in self.poison.items() for at in range(first, last + 1)}
        for offset in [offset for offset in self._offsets if offset not in bad and chance.random() < 0.3]:
            del self.content[offset]
            self.refused.discard(offset)
        self._offsets = sorted(self.content)

    def make_anew(self, topic_id: UUID) -> None:
        """The topic is deleted, and another one gets its name."""
        self.cut(0, clean_below=0)
        self.topic_id, self.born_from = topic_id, self.another_from

    def cut(self, offset: int, clean_below: int) -> None:
        """Lose everything from an offset on, as in an unclean election."""
        batch = self.batch_of(offset)
        offset = offset if batch is None else batch[0]
        self.content = {at: record for at, record in self.content.items() if at < offset}
        self._offsets = sorted(self.content)
        self.poison = {first: last for first, last in self.poison.items() if first < offset}
        self.corrupt = {at for at in self.corrupt if at < offset}
        self.refused = {at for at in self.refused if at < offset}
        self.start, self.end = min(offset, self.start), offset
        self.changed += 1
        self.another_from = next(self.serial)
        self.clean_below = clean_below
