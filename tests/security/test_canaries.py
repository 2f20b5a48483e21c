"""Passwords and payloads reach no log, no metric and no error: canaries are looked for in all that is written."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Callable, Iterable
from http.client import HTTPConnection
from io import StringIO
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from consumer import logs
from consumer.monitoring.metrics import Metrics
from consumer.monitoring.server import MonitoringServer
from store.errors import RefusedError
from store.failures import translate
from tests.cli.conftest import Wex
from tests.consuming import fetch, produce
from tests.replay.load import records
from tests.security.certificates import Certificates
from tests.security.secure_kafka import PASSWORD, USER, SecureKafka

CANARY = "canary-7e2a"
EVENT = ("--workflow-id", "order", "--temporal-workflow-id", "order-9", "--temporal-run-id", "r")
CONSUME = ("consume", "--until-caught-up", "--http-port", "0", "--verbose", "--log-json")
FAR = f"postgresql://u:{CANARY}@127.0.0.1:1/d"
COMMANDS = (
    CONSUME,
    ("publish", "started", *EVENT, "--data", json.dumps({"input": {"secret": CANARY}})),
    ("publish", "started", *EVENT, "--data", json.dumps({"attempt": CANARY})),
    CONSUME,
    ("dead-letter", "list", "--json"),
    ("dead-letter", "redrive", "--all", "--json"),
    ("verify", "--json"),
    ("replay", "start", "--json"),
    ("replay", "diff", "--json"),
    ("incidents", "list", "--json"),
    ("doctor", "--json"),
    ("list", "order", "--json"),
    # What ends with an error.
    ("doctor", "--json", "--database-url", f"postgresql://u:{CANARY}/@nowhere/d"),
    ("doctor", "--json", "--database-url", FAR),
    ("get", "x", "--json", "--database-url", FAR),
    ("verify", "--json", "--database-url", FAR),
    ("replay", "status", "--json", "--database-url", FAR),
    (*CONSUME, "--database-url", FAR),
)
# A table that is not what the log makes of it: what differs is described, what does not is no business of anybody's.
TAMPER = "UPDATE workflow_executions SET updated_at = updated_at + interval '1 day'"
UNEQUAL = (("verify", "--json"), ("replay", "diff", "--json"))
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


@pytest.fixture
def scraped(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What each consumer of this process answers over HTTP, asked at its end, when everything is counted."""
    answers: list[str] = []
    end = MonitoringServer.__exit__

    def ask_and_end(server: MonitoringServer, *error: object) -> None:
        answers.append("\n".join(asked(server.url)))
        end(server, *error)

    monkeypatch.setattr(MonitoringServer, "__exit__", ask_and_end)
    return answers


def asked(url: str) -> Iterable[str]:
    """What a consumer's pages say, whatever their status is."""
    for path in ("/metrics", "/healthz", "/readyz"):
        connection = HTTPConnection(urlsplit(url).netloc, timeout=5)
        connection.request("GET", path)
        yield connection.getresponse().read().decode()
        connection.close()


def leaks(written: str) -> list[str]:
    """The lines in which a canary sings, in plain or as bytes are printed."""
    return [line[:300] for line in written.splitlines() if re.search("canary", line)]


@pytest.fixture
def over_tls(wex: Wex, broker: SecureKafka, certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings with secrets for Kafka."""
    del wex  # sets its own before
    monkeypatch.setenv("WEX_KAFKA_BOOTSTRAP_SERVERS", broker.servers("sasl-tls"))
    monkeypatch.setenv("WEX_KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("WEX_KAFKA_SSL_CAFILE", str(certificates.authority))
    monkeypatch.setenv("WEX_KAFKA_SASL_USERNAME", USER)
    monkeypatch.setenv("WEX_KAFKA_SASL_PASSWORD", PASSWORD)
    monkeypatch.setenv("WEX_KAFKA_SASL_MECHANISM", "PLAIN")


@pytest.mark.timeout(300)  # many commands, each over TLS
@pytest.mark.usefixtures("everything", "over_tls")
def test_no_command_shows_a_secret_or_a_payload(
    wex: Wex, database_url: str, topic: str, broker: SecureKafka, scraped: list[str], tmp_path: Path
) -> None:
    """Consuming, redriving, verifying, replaying and failing at DEBUG writes coordinates and reasons, no contents."""
    asyncio.run(produce(broker.address, topic, poisoned(), partitions=1))

    def said(*command: str) -> str:
        ended = wex(*command)
        return f"{command[:2]}\n{ended.stdout}{ended.stderr}"

    written = "".join(said(*command) for command in COMMANDS)
    asyncio.run(fetch(database_url, TAMPER))
    unequal = [said(*command) for command in UNEQUAL]
    assert "dead letter" in written
    assert ["updated_at" in each for each in unequal] == [True, True]
    assert len(scraped) == 2
    assert 'wex_dead_letters_total{reason="' in scraped[0]
    assert '"loop_silent_seconds"' in scraped[0]
    assert leaks("\n".join([written, *unequal, *scraped])) == []
    assert asyncio.run(fetch(database_url, "SELECT count(*) AS n FROM dead_letters"))[0]["n"] >= 5
    assert [bool(leaks(wex(*command).stdout)) for command in SHOWING] == [True, False]
    (tmp_path / "events").write_bytes(b"\n".join(poisoned()))
    assert leaks(json.dumps(wex("lint", str(tmp_path / "events"), "--json").json["events"])) == []
    purged = said("dead-letter", "purge", "--all", "--yes", "--json")
    assert (leaks(purged), '"purged"' in purged) == ([], True)


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


def test_a_leak_in_a_metric_is_caught(scraped: list[str]) -> None:
    """A label that quotes what a record holds is found in what a consumer serves."""
    metrics = Metrics(lambda: 0.0)
    metrics.count("wex_dead_letters_total", CANARY)
    with MonitoringServer(metrics, "127.0.0.1", 0):
        pass
    assert leaks(scraped[0])


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
