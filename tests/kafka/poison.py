"""Writing what the Kafka client cannot read: broken header names, bombs, and damage in the broker's own files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.producer import message_accumulator
from aiokafka.producer import producer as sending
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from aiokafka.record.util import calc_crc32c

from consumer.record_batch import CHECKED_FROM, HEADER
from tests.consuming import Value
from tests.stack import Servers

BROKEN_NAME = b"\xff\xfe"
CRC_AT = CHECKED_FROM - 4


class UnreadableName(str):
    """A header's name that is written as bytes which are not UTF-8."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Return what the client cannot read."""
        del encoding, errors
        return BROKEN_NAME


HEADERS = [("good", b"1"), (UnreadableName("k"), b"\x00v"), (UnreadableName("k"), None)]
KEPT_HEADERS = ([b"good", BROKEN_NAME, BROKEN_NAME], [b"1", b"\x00v", None])


@asynccontextmanager
async def producing(servers: Servers, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> AsyncIterator[Any]:
    """A producer that writes header names as they are; the client's builder in C takes plain text only."""
    for module in (message_accumulator, sending):
        monkeypatch.setattr(module, "DefaultRecordBatchBuilder", _DefaultRecordBatchBuilderPy)
    producer = AIOKafkaProducer(bootstrap_servers=servers.kafka_bootstrap_servers, **settings)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def send_batch(
    producer: Any, topic: str, partition: int, records: Sequence[tuple[Value, Sequence[tuple[str, Value]]]]
) -> int:
    """Write records with their headers as one batch, and return its first offset."""
    batch = producer.create_batch()
    for n, (value, headers) in enumerate(records):
        assert batch.append(key=b"key", value=value, timestamp=1_700_000_000_000 + n, headers=headers) is not None
    sent = await (await producer.send_batch(batch, topic, partition=partition))
    return int(sent.offset)


def log_file(servers: Servers, topic: str, partition: int) -> Path:
    """The file in which the broker keeps a partition's records."""
    if servers.local is None:
        pytest.skip("damages the broker's files, which only the local stack lets us reach")
    return servers.local.kafka.folder / "log" / f"{topic}-{partition}" / f"{0:020}.log"


def batches(file: Path) -> list[tuple[int, int]]:
    """Where the batches in a file begin and end."""
    data = file.read_bytes()
    found = []
    position = 0
    while position < len(data):
        end = position + 12 + int.from_bytes(data[position + 8 : position + 12])
        found.append((position, end))
        position = end
    return found


def flip(file: Path, batch: int, *, resealed: bool, at: int = HEADER.size + 12, byte: int | None = None) -> bytes:
    """Change a byte of a batch in the broker's file, with or without a checksum that fits; return the batch.

    The broker reads the file at every fetch and looks at nothing but the headers, so that it need not be stopped.
    """
    start, end = batches(file)[batch]
    with file.open("r+b") as log:
        log.seek(start)
        data = bytearray(log.read(end - start))
        data[at] = data[at] ^ 0xFF if byte is None else byte
        if resealed:
            data[CRC_AT:CHECKED_FROM] = calc_crc32c(bytes(data[CHECKED_FROM:])).to_bytes(4)
        log.seek(start)
        log.write(data)
    return bytes(data)
