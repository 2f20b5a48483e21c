"""Reading a topic back, as a consumer that knows nothing of the publisher."""

from __future__ import annotations

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from events import Event, decode


async def records(bootstrap_servers: str, topic: str) -> list[ConsumerRecord]:
    """Every record of a topic, up to what its partitions hold now, in order of partition and offset."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, number) for number in sorted(await _partitions(consumer, topic))]
        ends = await consumer.end_offsets(partitions)
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        found: list[ConsumerRecord] = []
        while len(found) < sum(ends.values()):  # nothing is compacted or expired in these topics
            for batch in (await consumer.getmany(timeout_ms=100)).values():
                found.extend(batch)
    finally:
        await consumer.stop()
    return sorted(found, key=lambda record: (record.partition, record.offset))


async def events(bootstrap_servers: str, topic: str) -> list[Event]:
    """The events of a topic."""
    decoded = [decode(record.value, record.headers) for record in await records(bootstrap_servers, topic)]
    assert all(isinstance(event, Event) for event in decoded)
    return [event for event in decoded if isinstance(event, Event)]


async def _partitions(consumer: AIOKafkaConsumer, topic: str) -> set[int]:
    await consumer._client._wait_on_metadata(topic)
    found: set[int] = consumer.partitions_for_topic(topic)
    return found
