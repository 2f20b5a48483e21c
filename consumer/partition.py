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
from store.batch import Anchor, Claim, Incident, LogRange

Claims = Mapping[TopicPartition, Claim]
LogRanges = Mapping[TopicPartition, LogRange]
TopicIds = Mapping[TopicPartition, UUID]  # as Kafka gives them now; none where a broker is too old to tell
NOT_TOLD: TopicIds = {}


class Phase(Enum):
    """What Kafka's assignment has come to."""

    ASSIGNED = auto()  # by Kafka; nothing may be read before it is claimed
    POSTPONED = auto()  # no broker leads it now; it is asked for again with the next audit
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
        topic_id: of the topic whose log is read.
        turn: the number of the last fetch of which something was accepted; who has waited longest comes first.
    """

    name: TopicPartition
    phase: Phase = Phase.ASSIGNED
    token: UUID | None = None
    next_offset: int = 0
    read_offset: int = 0
    anchor: Anchor | None = None
    topic_id: UUID | None = None
    turn: int = 0
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

    def claim(self, token: UUID, claim: Claim, log: LogRange) -> Incident | None:
        """Stand where the table stands; return what is wrong with the log, if anything is."""
        self.token, self.topic_id = token, claim.topic_id
        self.phase = Phase.HALTED if claim.halted else Phase.CLAIMED
        self.move_to(claim.next_offset)
        in_log = claim.anchor is not None and claim.anchor.offset >= log.start
        self.anchor = claim.anchor if in_log else None
        return None if claim.halted else self.made_anew(log.topic_id) or self.outside(log)

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

    def accept(self, records: Sequence[Record], intake: Intake, turn: int) -> list[SourceCommand]:
        """Take in what is new of fetched records, as far as there is room; what is left is fetched again."""
        new = [record for record in records if record.next_offset > self.read_offset]
        if new and self.doubts_hole(new):
            return [Seek(self.name, self.read_offset)]
        if fitting := intake.fitting(new):
            self.turn = turn
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

    def made_anew(self, topic_id: UUID | None) -> Incident | None:
        """Return the incident of a topic that is not the one that was read, though it has its name."""
        if topic_id is None or self.topic_id in (None, topic_id):
            return None
        detail = f"the topic was made anew: its id is {topic_id}, and that of the one that was read is {self.topic_id}"
        return Incident("recreated", self.name, self.read_offset, None, detail)

    def outside(self, log: LogRange) -> Incident | None:
        """Return the incident of a position that the log does not hold, if it does not."""
        offset = self.read_offset
        if offset < log.start:
            detail = f"records {offset} to {log.start - 1} were deleted from the log before they were applied"
            return Incident("gap", self.name, offset, log.start, detail)
        if offset > log.end:
            detail = f"the log ends at {log.end}, before the position {offset}: the topic was made anew or truncated"
            return Incident("truncated", self.name, offset, log.end, detail)
        return None
