"""Debezium's JDBC sink in a Kafka Connect of its own, with the settings that measured fastest (docs/performance.md)."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.peers import jars
from benchmarks.peers.flat import schema
from benchmarks.peers.sink import Place
from consumer.errors import WexError
from consumer.local import java, ports

# A heap of one size, collected by the collector for throughput: the best of those that were tried on two processors.
JVM = ("-Xms1g", "-Xmx1g", "-XX:+UseParallelGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")

WORKER: dict[str, str] = {
    "key.converter": "org.apache.kafka.connect.storage.StringConverter",
    "value.converter": "org.apache.kafka.connect.json.JsonConverter",
    "value.converter.schemas.enable": "true",
    "plugin.discovery": "only_scan",
}
CONNECTOR: dict[str, str] = {
    "name": "sink",
    "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
    "insert.mode": "upsert",
    "primary.key.mode": "record_value",
    "primary.key.fields": "id",
    "schema.evolution": "none",
    "collection.name.format": "workflow_executions",
    # Rows that come twice in a batch are written once, and a batch is one statement over arrays.
    "use.reduction.buffer": "true",
    "dialect.postgres.unnest.insert.enabled": "true",
    "tasks.max": "1",
    "batch.size": "2000",
    "consumer.override.max.poll.records": "2000",
    "consumer.override.max.partition.fetch.bytes": "4194304",
    "consumer.override.isolation.level": "read_committed",
    "consumer.override.auto.offset.reset": "earliest",
}


@dataclass(frozen=True, slots=True)
class Connect:
    """Kafka Connect, standalone, with one connector."""

    name: str = "Debezium JDBC sink"
    flat: bool = True
    plain_table: bool = True
    most_events: int = sys.maxsize
    warm_share: float = 0.5
    changed: Mapping[str, str] = field(default_factory=dict)  # settings of the connector
    jvm: tuple[str, ...] = JVM

    def missing(self) -> str:
        """Fetch what is not here, and say why that cannot be done."""
        try:
            java.find()
            jars.fetch()
        except (jars.MissingJarsError, WexError) as error:
            return str(error)
        return ""

    def command(self, place: Place) -> Sequence[str | Path]:
        """Write the properties, and return what runs Connect."""
        folder = Path(place.folder)
        port = ports.choose("connect", None, last=None, besides=[])
        worker = WORKER | {
            "bootstrap.servers": place.servers,
            "value.converter.schema.content": schema(),
            "offset.storage.file.filename": str(folder / f"{place.group}.offsets"),
            "listeners": f"http://{ports.LOOPBACK}:{port}",
        }
        paths = [folder / f"{place.group}-{name}.properties" for name in ("worker", "connector")]
        _write(paths[0], worker)
        _write(paths[1], {**CONNECTOR, **self._database(place), "topics": ",".join(place.topics), **self.changed})
        classes = f"{jars.fetch()}/*"
        return [java.find(), *self.jvm, "-cp", classes, "org.apache.kafka.connect.cli.ConnectStandalone", *paths]

    def settings(self, place: Place) -> Mapping[str, str]:
        """It reads files alone."""
        del place
        return {}

    def _database(self, place: Place) -> dict[str, str]:
        url = urlsplit(place.database_url)
        options = "reWriteBatchedInserts=true&stringtype=unspecified"
        return {
            "connection.url": f"jdbc:postgresql://{url.hostname}:{url.port}{url.path}?{options}",
            "connection.username": url.username or "",
            "connection.password": url.password or "",
        }


def _write(path: Path, properties: Mapping[str, str]) -> None:
    path.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
