"""Kafka with TLS and passwords, right and wrong, on a broker's own listeners."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from consumer.errors import ExitCode
from consumer.kafka_address import KafkaAddress
from consumer.service import Service
from events.publisher.security import KafkaSecurity, problem_with
from tests.cli.conftest import Wex
from tests.consuming import PostgresStore, applied, consuming, fetch, make_service, produce, until
from tests.replay.load import EVENTS_EACH, records
from tests.security.certificates import KEY_PASSWORD, Certificates
from tests.security.scram import set_password
from tests.security.secure_kafka import CHANGING, PASSWORD, USER, SecureKafka
from tests.security.tls_proxy import serving, tls_proxy

Say = Callable[[str, dict[str, str]], None]

EVENT = ("--workflow-id", "order", "--temporal-workflow-id", "order-1", "--temporal-run-id", "r")
TLS = {"security_protocol": "SSL", "ssl_cafile": "authority.pem"}
SASL = {
    "security_protocol": "SASL_SSL",
    "ssl_cafile": "authority.pem",
    "sasl_username": USER,
    "sasl_password": PASSWORD,
}
WRONG = {"sasl_password": "canary-wrong-password"}

RIGHT = [
    ("tls", TLS),
    ("mutual", TLS | {"ssl_certfile": "client.pem"}),
    ("mutual", TLS | {"ssl_certfile": "client.crt", "ssl_keyfile": "client.key", "ssl_key_password": KEY_PASSWORD}),
    ("sasl-tls", SASL),
    ("sasl-tls", SASL | {"sasl_mechanism": "SCRAM-SHA-256"}),
    ("sasl-tls", SASL | {"sasl_mechanism": "PLAIN"}),
    ("sasl", SASL | {"security_protocol": "SASL_PLAINTEXT"}),
]
UNEQUAL = [
    ("tls", {"security_protocol": "SSL"}, 1, "its authority is not known; name the authority's certificate"),
    ("tls", TLS | {"ssl_cafile": "stranger.pem"}, 1, "its authority is not known"),
    ("other-host", TLS, 1, "it is for another host; connect by a name that the certificate has"),
    ("expired", TLS, 1, "it has expired; renew it"),
    ("mutual", TLS, 1, "the server refuses this client"),
    ("mutual", TLS | {"ssl_certfile": "expired-client.pem"}, 1, "the server refuses this client"),
    ("mutual", TLS | {"ssl_certfile": "strange-client.pem"}, 1, "the server refuses this client"),
    ("sasl-tls", SASL | WRONG, 1, "refuses the user or the password"),
    ("sasl-tls", SASL | WRONG | {"sasl_mechanism": "SCRAM-SHA-256"}, 1, "refuses the user or the password"),
    ("sasl-tls", SASL | WRONG | {"sasl_mechanism": "PLAIN"}, 1, "refuses the user or the password"),
    ("sasl-tls", SASL | {"sasl_username": "stranger"}, 1, "refuses the user or the password"),
    ("tls", SASL, 1, "wants no password there"),
    ("tls", {}, 5, "closed the connection made with PLAINTEXT: perhaps it speaks TLS"),
    ("sasl", {}, 5, "closed the connection made with PLAINTEXT: perhaps it speaks TLS, or wants a password"),
    ("sasl-tls", TLS, 5, "closed the connection made with SSL"),
    ("sasl", TLS, 5, "closed the connection made with SSL: perhaps it speaks plaintext"),
    ("away", {}, 1, "Kafka at kafka.invalid:[0-9]+ is on another machine and would be spoken to in plaintext"),
]


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, broker: SecureKafka, certificates: Certificates, wex: Wex) -> Say:
    """Set the settings of Kafka for a listener; names of files are those of the certificates."""
    del wex  # sets its own before

    def say(listener: str, settings: dict[str, str]) -> None:
        monkeypatch.setenv("WEX_KAFKA_BOOTSTRAP_SERVERS", broker.servers(listener))
        for name, value in settings.items():
            path = certificates.folder / value
            monkeypatch.setenv(f"WEX_KAFKA_{name.upper()}", str(path if path.suffix else value))

    return say


@pytest.mark.parametrize(("listener", "settings"), RIGHT)
def test_what_fits_is_spoken(wex: Wex, say: Say, listener: str, settings: dict[str, str]) -> None:
    """An event goes through TLS, a certificate or a password of each mechanism."""
    say(listener, settings)
    ended = wex("publish", "started", *EVENT)
    assert ended.exit_code == 0, ended.stderr


@pytest.mark.parametrize(("listener", "settings", "code", "said"), UNEQUAL)
def test_what_does_not_fit_is_said(
    wex: Wex, say: Say, database_url: str, listener: str, settings: dict[str, str], code: int, said: str
) -> None:
    """Publisher and consumer end at once, with what is wrong, where, and what to do; nothing becomes a dead letter."""
    say(listener, settings)
    for command in (("publish", "started", *EVENT), ("consume", "--until-caught-up", "--http-port", "off")):
        ended = wex(*command)
        assert ended.exit_code == code, ended.stderr
        error = next(line for line in ended.stderr.splitlines() if line.startswith("wex: "))
        assert re.search(said, error), error
        assert "127.0.0.1:" in error or "kafka.invalid:" in error
        assert "canary" not in ended.stdout + ended.stderr
    assert asyncio.run(fetch(database_url, "SELECT 1 FROM dead_letters")) == []


@pytest.mark.timeout(300)  # many commands
def test_every_command_speaks_tls_and_password(
    wex: Wex,
    say: Say,
    database_url: str,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Whatever connects to Kafka and to PostgreSQL takes its arguments from the one place: none is forgotten."""
    say("sasl-tls", SASL)
    with tls_proxy(database_url, serving(certificates.file("server"))) as proxy:
        url = f"{proxy.url}?sslmode=verify-full&sslrootcert={certificates.authority}"
        monkeypatch.setenv("WEX_DATABASE_URL", url)
        for command in (
            ("publish", "started", *EVENT),
            ("consume", "--until-caught-up", "--http-port", "off"),
            ("get", "order-1"),
            ("list", "order"),
            ("stats", "order"),
            ("delete", "order-1", "--reason", "r"),
            ("consume", "--until-caught-up", "--http-port", "off"),
            ("verify",),
            ("repair",),
            ("archive", str(tmp_path)),
            ("verify", "--archive", str(tmp_path)),
            ("replay", "start"),
            ("replay", "diff"),
            ("replay", "swap"),
            ("replay", "rollback"),
            ("replay", "abort"),
            ("dead-letter", "list"),
            ("incidents", "list"),
            ("migrate",),
            ("doctor",),
        ):
            ended = wex(*command)
            assert ended.exit_code == ExitCode.OK, (command, ended)
            # TLS waits for an answer that a broker may hold back.
            assert "did not stop cleanly" not in ended.stderr, (command, ended)


def break_connections(service: Service) -> None:
    """Have the consumer's client connect anew, as after a broker's restart."""
    for connection in list(service._source._client._conns.values()):
        connection.close()


async def test_a_password_that_is_changed_is_an_outage(broker: SecureKafka, database_url: str, topic: str) -> None:
    """A consumer whose password is not taken any more applies nothing, sets nothing aside, and goes on by itself."""
    await set_password(broker.address, CHANGING, PASSWORD)
    security = KafkaSecurity(protocol="SASL_PLAINTEXT", sasl_username=CHANGING, sasl_password=PASSWORD)
    kafka = KafkaAddress(broker.servers("sasl"), security)

    async def refused() -> bool:
        problem = await problem_with(kafka.servers, kafka.client_options)
        return problem is not None and problem.denied

    async def accepted() -> bool:
        return not await refused()

    async def failed() -> bool:
        return service.metrics.value("wex_kafka_errors_total") > 0

    await until(accepted, "the broker knows the password")
    await produce(broker.address, topic, records(5), partitions=1)
    service, total = make_service(kafka, PostgresStore(database_url), topic), 5 * EVENTS_EACH
    async with consuming(service):
        await until(lambda: applied(database_url, topic, total), "the first records")
        await set_password(broker.address, CHANGING, "canary-changed")
        await until(refused, "the broker knows the other password")
        break_connections(service)
        await produce(broker.address, topic, records(5, first=5), partitions=1)
        await until(failed, "an error of Kafka is counted")
        assert not await applied(database_url, topic, total + 1)
        await set_password(broker.address, CHANGING, PASSWORD)
        await until(lambda: applied(database_url, topic, 2 * total), "all records, once it is right again")
    assert await fetch(database_url, "SELECT 1 FROM dead_letters UNION ALL SELECT 1 FROM incidents") == []
