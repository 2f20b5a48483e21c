"""One assigned partition: whose it is, how far it is read, and whether its log is still the one it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from uuid import UUID

from consumer.chunk import Intake, Span
from consumer.record import Record
from consumer.work import Pause, Seek, SourceCommand
from events.position import TopicPartition
from store.batch import Anchor, Claim, Incident

Claims = Mapping[TopicPartition, Claim]
LogRanges = Mapping[TopicPartition, tuple[int, int]]  # start and end of each log


class Phase(Enum):
    """What Kafka's assignment has come to."""

    ASSIGNED = auto()  # by Kafka; nothing may be read before it is claimed
    CLAIMED = auto()  # in PostgreSQL, under our token
    HALTED = auto()  # an incident holds it


@dataclass(slots=True)
class Partition:
    """The state of one assigned partition.

    Attributes:
        token: the claim's token.
        next_offset: the first offset that the table has not applied.
        read_offset: the first offset that was not accepted from Kafka.
        anchor: the last applied record, to be compared with the log before anything is accepted.
    """

    name: TopicPartition
    phase: Phase = Phase.ASSIGNED
    token: UUID | None = None
    next_offset: int = 0
    read_offset: int = 0
    anchor: Anchor | None = None
    _hole: tuple[int, int] | None = None
    _holes_are_normal: bool = False  # transaction markers and compaction leave holes all the time

    @property
    def claimed(self) -> bool:
        """Whether its records may be applied."""
        return self.phase is Phase.CLAIMED

    @property
    def start(self) -> int:
        """Where to fetch from: the anchor first, where there is one to compare."""
        return self.read_offset if self.anchor is None else self.anchor.offset

    def claim(self, token: UUID, claim: Claim, log_start: int, log_end: int) -> Incident | None:
        """Stand where the table stands; return what is wrong with the log, if anything is."""
        self.token = token
        self.phase = Phase.HALTED if claim.halted else Phase.CLAIMED
        self.move_to(claim.next_offset)
        if claim.halted:
            return None
        if not log_start <= claim.next_offset <= log_end:
            return self.outside(log_start, log_end)
        if claim.anchor is not None and claim.anchor.offset >= log_start:
            self.anchor = claim.anchor
        return None

    def move_to(self, offset: int) -> None:
        """Believe the table about the position."""
        self.next_offset = self.read_offset = offset

    def follow(self, claim: Claim | None) -> list[SourceCommand]:
        """Stand where the row stands, and fetch from there if that is elsewhere; let go of what is not ours."""
        if claim is None or claim.token != self.token:
            self.phase = Phase.ASSIGNED
            return [Pause((self.name,))]
        if claim.halted:
            self.phase = Phase.HALTED
            return [Pause((self.name,))]
        moved = claim.next_offset != self.read_offset
        if moved and self.anchor is not None:
            self.anchor = claim.anchor
        self.move_to(claim.next_offset)
        return [Seek(self.name, self.start)] if moved else []

    def read_to(self, offset: int) -> Span:
        """Note that everything before an offset is accepted, and return what that moves over."""
        span = Span(self.read_offset, offset)
        self.read_offset = offset
        return span

    def accept(self, records: Sequence[Record], intake: Intake) -> list[SourceCommand]:
        """Take in what is new of fetched records, as far as there is room; what is left is fetched again."""
        new = [record for record in records if record.next_offset > self.read_offset]
        if new and self.doubts_hole(new):
            return [Seek(self.name, self.read_offset)]
        if fitting := intake.fitting(new):
            intake.take(self.name, fitting, self.read_to(fitting[-1].next_offset))
        return [Seek(self.name, self.read_offset)] if len(fitting) < len(new) else []

    def differs_from_log(self, records: Sequence[Record]) -> Incident | None:
        """Compare the anchor with the log, once."""
        anchor, self.anchor = self.anchor, None
        if anchor is None or records[0].offset != anchor.offset or records[0].anchor in (anchor, None):
            return None
        detail = f"the record at {anchor.offset} is not the one that was applied: the topic was made anew or truncated"
        return Incident("another_log", self.name, anchor.offset, None, detail)

    def doubts_hole(self, records: Sequence[Record]) -> bool:
        """Whether records are missing that must be asked for once more; the same hole twice is in the log itself."""
        if self._holes_are_normal or records[-1].offset - self.read_offset + 1 == len(records):
            return False
        expected = self.read_offset
        for record in records:
            if record.offset > expected:
                break
            expected = record.next_offset
        else:
            return False
        known, self._hole = self._hole, (expected, record.offset)
        self._holes_are_normal = known == self._hole
        return not self._holes_are_normal

    def begins_late(self, log_start: int) -> Incident:
        """Return the incident of a first start on a log that has lost its beginning; nothing is halted."""
        detail = f"first start on a log that begins at {log_start}; what was before is gone"
        return Incident("log_start", self.name, 0, log_start, detail)

    def outside(self, log_start: int, log_end: int) -> Incident:
        """Return the incident of a position that the log does not hold."""
        offset = self.read_offset
        if offset < log_start:
            detail = f"records {offset} to {log_start - 1} were deleted from the log before they were applied"
            return Incident("gap", self.name, offset, log_start, detail)
        detail = f"the log ends at {log_end}, before the position {offset}: the topic was made anew or truncated"
        return Incident("truncated", self.name, offset, log_end, detail)
