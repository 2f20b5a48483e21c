"""Apache Kafka, one node in KRaft mode, from jars and a Java."""

from __future__ import annotations

import base64
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path

from consumer.local import jars, java, ports
from consumer.local.server import Server
from consumer.local.site import Site, writing

# Measured: half the start time of the defaults. The heap holds a broker with hundreds of partitions.
_JVM = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx512m"]
_LOGGING = ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true"]

_PROPERTIES = """\
node.id=1
process.roles=broker,controller
listeners=BROKER://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=BROKER://{host}:{port}
listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=BROKER
controller.listener.names=CONTROLLER
controller.quorum.voters=1@{host}:{controller_port}
log.dirs={log_dir}
# A misspelt topic is an error, not a new topic: the publisher and the consumer create theirs.
auto.create.topics.enable=false
# Events are kept for ever, so that the rows can always be built again.
log.retention.ms=-1
# There is one broker to replicate to.
default.replication.factor=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# Fewer files to make at the first use of a consumer group or a transaction.
offsets.topic.num.partitions=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.num.partitions=1
# Tests start many groups and let their members die.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
group.consumer.min.session.timeout.ms=1000
group.consumer.min.heartbeat.interval.ms=200
# After a kill the controller waits out the old broker's session before it lets the new one serve.
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
"""


class KafkaServer(Server):
    """A Kafka broker that is its own controller."""

    name = "kafka"
    title = "Kafka"
    format_options: Sequence[str] = ()  # more of them for a new log, as `--add-scram`

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._java: list[str | Path] = []
        self._properties = self.folder / "server.properties"
        self._log_dir = self.folder / "log"
        self._controller_port: int | None = None

    def _prepare(self) -> None:
        class_path = f"{jars.fetch(self.site)}/*"
        self._java = [java.find(), *_JVM, *_LOGGING, "-cp", class_path]
        if self._log_dir.exists():
            self.site.report(f"{self.title}: reusing the data in {self.folder} (version {jars.KAFKA})")
        else:
            self.site.report(f"{self.title}: creating a log in {self.folder} (version {jars.KAFKA})")
            self._format()

    def _format(self) -> None:
        """Make the log folder beside its place and move it there whole: an interrupted start leaves no half."""
        fresh = self.folder / "log.new"
        shutil.rmtree(fresh, ignore_errors=True)
        self._write_properties(fresh)
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        tool: list[str | Path] = [
            "kafka.tools.StorageTool",
            "format",
            f"--cluster-id={cluster_id}",
            "-c",
            self._properties,
            *self.format_options,
        ]
        self.site.run("kafka-format", [*self._java, *tool])
        fresh.rename(self._log_dir)

    def _write_properties(self, log_dir: Path) -> None:
        self._controller_port = ports.choose("kafka", None, last=self._controller_port, besides=[self.port])
        text = _PROPERTIES.format(
            host=ports.LOOPBACK,
            port=self.port,
            controller_port=self._controller_port,
            log_dir=str(log_dir).replace("\\", "\\\\"),  # a backslash escapes in a properties file
        )
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._properties.write_text(text)

    def _command(self) -> list[str | Path]:
        self._write_properties(self._log_dir)
        return [*self._java, "kafka.Kafka", self._properties]

    def _ready(self, pid: int) -> bool:
        """Knock: the broker opens its port when the controller has let it in."""
        del pid
        return ports.listening(self.port)
