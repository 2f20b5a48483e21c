"""Passwords and payloads reach no log, no metric and no error: canaries are looked for in all that is written."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Callable
from io import StringIO

import asyncpg
import pytest

from consumer import logs
from store.errors import RefusedError
from store.failures import translate
from tests.cli.conftest import Wex
from tests.consuming import fetch, produce
from tests.replay.load import records
from tests.security.certificates import Certificates
from tests.security.secure_kafka import PASSWORD, USER, SecureKafka
from tests.stack import Servers

CANARY = "canary-7e2a"
EVENT = ("--workflow-id", "order", "--temporal-workflow-id", "order-9", "--temporal-run-id", "r")
# The first command shows payloads because it is asked for an execution, the second because it is asked for bytes.
SHOWING = (("get", "order-9"), ("dead-letter", "show", "1", "--json"))


def poisoned() -> list[bytes]:
    """Records with canaries in each place of a payload: good ones, ones that PostgreSQL refuses, and no events."""
    good = json.loads(next(iter(records(1))))
    changes: list[Callable[[dict[str, object]], object]] = [
        lambda data: data.update(input={"secret": CANARY}, error={"message": CANARY, "stack_trace": CANARY}),
        lambda data: data.update(input={"secret": f"{CANARY}\u0000"}),
        lambda data: data.update(input={CANARY: 10**10}, attempt=CANARY),
        lambda data: data.update(workflow_id=CANARY * 2_000),
        lambda data: data.update(output=CANARY, duration_ms=2**70),
        lambda data: data.update(labels={CANARY: [CANARY]}),
    ]
    values = [CANARY.encode(), f'{{"id": "{CANARY}'.encode(), f'["{CANARY}"]'.encode()]
    for number, change in enumerate(changes):
        event = json.loads(json.dumps(good))
        event["id"] = str(number)
        change(event["data"])
        values.append(json.dumps(event).encode())
    return values


@pytest.fixture
def everything(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Log every logger of this process at DEBUG, as nobody should."""
    del capsys

    def configure(*, as_json: bool, verbose: bool) -> None:
        real(as_json=as_json, verbose=verbose)
        logging.getLogger().setLevel(logging.DEBUG)
        for name in ("aiokafka", "aiokafka.conn", "asyncpg", "asyncio"):
            monkeypatch.setattr(logging.getLogger(name), "level", logging.DEBUG)
        logging.getLogger("aiokafka").manager._clear_cache()  # type: ignore[attr-defined] # the levels are cached

    real = logs.configure
    monkeypatch.setattr(logs, "configure", configure)


def leaks(written: str) -> list[str]:
    """The lines in which a canary sings, in plain or as bytes are printed."""
    return [line[:300] for line in written.splitlines() if re.search("canary", line)]


@pytest.mark.timeout(300)  # many commands, each over TLS
@pytest.mark.usefixtures("everything")
def test_no_command_shows_a_secret_or_a_payload(
    wex: Wex,
    servers: Servers,
    database_url: str,
    topic: str,
    broker: SecureKafka,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Consuming, redriving, verifying, replaying and failing at DEBUG writes coordinates and reasons, no contents."""
    del servers
    asyncio.run(produce(broker.address, topic, poisoned(), partitions=1))
    monkeypatch.setenv("WEX_KAFKA_BOOTSTRAP_SERVERS", broker.servers("sasl-tls"))
    monkeypatch.setenv("WEX_KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("WEX_KAFKA_SSL_CAFILE", str(certificates.authority))
    monkeypatch.setenv("WEX_KAFKA_SASL_USERNAME", USER)
    monkeypatch.setenv("WEX_KAFKA_SASL_PASSWORD", PASSWORD)
    monkeypatch.setenv("WEX_KAFKA_SASL_MECHANISM", "PLAIN")
    payload = json.dumps({"input": {"secret": CANARY}})
    consume = ("consume", "--until-caught-up", "--http-port", "off", "--verbose", "--log-json")
    written = ""
    for command in (
        consume,
        ("publish", "started", *EVENT, "--data", payload),
        ("publish", "started", *EVENT, "--data", json.dumps({"attempt": CANARY})),
        consume,
        ("dead-letter", "list", "--json"),
        ("dead-letter", "redrive", "--all", "--json"),
        ("verify", "--json"),
        ("replay", "start", "--json"),
        ("incidents", "list", "--json"),
        ("doctor", "--json"),
        ("list", "order", "--json"),
        ("doctor", "--database-url", f"postgresql://u:{CANARY}/@nowhere/d"),
        ("get", "x", "--database-url", f"postgresql://u:{CANARY}@127.0.0.1:1/d"),
    ):
        ended = wex(*command)
        written += f"{command[:2]}\n{ended.stdout}{ended.stderr}"
    assert "dead letter" in written
    assert leaks(written) == []
    assert asyncio.run(fetch(database_url, "SELECT count(*) AS n FROM dead_letters"))[0]["n"] >= 5
    assert [bool(leaks(wex(*command).stdout)) for command in SHOWING] == [True, False]


def test_a_planted_leak_is_caught(wex: Wex, monkeypatch: pytest.MonkeyPatch) -> None:
    """The search finds what a careless line writes, and what the Kafka client writes at DEBUG without our filter."""
    monkeypatch.setenv("WEX_TOPICS", CANARY)
    monkeypatch.setenv("WEX_KAFKA_BOOTSTRAP_SERVERS", CANARY)
    assert leaks(wex("doctor").stdout)
    written = StringIO()
    logger, handler = logging.getLogger("aiokafka.conn"), logging.StreamHandler(written)
    monkeypatch.setattr(logger, "level", logging.DEBUG)
    monkeypatch.setattr(logger, "handlers", [handler])
    logger.manager._clear_cache()  # type: ignore[attr-defined] # the levels are cached
    logger.debug("Request: %s", CANARY)
    assert leaks(written.getvalue()) == []
    monkeypatch.setattr(logger, "filters", [])
    logger.debug("Request: %s", CANARY)
    assert leaks(written.getvalue())


async def test_no_error_of_the_database_quotes_a_row(database_url: str) -> None:
    """What PostgreSQL says of a row, or the client of a value, is neither in our error nor in its cause."""
    connection = await asyncpg.connect(database_url)
    try:
        for sql, arguments in (
            ("INSERT INTO users (id) VALUES ($1), ($1)", [CANARY]),
            ("INSERT INTO workflows (id) VALUES ($1)", [None]),
            ("SELECT $1::int", [CANARY]),
            ("SELECT $1::text::int", [CANARY]),
        ):
            with pytest.raises(Exception) as caught:  # noqa: PT011 - each of another kind
                await connection.execute(sql, *arguments)
            translated = translate(caught.value, database_url)
            assert leaks(f"{translated} {translated!r} {caught.value} {caught.value!r}") == []
    finally:
        await connection.close()
    assert isinstance(translated, RefusedError)
