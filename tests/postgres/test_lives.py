"""The 56 lives through the real apply: PostgreSQL's merge gives the row that Python's fold gives."""

from __future__ import annotations

import random
from dataclasses import asdict, fields
from uuid import uuid4

from events import ExecutionRow, fold, row
from events.catalogue import Catalogue
from events.position import TopicPartition
from store import ExecutionReader, PostgresStore
from store.batch import Batch, Move
from tests.lives import LIVES, life


async def test_every_life_gives_the_same_row_in_postgresql(database_url: str) -> None:
    """Each life, event by event in a random order with duplicates, ends as the row that the fold gives."""
    partition, token, chance = TopicPartition("t", 0), uuid4(), random.Random(7)
    store = PostgresStore(database_url)
    await store.claim("g", {partition: 0}, token, "test")
    expected = []
    events = []
    for number in range(1, len(LIVES) + 1):
        of_life, _ = life(number, run=f"run-{number}")
        expected.append(row(fold(of_life)))
        events += of_life + of_life[:1]
    chance.shuffle(events)
    for offset, event in enumerate(events):
        move = {partition: Move(token, offset, offset + 1)}
        await store.apply(Batch("g", move, [fold([event])], Catalogue.of([event])))
    await store.close()
    async with ExecutionReader.connect(database_url) as reader:
        for wanted in expected:
            found = await reader.get_by_id(wanted.id, include_deleted=True)
            assert found is not None
            assert {f.name: getattr(found, f.name) for f in fields(ExecutionRow)} == asdict(wanted)
