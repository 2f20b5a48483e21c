"""The batch builder: records to folded states, dead letters and withheld payloads. Pure, and cut into slices."""

from __future__ import annotations

from collections.abc import Callable, Generator
from uuid import UUID

from consumer.chunk import Chunk, Prepared
from consumer.record import Record
from events.codec import Skipped, decode
from events.errors import InvalidEvent
from events.fold import State, merge, state_of
from events.identity import RunKey
from events.position import TopicPartition
from store.batch import DeadLetter, WithheldPayload

# After so much the loop gets its turn, or a statement that was started would not be sent, nor a heartbeat.
SLICE_RECORDS = 200
SLICE_BYTES = 256 * 1024


def prepare(chunk: Chunk, wanted: Callable[[UUID], bool] | None = None) -> Generator[None, None, Prepared]:
    """Decode and fold a chunk; yields between slices, returns everything its transaction writes.

    Args:
        chunk: the records.
        wanted: which executions are folded, for who looks at a part of them; None folds all.
    """
    prepared = Prepared()
    states: dict[RunKey, State] = {}
    count = size = 0
    for partition, records in chunk.records.items():
        for record in records:
            _prepare_record(chunk, partition, record, prepared, states, wanted)
            count, size = count + 1, size + record.size
            if count >= SLICE_RECORDS or size >= SLICE_BYTES:
                count = size = 0
                yield
    prepared.states = list(states.values())
    return prepared


def _prepare_record(
    chunk: Chunk,
    partition: TopicPartition,
    record: Record,
    prepared: Prepared,
    states: dict[RunKey, State],
    wanted: Callable[[UUID], bool] | None,
) -> None:
    if chunk.refusal is not None:
        _set_aside(prepared, partition, record, *chunk.refusal)
        return
    if record.fault is not None:
        fault = record.fault
        _set_aside(prepared, partition, record, fault.reason, fault.field, fault.detail)
        return
    try:
        event = decode(record.value, record.headers)
    except InvalidEvent as error:
        _set_aside(prepared, partition, record, error.reason, error.field, error.detail)
        return
    if isinstance(event, Skipped):
        prepared.outcomes[event.reason, ""] += 1
        return
    withheld = event.withheld
    prepared.outcomes["withheld" if withheld else "applied", event.verb] += 1
    prepared.catalogue.add(event)
    if wanted is not None and not wanted(event.execution_id):
        return
    state = state_of(event)
    held = states.get(state.run)
    states[state.run] = state if held is None else merge(held, state)
    if withheld:
        assert record.value is not None, "an event was decoded from it"
        codes = {name: marker.code for name, marker in withheld.items()}
        prepared.withheld.append(WithheldPayload(partition, record.offset, event.execution_id, codes, record.value))


def _set_aside(
    prepared: Prepared, partition: TopicPartition, record: Record, reason: str, field: str, detail: str
) -> None:
    letter = DeadLetter(
        partition=partition,
        offset=record.offset,
        timestamp_ms=record.timestamp_ms,
        key=record.key,
        value=record.value,
        headers=record.headers,
        reason=reason,
        field=field,
        detail=detail,
    )
    prepared.dead_letters.append(letter)
    prepared.outcomes["dead_letter", ""] += 1
