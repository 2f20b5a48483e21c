"""A real broker with a listener for each way of speaking to it, right and wrong ones, and rights for its users."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from consumer.local import ports
from consumer.local.kafka import KafkaServer
from consumer.local.site import Site
from tests.security.certificates import Certificates

USER, PASSWORD = "wex", "canary-kafka-password"
LIMITED, LIMITED_PASSWORD = "nobody", "canary-limited-password"  # may do nothing
CHANGING = "changing"  # has a password only once a test gives it one
LOGIN = "org.apache.kafka.common.security"

# name: (protocol, certificate, further properties of the listener)
LISTENERS = {
    "tls": ("SSL", "server", ()),
    "mutual": ("SSL", "server", ("ssl.client.auth=required",)),
    "other-host": ("SSL", "other-host", ()),
    "expired": ("SSL", "expired", ()),
    "expiring": ("SSL", "expiring", ()),
    "sasl-tls": ("SASL_SSL", "server", ()),
    "sasl": ("SASL_PLAINTEXT", "", ()),
    "away": ("PLAINTEXT", "", ()),  # bound to this machine, and advertised as another one
}


class SecureKafka(KafkaServer):
    """One broker with many listeners; anonymous clients, USER and CHANGING may do everything, LIMITED nothing."""

    format_options = (
        f"--add-scram=SCRAM-SHA-256=[name={USER},password={PASSWORD}]",
        f"--add-scram=SCRAM-SHA-512=[name={USER},password={PASSWORD}]",
        f"--add-scram=SCRAM-SHA-512=[name={LIMITED},password={LIMITED_PASSWORD}]",
    )

    def __init__(self, site: Site, certificates: Certificates) -> None:
        super().__init__(site)
        self._certificates = certificates
        self.ports: dict[str, int] = {}

    def _ready(self, pid: int) -> bool:
        return super()._ready(pid) and all(map(ports.listening, self.ports.values()))

    def servers(self, listener: str) -> str:
        """host:port of a listener."""
        return f"127.0.0.1:{self.ports[listener]}"

    def jaas(self, password: str) -> str:
        """The users of mechanism PLAIN."""
        users = f'user_{USER}="{password}" user_{LIMITED}="{LIMITED_PASSWORD}"'
        return f"{LOGIN}.plain.PlainLoginModule required {users};"

    def _write_properties(self, log_dir: Path) -> None:
        super()._write_properties(log_dir)
        for name in LISTENERS:
            taken = [self.port, self._controller_port, *self.ports.values()]
            self.ports.setdefault(name, ports.choose("kafka", None, besides=taken))
        with self._properties.open("a") as properties:
            properties.write("\n".join(self._more(self._properties.read_text())) + "\n")

    def _more(self, written: str) -> Iterator[str]:
        """The properties beside those of every local broker; of one that is written twice, the last holds."""
        before = dict(line.split("=", 1) for line in written.splitlines() if "=" in line and line[0] != "#")
        listeners = {name: f"{name.upper()}://127.0.0.1:{port}" for name, port in self.ports.items()}
        advertised = listeners | {"away": f"AWAY://kafka.invalid:{self.ports['away']}"}
        protocols = [f"{name.upper()}:{protocol}" for name, (protocol, *_) in LISTENERS.items()]
        yield ",".join([f"listeners={before['listeners']}", *listeners.values()])
        yield ",".join([f"advertised.listeners={before['advertised.listeners']}", *advertised.values()])
        yield ",".join([f"listener.security.protocol.map={before['listener.security.protocol.map']}", *protocols])
        yield "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer"
        yield f"super.users=User:ANONYMOUS;User:{USER};User:{CHANGING}"
        for name, (protocol, certificate, more) in LISTENERS.items():
            own = f"listener.name.{name}."
            if certificate:
                yield from (f"{own}ssl.keystore.type=PEM", f"{own}ssl.truststore.type=PEM")
                yield f"{own}ssl.keystore.location={self._certificates.file(certificate)}"
                yield f"{own}ssl.truststore.location={self._certificates.authority}"
            if protocol.startswith("SASL"):
                yield f"{own}sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"
                yield f"{own}plain.sasl.jaas.config={self.jaas(PASSWORD)}"
                for mechanism in ("scram-sha-256", "scram-sha-512"):
                    yield f"{own}{mechanism}.sasl.jaas.config={LOGIN}.scram.ScramLoginModule required;"
            yield from (own + line for line in more)
        # A client under certificates of tests has a name of its own, which may do everything as well.
        yield "listener.name.mutual.ssl.principal.mapping.rules=RULE:^.*$/wex/,DEFAULT"


@contextmanager
def secure_kafka(folder: Path, certificates: Certificates) -> Iterator[SecureKafka]:
    """Run such a broker."""
    site = Site(folder, Path.home() / ".cache" / "workflow-executions", lambda _: None)
    site.prepare()
    server = SecureKafka(site, certificates)
    server.port = ports.choose("kafka", None)
    server.start()
    try:
        yield server
    finally:
        server.kill()
