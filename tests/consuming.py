"""Running the real consumer in tests: records into a topic, a service over it, rows out of the table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import fields
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaProducer

from consumer.dead_letter_limit import DeadLetterLimit
from consumer.kafka_address import Kafka
from consumer.service import Service
from consumer.source import Source
from events import Event, ExecutionRow, encode
from events.position import TopicPartition
from events.publisher import ensure_topics
from store import PostgresStore
from store.batch import Incident, Store
from store.execution import execution
from store.statements import statement

WAIT_SECONDS = 30.0

Value = bytes | None


async def produce(servers: str, topic: str, values: Iterable[Value], *, partitions: int = 3) -> int:
    """Write values round robin over a topic's partitions and return how many there were."""
    await ensure_topics(servers, [topic], partitions=partitions)
    producer = AIOKafkaProducer(bootstrap_servers=servers, linger_ms=5)
    await producer.start()
    try:
        sent = [await producer.send(topic, value, key=b"k", partition=n % partitions) for n, value in enumerate(values)]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()
    return len(sent)


def encoded(events: Iterable[Event]) -> list[Value]:
    """Events as records' values."""
    return [encode(event) for event in events]


def make_service(
    servers: Kafka,
    store: Store,
    topic: str,
    *,
    group: str = "tests",
    until_caught_up: bool = False,
    limit: DeadLetterLimit | None = None,
) -> Service:
    """The service as the command line makes it, with a short session."""
    return Service(
        store,
        lambda assigned, revoked: Source(
            bootstrap_servers=servers,
            topics=(topic,),
            group=f"{group}-{topic}",
            session_timeout_ms=6_000,
            assigned=assigned,
            revoked=revoked,
        ),
        consumer_group=group,
        owner="tests",
        until_caught_up=until_caught_up,
        limit=limit,
    )


async def consume_all(servers: str, store: Store, topic: str, *, group: str = "tests") -> Service:
    """Apply everything that is in a topic, with one consumer from start to end."""
    service = make_service(servers, store, topic, group=group, until_caught_up=True)
    problem = await asyncio.wait_for(service.run(), WAIT_SECONDS)
    assert not problem, problem
    return service


@asynccontextmanager
async def consuming(service: Service) -> AsyncIterator[Service]:
    """Run a service beside a test, and stop it in good order at the end."""
    running = asyncio.create_task(service.run())
    try:
        yield service
    finally:
        service.stop()
        await asyncio.wait_for(running, WAIT_SECONDS)


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Return as soon as a condition holds; fail after a bounded time, saying what was awaited."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + WAIT_SECONDS
    while not await condition():
        assert loop.time() < deadline, f"not within {WAIT_SECONDS:g} s: {what}"
        await asyncio.sleep(0.02)


async def rows(database_url: str) -> dict[UUID, ExecutionRow]:
    """Every row of the table, as the fold would give it."""
    connection = await asyncpg.connect(database_url)
    try:
        records = await connection.fetch("SELECT * FROM execution_rows")
    finally:
        await connection.close()
    found = [execution(record) for record in records]
    return {e.id: ExecutionRow(**{f.name: getattr(e, f.name) for f in fields(ExecutionRow)}) for e in found}


async def fetch(database_url: str, sql: str, *arguments: object) -> Sequence[asyncpg.Record]:
    """What a query finds."""
    connection = await asyncpg.connect(database_url)
    try:
        return await connection.fetch(sql, *arguments)
    finally:
        await connection.close()


async def record(database_url: str, group: str, incident: Incident) -> None:
    """Record an incident that halts nothing, as a claim does that meets a log without its beginning."""
    where = incident.partition
    place = (group, incident.kind, where.topic, where.partition, incident.from_offset, incident.to_offset)
    await fetch(database_url, statement("insert_incident"), *place, incident.detail)


async def applied(database_url: str, topic: str, records: int) -> bool:
    """Whether the positions have moved over so many records of a topic."""
    found = await fetch(
        database_url, "SELECT coalesce(sum(next_offset), 0) AS n FROM positions WHERE topic = $1", topic
    )
    return bool(found[0]["n"] >= records)


async def blocked(database_url: str) -> bool:
    """Whether somebody waits for a lock in this database."""
    waits = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    return bool(await fetch(database_url, waits))


__all__ = [
    "PostgresStore",
    "TopicPartition",
    "applied",
    "blocked",
    "consume_all",
    "consuming",
    "encoded",
    "fetch",
    "make_service",
    "produce",
    "record",
    "rows",
    "until",
]
