"""The store in memory: the same promises without a database, for tests and for trying things out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

from events.catalogue import Catalogue
from events.fold import FOLD_VERSION, State, merge
from events.position import TopicPartition
from events.row import ExecutionRow, row
from store.batch import Applied, Batch, Claim, DeadLetter, Incident, LogRange, WithheldPayload, begins_late
from store.errors import FencedError


class MemoryStore:
    """A `Store` (see `store.batch`) that keeps everything in dictionaries; it outlives `close`."""

    def __init__(self) -> None:
        self.states: dict[UUID, State] = {}
        self.catalogue = Catalogue()
        self.dead_letters: list[DeadLetter] = []
        self.withheld: list[WithheldPayload] = []
        self.incidents: list[Incident] = []
        self._claims: dict[tuple[str, TopicPartition], Claim] = {}
        self._kept: set[tuple[object, ...]] = set()

    async def claim(
        self, consumer_group: str, logs: Mapping[TopicPartition, LogRange], token: UUID, owner: str
    ) -> dict[TopicPartition, Claim]:
        """Claim partitions; one without a row begins at its log's start."""
        del owner
        late = {p for p, log in logs.items() if log.start > 0 and (consumer_group, p) not in self._claims}
        self.incidents += [begins_late(partition, logs[partition].start) for partition in logs if partition in late]
        for partition, log in logs.items():
            held = self._claims.get((consumer_group, partition))
            if held is None:
                held = Claim(log.start, token, halted=False, fold_version=FOLD_VERSION)
            claim = replace(held, token=token, topic_id=held.topic_id or log.topic_id)
            self._claims[consumer_group, partition] = claim
        return {p: replace(self._claims[consumer_group, p], begins_late=p in late) for p in logs}

    async def read_claims(self, consumer_group: str) -> dict[TopicPartition, Claim]:
        """Return every position of a group."""
        return {partition: claim for (group, partition), claim in self._claims.items() if group == consumer_group}

    async def apply(self, batch: Batch) -> Applied:
        """Move the positions and write their effects at once."""
        for partition, move in batch.moves.items():
            held = self._claims.get((batch.consumer_group, partition))
            if held is None or held.halted or (held.token, held.next_offset) != (move.token, move.from_offset):
                msg = f"not at the position or under the claim we believed: {partition}"
                raise FencedError(msg)
        for partition, move in batch.moves.items():
            held = self._claims[batch.consumer_group, partition]
            moved = replace(held, next_offset=move.next_offset, anchor=move.anchor or held.anchor)
            self._claims[batch.consumer_group, partition] = moved
        self.catalogue.merge(batch.catalogue)
        self.dead_letters += [letter for letter in batch.dead_letters if self._is_new(batch, letter)]
        self.withheld += [payload for payload in batch.withheld if self._is_new(batch, payload)]
        changed = [state.run.id for state in batch.states if self._merge(state)]
        return Applied(len(batch.states), len(changed), sum(row(self.states[id_]).contested for id_ in changed))

    def _is_new(self, batch: Batch, kept: DeadLetter | WithheldPayload) -> bool:
        key = (type(kept), batch.consumer_group, kept.partition, kept.offset, kept.value or b"")
        new = key not in self._kept
        self._kept.add(key)
        return new

    def _merge(self, state: State) -> bool:
        held = self.states.get(state.run.id)
        merged = state if held is None else merge(held, state)
        self.states[state.run.id] = merged
        return merged != held

    async def halt(self, consumer_group: str, token: UUID, next_offset: int, incident: Incident) -> None:
        """Halt a partition that the caller holds, and record why."""
        held = self._claims.get((consumer_group, incident.partition))
        if held is None or held.halted or (held.token, held.next_offset) != (token, next_offset):
            msg = f"{incident.partition} is not ours to halt at {next_offset}"
            raise FencedError(msg)
        self._claims[consumer_group, incident.partition] = replace(held, halted=True)
        self.incidents.append(incident)

    async def release(self, consumer_group: str, token: UUID) -> None:
        """Give up all claims made with a token."""
        for (group, partition), claim in self._claims.items():
            if group == consumer_group and claim.token == token:
                self._claims[group, partition] = replace(claim, token=None)

    async def reset(self) -> None:
        """Do nothing: there is no connection."""

    async def close(self) -> None:
        """Do nothing: there is no connection."""

    def rows(self) -> dict[UUID, ExecutionRow]:
        """Return every execution's row."""
        return {id_: row(state) for id_, state in self.states.items()}
