"""Applying a topic without a consumer group, whose joining takes seconds: for tests that are about what comes after."""

from __future__ import annotations

from uuid import uuid4

from consumer.batch import prepare
from consumer.chunk import Chunk, Prepared, Span
from consumer.replay.log_reader import read
from consumer.replay.log_source import LogSource
from store import PostgresStore
from store.batch import Batch


async def apply_all(servers: str, database_url: str, topic: str, *, group: str = "tests") -> None:
    """Apply what is in a topic, from where the table stands."""
    store, token = PostgresStore(database_url), uuid4()
    async with LogSource(servers) as source:
        logs = await source.ranges([topic])
        claims = await store.claim(group, logs, token, "tests")
        spans = {name: Span(claims[name].next_offset, log.end) for name, log in logs.items()}
        async for stretches in read(source, spans):
            chunk = Chunk(
                0,
                {name: tuple(stretch.records) for name, stretch in stretches.items()},
                {name: Span(stretch.from_offset, stretch.next_offset) for name, stretch in stretches.items()},
            )
            prepared = _prepared(chunk)
            moves = chunk.moves(dict.fromkeys(chunk.spans, token))
            await store.apply(Batch(group, moves, prepared.states, prepared.catalogue, prepared.dead_letters))
    await store.close()


def _prepared(chunk: Chunk) -> Prepared:
    slices = prepare(chunk)
    while True:
        try:
            next(slices)
        except StopIteration as end:
            prepared: Prepared = end.value
            return prepared
