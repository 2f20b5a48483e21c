"""`wex doctor` on servers with TLS, passwords and rights: what is missing or weak is named with its remedy."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest

from events.publisher import ensure_topics
from tests.cli.conftest import Wex
from tests.consuming import WAIT_SECONDS, produce
from tests.doctor.test_doctor import examined, levels
from tests.security.certificates import Certificates
from tests.security.secure_kafka import LIMITED, LIMITED_PASSWORD, SecureKafka
from tests.security.tls_proxy import serving, tls_proxy

ANYWHERE = "0.0.0.0"  # leads to this machine, and passes for another one
KINDS, OPERATIONS, LITERAL, ALLOW = {"topic": 2, "group": 3}, {"Read": 3, "Describe": 8}, 3, 3
GRANT = r"`kafka-acls --bootstrap-server 127\S+ --add --allow-principal (\S+) --operation (\w+) --(\w+) (\S+)`"


async def grant(broker: SecureKafka, principal: str, operation: str, kind: str, name: str) -> None:
    """Do what `kafka-acls` does, which is in no package."""
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.address)
    await admin.start()
    where, may = (KINDS[kind], name, LITERAL, principal, "*"), (OPERATIONS[operation], ALLOW)
    answer = await admin._send_to_controller(CreateAclsRequest(*where, *may))
    await admin.close()
    assert [code for code, _ in answer.creation_responses] == [0]


def lacking(wex: Wex, rights: list[str]) -> list[str]:
    """The remedies of what the doctor finds missing, once that is this: a grant takes a moment to reach a broker."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        found = examined(wex, code=1 if rights else 0)
        wrong = [each for check in ("kafka group", "topic") for each in found[check] if each["level"] != "ok"]
        if [each["found"].removeprefix(f"{LIMITED} lacks ") for each in wrong] == rights:
            return [each["remedy"] for each in wrong]
        assert time.monotonic() < deadline, wrong


def test_rights_that_kafka_refuses_are_named_with_their_grant(
    wex: Wex, broker: SecureKafka, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user without rights lacks DESCRIBE, with it READ, also on an empty topic; the remedies, done, mend it."""
    topics, group = [topic, f"{topic}-empty"], f"cli-{topic}"
    asyncio.run(produce(broker.address, topic, [b"{}"], partitions=1))
    asyncio.run(ensure_topics(broker.address, topics, partitions=1))
    monkeypatch.setenv("WEX_TOPICS", ",".join(topics))
    monkeypatch.setenv("WEX_KAFKA_BOOTSTRAP_SERVERS", broker.servers("sasl"))
    monkeypatch.setenv("WEX_KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT")
    monkeypatch.setenv("WEX_KAFKA_SASL_USERNAME", LIMITED)
    monkeypatch.setenv("WEX_KAFKA_SASL_PASSWORD", LIMITED_PASSWORD)
    on = [f"group {group}", *(f"topic {each}" for each in topics)]
    lacking(wex, [f"DESCRIBE on {each}" for each in on])
    for kind, name in map(str.split, on):
        asyncio.run(grant(broker, f"User:{LIMITED}", "Describe", kind, name))
    remedies = lacking(wex, [f"READ on {each}" for each in on])
    for remedy in remedies:
        [command] = re.findall(GRANT, remedy)
        asyncio.run(grant(broker, *command))
    lacking(wex, [])


def of_tls(wex: Wex, *arguments: str) -> dict[str, str]:
    """What the doctor finds about TLS, by check."""
    found: dict[str, list[dict[str, Any]]] = examined(wex, *arguments, code=0)
    return {check: each for check, each in levels(found).items() if "tls" in check or "certificate" in check} | {
        check: found[check][0]["level"] for check in ("insecure",) if check in found
    }


KAFKA = [("tls", {}), ("expiring", {"kafka certificate": "warning"})]


@pytest.mark.parametrize(("listener", "wrong"), KAFKA)
def test_a_certificate_of_kafka_that_expires_is_found(
    wex: Wex,
    broker: SecureKafka,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
    topic: str,
    listener: str,
    wrong: dict[str, str],
) -> None:
    """A broker's certificate that holds for a few days more is a warning; one that holds is none."""
    asyncio.run(ensure_topics(broker.address, [topic], partitions=1))
    monkeypatch.setenv("WEX_KAFKA_BOOTSTRAP_SERVERS", broker.servers(listener))
    monkeypatch.setenv("WEX_KAFKA_SECURITY_PROTOCOL", "SSL")
    monkeypatch.setenv("WEX_KAFKA_SSL_CAFILE", str(certificates.authority))
    assert of_tls(wex) == wrong


POSTGRESQL = [
    ("server", "verify-full&sslrootcert={authority}", {}),
    ("expiring", "verify-full&sslrootcert={authority}", {"postgresql certificate": "warning"}),
    ("server", "require&sslrootcert={authority}", {}),  # then it is verified, as libpq does
    ("expired", "require", {"postgresql tls": "warning"}),
    ("server", "prefer", {}),  # it is on this machine
]


@pytest.mark.parametrize(("certificate", "mode", "wrong"), POSTGRESQL)
def test_tls_of_postgresql_that_proves_nothing_or_not_for_long_is_found(
    wex: Wex,
    broker: SecureKafka,
    database_url: str,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
    topic: str,
    certificate: str,
    mode: str,
    wrong: dict[str, str],
) -> None:
    """An sslmode that does not verify is a warning, and a verified certificate that holds for a few days more."""
    asyncio.run(ensure_topics(broker.address, [topic], partitions=1))
    monkeypatch.setenv("WEX_KAFKA_BOOTSTRAP_SERVERS", broker.address)
    with tls_proxy(database_url, serving(certificates.file(certificate))) as proxy:
        mode = mode.format(authority=certificates.authority)
        monkeypatch.setenv("WEX_DATABASE_URL", f"{proxy.url}?sslmode={mode}")
        assert of_tls(wex) == wrong


@pytest.mark.parametrize("encrypted", [False, True])
def test_plaintext_that_is_allowed_is_found(
    wex: Wex,
    broker: SecureKafka,
    database_url: str,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
    topic: str,
    encrypted: bool,
) -> None:
    """With --insecure the permission is named, and each connection to another machine that nobody vouches for."""
    asyncio.run(ensure_topics(broker.address, [topic], partitions=1))
    monkeypatch.setenv("WEX_KAFKA_BOOTSTRAP_SERVERS", broker.address.replace("127.0.0.1", ANYWHERE))
    context = serving(certificates.file("server")) if encrypted else None
    with tls_proxy(database_url, context) as proxy:
        monkeypatch.setenv("WEX_DATABASE_URL", proxy.url.replace("localhost", ANYWHERE))
        found = of_tls(wex, "--insecure")
    assert found == dict.fromkeys(("insecure", "kafka tls", "postgresql tls"), "warning")
