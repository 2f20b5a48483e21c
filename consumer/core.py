"""The consumer's decisions, without any I/O: what happened goes in, what to do comes out.

Vocabulary:
- A partition is *assigned* by Kafka, then *claimed* in PostgreSQL under a fresh random token, then read.
- `next_offset` is the first offset that the table has not applied; `read_offset` the first that was not accepted
  from Kafka. Between the two lie *chunks*: accepted records on their way into the table.
- *Doubt* is any failure that leaves the outcome of a transaction unknown. There is one answer to it: read the claims
  again (*resync*), believe them, and fetch from there.

Rules:
- Kafka's word (assigned, revoked) is obeyed at once and starts a new generation; results of an older one are dropped.
- One piece of work uses the database at a time; the next chunk is prepared meanwhile.
- Records of a partition that is not claimed are dropped: they are fetched again after the claim.
- A partition whose log is not the one it was reading is halted with an incident; the others go on.

The shell (`consumer.service`) tells this core what happened by calling its methods, performs the source commands that
they return, and asks `decide` for work.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from consumer.chunk import Chunk, ChunkQueue, Intake, Prepared, Refusal, Span
from consumer.halts import Halts
from consumer.partition import NOT_TOLD, Claims, LogRanges, Partition, Phase, TopicIds
from consumer.record import Record, Stretch
from consumer.work import (
    ApplyChunk,
    BackOff,
    ClaimPartitions,
    DatabaseWork,
    Finish,
    HaltPartition,
    Pause,
    PrepareChunk,
    Rejoin,
    Release,
    Resume,
    Resync,
    Seek,
    SourceCommand,
    Work,
)
from events.fold import FOLD_VERSION
from events.position import TopicPartition
from store.batch import Incident

CHUNKS_MAX = 2  # one on its way into the table, and one behind it that is prepared meanwhile
CHUNK_BYTES_MAX = 8 * 1_048_576  # of values: decoded and applied well within a statement's and a session's time


@dataclass(slots=True)
class Core:
    """The state of one consumer, and the decisions over it."""

    generation: int = 0
    _turn: int = 0
    _partitions: dict[TopicPartition, Partition] = field(default_factory=dict)
    _queue: ChunkQueue = field(default_factory=ChunkQueue)
    _halts: Halts = field(default_factory=Halts)
    _database_busy: bool = False
    _doubt: bool = False
    _auditing: bool = False
    _fenced: bool = False
    _stalled: bool = False
    _failures: int = 0
    _back_off: bool = False
    _stopping: bool = False
    _released: bool = False
    _problem: str = ""

    @property
    def wants_records(self) -> bool:
        """Whether there is room for another chunk."""
        return len(self._queue) < CHUNKS_MAX and not self._stopping and not self._doubt

    @property
    def next_offsets(self) -> dict[TopicPartition, int]:
        """The applied position of every claimed partition."""
        return {name: partition.next_offset for name, partition in self._partitions.items() if partition.claimed}

    @property
    def starts(self) -> dict[TopicPartition, int]:
        """Where every claimed partition is fetched from."""
        return {name: partition.start for name, partition in self._partitions.items() if partition.claimed}

    @property
    def ready(self) -> bool:
        """Whether everything assigned is claimed or halted, and nothing is in doubt."""
        return not (self._doubt or self._failures or self._in_phase(Phase.ASSIGNED, Phase.POSTPONED))

    @property
    def halted(self) -> tuple[TopicPartition, ...]:
        """The assigned partitions that an incident holds."""
        return self._in_phase(Phase.HALTED)

    # Kafka's word. These run inside the client's callbacks: they only note, and return what must happen at once.

    def assigned(self, partitions: Iterable[TopicPartition]) -> list[SourceCommand]:
        """Obey an assignment: nothing is fetched until it is claimed."""
        self._begin_generation()
        self._partitions = {name: Partition(name) for name in sorted(partitions)}
        names = tuple(self._partitions)
        return [Pause(names), *(Seek(name, 0) for name in names)] if names else []

    def revoked(self) -> None:
        """Obey a revocation: everything that is not in the table yet is dropped."""
        self._begin_generation()
        self._partitions = {}

    # What the source delivered.

    def fetched(
        self, records: Mapping[TopicPartition, Sequence[Record]], topic_ids: TopicIds = NOT_TOLD
    ) -> list[SourceCommand]:
        """Accept records of claimed partitions as a chunk; the topics' ids were asked for after they had come."""
        commands: list[SourceCommand] = []
        intake = Intake(CHUNK_BYTES_MAX)
        self._turn += 1
        for name, partition in sorted(self._claimed(records), key=lambda each: each[1].turn):
            incident = partition.made_anew(topic_ids.get(name)) or partition.differs_from_log(records[name])
            commands += self._halt(partition, incident)
            if partition.claimed:
                commands += partition.accept(records[name], intake, self._turn)
        if intake.spans:
            self._queue.append(Chunk(self.generation, intake.records, intake.spans))
        return commands

    def isolated(self, name: TopicPartition, stretch: Stretch, topic_ids: TopicIds = NOT_TOLD) -> list[SourceCommand]:
        """Accept what the slow path read where the client fails; its end may be a part of the log without records."""
        commands = list[SourceCommand]()
        for _, partition in self._claimed([name] if stretch.next_offset > stretch.from_offset else []):
            if commands := self._halt(partition, partition.made_anew(topic_ids.get(name))):
                break
            if stretch.from_offset <= partition.read_offset:  # it was not moved back meanwhile
                commands = self.fetched({name: stretch.records}) if stretch.records else []
                if not commands and partition.read_offset < stretch.next_offset:
                    self._queue.append(Chunk(self.generation, {}, {name: partition.read_to(stretch.next_offset)}))
                partition.anchor = None  # compared, or not in the log any more
            commands.append(Seek(name, partition.start))
        return commands

    def drained(self, positions: Mapping[TopicPartition, int], topic_ids: TopicIds = NOT_TOLD) -> list[SourceCommand]:
        """Move over what holds no records (transaction markers), once everything before it is in the table."""
        commands, spans = list[SourceCommand](), dict[TopicPartition, Span]()
        if len(self._queue) or self._doubt or self._stopping:
            return commands
        for name, partition in self._claimed(positions):
            if positions[name] <= partition.read_offset:
                continue
            commands += self._halt(partition, partition.made_anew(topic_ids.get(name)))
            if partition.claimed:
                spans[name] = partition.read_to(positions[name])
        if spans:
            self._queue.append(Chunk(self.generation, {}, spans))
        return commands

    def fetch_failed(self) -> list[SourceCommand]:
        """Seek every claimed partition back: what the failed call had taken from the others is lost otherwise."""
        return [Seek(name, partition.start) for name, partition in self._claimed(self._partitions)]

    def unreadable(self, name: TopicPartition, kind: str, detail: str) -> list[SourceCommand]:
        """Halt the one partition that neither the client nor the slow path can read; the others go on."""
        for _, partition in self._claimed([name]):
            return self._halt(partition, Incident(kind, name, partition.read_offset, None, detail))
        return []

    def out_of_range(self, logs: LogRanges) -> list[SourceCommand]:
        """Halt partitions whose log does not hold the position; an anchor may be gone."""
        commands: list[SourceCommand] = []
        for name, partition in self._claimed(logs):
            partition.anchor = None
            commands += self._halt(partition, partition.made_anew(logs[name].topic_id) or partition.outside(logs[name]))
        return commands + self.fetch_failed()

    def stalled(self) -> None:
        """Begin with a new client: this one brings nothing although there is more."""
        self._stalled = True

    # What became of the work.

    def claimed(self, generation: int, token: UUID, claims: Claims, logs: LogRanges) -> list[SourceCommand]:
        """Begin to read claimed partitions where the table stands, unless their log does not fit."""
        self._succeeded()
        if generation != self.generation:
            return []
        commands: list[SourceCommand] = []
        for name, claim in sorted(claims.items()):
            if claim.fold_version != FOLD_VERSION:
                self.stop(f"the table was folded by version {claim.fold_version}, this is version {FOLD_VERSION}")
                return []
            partition = self._partitions[name]
            commands += self._halt(partition, partition.claim(token, claim, logs[name]))
            if partition.claimed:
                commands += [Seek(name, partition.start), Resume((name,))]
        for name in self._in_phase(Phase.ASSIGNED):
            self._partitions[name].phase = Phase.POSTPONED
        return commands

    def resynced(self, generation: int, claims: Claims) -> list[SourceCommand]:
        """Believe the rows: seek to where they stand, and let go of what another consumer holds."""
        self._succeeded()
        audited, self._doubt, self._auditing = self._auditing, False, False
        if generation != self.generation:
            return []
        self._halts.follow(claims, lambda name: audited and self._queue.moves(name))
        self._let_go_of_lifted(claims)
        if audited and len(self._queue):
            return []  # what is on its way finds out by itself where the rows stand
        self._queue.drop()
        commands: list[SourceCommand] = []
        for name, partition in self._claimed(self._partitions):
            commands += partition.follow(claims.get(name))
            self._fenced |= partition.phase is Phase.ASSIGNED
        return commands

    def prepared(self, chunk: Chunk, work: Prepared) -> None:
        """Take a chunk that is ready to be applied."""
        self._queue.prepared(chunk, work)

    def applied(self, chunk: Chunk) -> None:
        """Go on after a chunk that is in the table."""
        self._succeeded()
        if self._queue.take_first(chunk):
            for name, span in chunk.spans.items():
                self._partitions[name].next_offset = span.next_offset

    def refused(self, chunk: Chunk, refusal: Refusal) -> None:
        """Look for the record that PostgreSQL refuses: halve the chunk; a single record is set aside."""
        self._succeeded()
        if chunk.refusal is not None:
            self.stop(f"PostgreSQL refuses a record even as a dead letter: {refusal.detail}")
            self._queue.drop()
        elif self._queue.take_first(chunk):
            self._queue.put_first(chunk.halves() or [chunk.set_aside(refusal)])

    def halted_in_table(self, work: HaltPartition) -> None:
        """Go on after a halt that is in the table."""
        self._succeeded()
        self._halts.written(work)

    def fenced(self) -> None:
        """Doubt everything after a guard that did not hold."""
        self._database_busy = self._auditing = False
        self._doubt = True

    def database_failed(self) -> None:
        """Doubt everything after a failure whose outcome is unknown, and wait before the next try."""
        self._database_busy = self._auditing = False
        self._doubt = self._back_off = True
        self._failures += 1

    def audit(self) -> None:
        """Look once more at what was postponed, and at the claims: a failover and a lifted halt tell nobody."""
        for name in self._in_phase(Phase.POSTPONED):
            self._partitions[name].phase = Phase.ASSIGNED
        if (self.halted or not (self._database_busy or len(self._queue))) and not self._doubt:
            self._doubt = self._auditing = True

    def waited(self) -> None:
        """Try again after a pause."""
        self._database_busy = self._back_off = False

    def rejoined(self) -> None:
        """Go on as a new member of the group."""
        self._database_busy = self._fenced = self._stalled = False

    def released(self) -> None:
        """End, now that nobody has to wait for our claims."""
        self._database_busy = False
        self._released = True

    def stop(self, problem: str = "") -> None:
        """Accept nothing more, and end once what was accepted is in the table."""
        self._stopping, self._problem = True, self._problem or problem

    # What to do next.

    def decide(self) -> list[Work]:
        """Return the work to begin now: at most one piece for the database, at most one chunk to prepare."""
        work: list[Work] = []
        if (chunk := self._queue.begin_to_prepare()) is not None:
            work.append(PrepareChunk(chunk))
        if not self._database_busy and (database := self._for_database()) is not None:
            self._database_busy = True
            work.append(database)
        return work

    def _for_database(self) -> DatabaseWork | None:
        if self._stopping and self._failures > 0:
            return Finish(self._problem)  # whoever claims next fences us; waiting for the database helps nobody
        if self._back_off:
            return BackOff(self._failures)
        if self._doubt:
            return Resync(self.generation, reconnect=not self._auditing)
        return self._leave() if self._stopping and not len(self._queue) else self._go_on()

    def _go_on(self) -> DatabaseWork | None:
        if (self._fenced or self._stalled) and not self._stopping:
            return Rejoin(self.generation, self._fenced)
        if (halt := self._halts.first(self._queue.moves)) is not None:
            return halt
        if (waiting := self._in_phase(Phase.ASSIGNED)) and not self._stopping:
            return ClaimPartitions(self.generation, waiting)  # before the others' chunks, of which there may be no end
        if (first := self._queue.first_prepared) is None:
            return None
        chunk, work = first
        return ApplyChunk(chunk, work, chunk.moves({name: self._partitions[name].token for name in chunk.spans}))

    def _leave(self) -> Release | Finish:
        tokens = {partition.token for partition in self._partitions.values() if partition.token is not None}
        return Finish(self._problem) if self._released or not tokens else Release(tuple(tokens))

    # State.

    def _in_phase(self, *phases: Phase) -> tuple[TopicPartition, ...]:
        return tuple(name for name, partition in self._partitions.items() if partition.phase in phases)

    def _claimed(self, names: Iterable[TopicPartition]) -> list[tuple[TopicPartition, Partition]]:
        owned = ((name, self._partitions.get(name)) for name in sorted(names))
        return [(name, partition) for name, partition in owned if partition is not None and partition.claimed]

    def _halt(self, partition: Partition, incident: Incident | None) -> list[SourceCommand]:
        if incident is None:
            return []
        assert partition.token is not None, "only claimed partitions are halted"
        partition.phase = Phase.HALTED
        self._halts.add(HaltPartition(partition.token, partition.read_offset, incident))
        return [Pause((partition.name,))]

    def _let_go_of_lifted(self, claims: Claims) -> None:
        """Claim anew what is halted here and live in the table: an operator lifted the halt, or it never got there."""
        for name in self.halted:
            claim = claims.get(name)
            if claim is not None and not claim.halted and name not in self._halts.partitions:
                self._fenced |= claim.token not in (None, self._partitions[name].token)
                self._partitions[name] = Partition(name)  # nothing that was known of the log before holds any more

    def _begin_generation(self) -> None:
        self.generation += 1
        self._fenced = self._stalled = False
        self._halts.drop()
        self._queue.drop()

    def _succeeded(self) -> None:
        self._database_busy, self._failures = False, 0
