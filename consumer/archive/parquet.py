"""One file of an archive: records as Parquet, compressed with zstd; and nothing else knows the format.

Every column is what the log holds, so that reading gives the very record that was written, also one that the Kafka
client could not read (`fault`). What belongs to the whole file stands in its footer, as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

from consumer.archive.layout import ArchiveError, Facts
from consumer.chunk import Span
from consumer.errors import WexError
from consumer.record import Fault, Record
from events.position import TopicPartition
from store.batch import Anchor

try:
    import pyarrow as pa
    from pyarrow import parquet
except ModuleNotFoundError as error:
    message = "an archive is read and written with pyarrow, which is not installed"
    raise WexError(message, "`pip install 'workflow-executions[archive]'` installs it.") from error

COMPRESSION = "zstd"
LEVEL = 3  # 9 saves another 4 percent in twice the time
ABOUT = b"workflow-executions"  # the footer's key
FORMAT = 1  # raised where an older version could not read what is written
CREATED, APPENDED = "CreateTime", "LogAppendTime"  # as Kafka calls them

SCHEMA = pa.schema(
    [
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("timestamp", pa.timestamp("ms", tz="UTC"), nullable=False),
        pa.field("timestamp_type", pa.string(), nullable=False),
        pa.field("key", pa.binary()),
        pa.field("value", pa.binary()),
        # A name is bytes: it is meant to be UTF-8, and is not always.
        pa.field("headers", pa.list_(pa.struct([("key", pa.binary()), ("value", pa.binary())])), nullable=False),
        pa.field(
            "fault",
            pa.struct(
                [("reason", pa.string()), ("field", pa.string()), ("detail", pa.string()), ("last_offset", pa.int64())]
            ),
        ),
    ]
)


class Writer:
    """Writes one file, group of records by group of records; what is held in memory is one group."""

    def __init__(self, sink: BinaryIO) -> None:
        self._writer = parquet.ParquetWriter(
            sink,
            SCHEMA,
            compression=COMPRESSION,
            compression_level=LEVEL,
            use_dictionary=["timestamp_type", "headers.list.element.key"],
            column_encoding={"offset": "DELTA_BINARY_PACKED", "timestamp": "DELTA_BINARY_PACKED"},
            write_page_checksum=True,
        )
        self._records = 0
        self._bytes = 0
        self._anchor: Anchor | None = None
        self._latest_ms: int | None = None

    def write(self, records: Sequence[Record]) -> None:
        """Write a group."""
        if not records:
            return
        self._writer.write_table(_table(records), row_group_size=len(records))
        self._records += len(records)
        self._bytes += sum(record.size + len(record.key or b"") for record in records)
        anchors = (record.anchor for record in reversed(records))
        self._anchor = next((anchor for anchor in anchors if anchor is not None), self._anchor)
        latest = max(record.timestamp_ms for record in records)
        self._latest_ms = latest if self._latest_ms is None else max(self._latest_ms, latest)

    def close(self, partition: TopicPartition, span: Span, topic_id: UUID | None) -> Facts:
        """Write the footer, and return what it says."""
        facts = Facts(partition, span, topic_id, self._records, self._bytes, self._anchor, self._latest_ms)
        self._writer.add_key_value_metadata({ABOUT: _to_json(facts)})
        self._writer.close()
        return facts


def read_facts(path: Path) -> Facts:
    """Return what a file says of itself.

    Raises:
        ArchiveError: it is damaged, or no file of ours.
    """
    try:
        about = (parquet.read_metadata(path).metadata or {}).get(ABOUT)
        if about is not None:
            return _of_json(about)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        message = f"{path} is damaged: {_first_line(error)}"
        raise ArchiveError(message, "Bring it back from a copy of the archive.") from error
    raise ArchiveError(f"{path} is no file of an archive", "Take it away, and bring back what was there.")


def read_records(path: Path) -> Iterator[list[Record]]:
    """Yield a file's records, group by group.

    Raises:
        ArchiveError: it is damaged.
    """
    try:
        with parquet.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                yield _records(file.read_row_group(group))
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        message = f"{path} is damaged: {_first_line(error)}"
        raise ArchiveError(message, "Bring it back from a copy of the archive.") from error


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).split("\n", 1)[0]


def _to_json(facts: Facts) -> bytes:
    about = {
        "format": FORMAT,
        "topic": facts.partition.topic,
        "partition": facts.partition.partition,
        "topic_id": None if facts.topic_id is None else str(facts.topic_id),
        "from_offset": facts.span.from_offset,
        "next_offset": facts.span.next_offset,
        "records": facts.records,
        "value_bytes": facts.value_bytes,
        "anchor": None if facts.anchor is None else [facts.anchor.offset, facts.anchor.digest.hex()],
        "latest_ms": facts.latest_ms,
    }
    return json.dumps(about).encode()


def _of_json(text: bytes) -> Facts:
    about = json.loads(text)
    if about["format"] > FORMAT:
        msg = f"it is in format {about['format']}, this version reads up to {FORMAT}"
        raise ValueError(msg)
    anchor, topic_id = about["anchor"], about["topic_id"]
    return Facts(
        TopicPartition(about["topic"], about["partition"]),
        Span(about["from_offset"], about["next_offset"]),
        None if topic_id is None else UUID(topic_id),
        about["records"],
        about["value_bytes"],
        None if anchor is None else Anchor(anchor[0], bytes.fromhex(anchor[1])),
        about["latest_ms"],
    )


def _table(records: Sequence[Record]) -> Any:  # noqa: ANN401 - a table of pyarrow, which has no types of its own
    ends, names, values = [0], [], []
    for record in records:
        for name, value in record.headers:
            names.append(name.encode(errors="surrogateescape"))
            values.append(value)
        ends.append(len(names))
    headers = pa.StructArray.from_arrays(
        [pa.array(names, pa.binary()), pa.array(values, pa.binary())], names=["key", "value"]
    )
    columns = [
        pa.array([record.offset for record in records], pa.int64()),
        pa.array([record.timestamp_ms for record in records], pa.int64()).cast(pa.timestamp("ms", tz="UTC")),
        pa.array([APPENDED if record.log_append_time else CREATED for record in records], pa.string()),
        pa.array([record.key for record in records], pa.binary()),
        pa.array([record.value for record in records], pa.binary()),
        pa.ListArray.from_arrays(pa.array(ends, pa.int32()), headers),
        pa.array([record.fault and record.fault._asdict() for record in records], SCHEMA.field("fault").type),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def _records(table: Any) -> list[Record]:  # noqa: ANN401 - a table of pyarrow
    offsets, times, kinds, keys, values, headers, faults = (
        table.column(name).combine_chunks() for name in SCHEMA.names
    )
    return [
        Record(offset, time, key, value, named, None if fault is None else Fault(**fault), kind == APPENDED)
        for offset, time, kind, key, value, named, fault in zip(
            offsets.to_pylist(),
            times.cast(pa.int64()).to_pylist(),
            kinds.to_pylist(),
            keys.to_pylist(),
            values.to_pylist(),
            _headers(headers),
            faults.to_pylist() if faults.null_count < len(faults) else [None] * len(faults),
            strict=True,
        )
    ]


def _headers(column: Any) -> Iterator[tuple[tuple[str, bytes | None], ...]]:  # noqa: ANN401 - an array of pyarrow
    pairs = column.flatten()
    names = [name.decode(errors="surrogateescape") for name in pairs.field("key").to_pylist()]
    all_ = list(zip(names, pairs.field("value").to_pylist(), strict=True))
    end = 0
    for length in column.value_lengths().to_pylist():
        end += length
        yield tuple(all_[end - length : end])
