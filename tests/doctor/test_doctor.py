"""`wex doctor` on a real Kafka and a real PostgreSQL, with things made wrong on purpose."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from tests.cli.conftest import Wex, wex
from tests.consuming import PostgresStore, consume_all, encoded, fetch, produce
from tests.kafka.test_incidents import make_anew
from tests.lives import event
from tests.stack import Servers

__all__ = ["wex"]  # a fixture


def examined(wex: Wex, *arguments: str, code: int) -> dict[str, list[dict[str, Any]]]:
    """What the doctor finds, by check."""
    said = wex("doctor", "--json", *arguments)
    assert said.exit_code == code, said.stderr or said.stdout
    assert said.json["healthy"] == (code == 0)
    found: dict[str, list[dict[str, Any]]] = {}
    for each in said.json["items"]:
        found.setdefault(each["check"], []).append(each)
    return found


def levels(found: dict[str, list[dict[str, Any]]]) -> dict[str, str]:
    """The level of each check that is not right."""
    return {check: each["level"] for check, all_of in found.items() for each in all_of if each["level"] != "ok"}


async def configure(servers: Servers, topic: str, **configs: str) -> None:
    """Change a topic's settings."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers.kafka_bootstrap_servers)
    await admin.start()
    names = {name.replace("_", "."): value for name, value in configs.items()}
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, names)])
    await admin.close()


def test_a_new_installation_is_told_what_to_do(wex: Wex, empty_database_url: str, topic: str) -> None:
    """Without topic and tables both fail, each with the command that makes them, and nothing else does."""
    found = examined(wex, "--database-url", empty_database_url, code=1)
    assert levels(found) == {"topic": "failed", "migrations": "failed"}
    assert "wex consume" in found["topic"][0]["remedy"]
    assert "wex migrate" in found["migrations"][0]["remedy"]
    assert topic in found["topic"][0]["found"]
    people = wex("doctor", "--database-url", empty_database_url)
    assert (people.exit_code, "Run `wex migrate`." in people.stdout) == (1, True)
    assert wex("migrate", "--check", "--database-url", empty_database_url).exit_code == 4  # nothing was changed


def test_what_runs_well_is_healthy(wex: Wex, servers: Servers, topic: str) -> None:
    """A topic that keeps everything and is applied, by publishers that partition as they should, has no warning."""
    names = ("--workflow-id", "o", "--temporal-workflow-id", "o-1", "--temporal-run-id")
    for run in ("r1", "r2", "r3"):
        assert wex("publish", "started", *names, run).exit_code == 0
    asyncio.run(configure(servers, topic, retention_ms="-1", retention_bytes="-1"))
    assert wex("consume", "--until-caught-up").exit_code == 0
    found = examined(wex, code=0)
    assert levels(found) == {}
    assert found["partitioning"][0]["level"] == found["clock of postgresql"][0]["level"] == "ok"
    assert found["lag"][0]["found"] == "0 records of 8 partitions not applied"
    assert "healthy" not in wex("doctor").stdout
    assert "PostgreSQL 1" in wex("doctor").stdout


def test_what_is_wrong_with_a_topic_is_found(wex: Wex, servers: Servers, topic: str, database_url: str) -> None:
    """Compaction, retention, keys that do not belong, lag without consumers, dead letters and halts are all named."""
    bootstrap = servers.kafka_bootstrap_servers
    asyncio.run(produce(bootstrap, topic, [b"bad", *encoded([event("started")])]))
    asyncio.run(consume_all(bootstrap, PostgresStore(database_url), topic, group=f"cli-{topic}"))
    asyncio.run(produce(bootstrap, topic, encoded([event("started", n, run=f"r{n}") for n in range(6)])))
    asyncio.run(configure(servers, topic, cleanup_policy="compact", retention_ms="3600000"))
    asyncio.run(fetch(database_url, "UPDATE positions SET state = 'halted' WHERE partition = 1"))
    found = examined(wex, code=1)
    assert levels(found) == {
        "compaction": "failed",
        "retention": "failed",
        "partitioning": "warning",
        "halted": "failed",
        "consumers": "warning",
        "dead letters": "warning",
    }
    assert found["lag"][0]["found"] == "6 records of 3 partitions not applied"
    assert found["dead letters"][0]["found"] == "1 open"


def test_a_topic_that_was_made_anew_is_known_before_a_consumer_meets_it(
    wex: Wex, servers: Servers, topic: str, database_url: str
) -> None:
    """A topic of the same name and length with another id is found."""
    bootstrap = servers.kafka_bootstrap_servers
    started = [event("started", n, run=f"r{n}") for n in range(3)]
    asyncio.run(produce(bootstrap, topic, encoded(started), partitions=1))
    asyncio.run(consume_all(bootstrap, PostgresStore(database_url), topic, group=f"cli-{topic}"))
    asyncio.run(make_anew(bootstrap, topic, started))
    [log] = examined(wex, code=1)["log"]
    assert (log["level"], "made anew" in log["found"]) == ("failed", True)


def test_rights_that_are_missing_are_named_with_their_grant(wex: Wex, database_url: str) -> None:
    """A role that may only read executions lacks what a consumer does; the remedy, typed in, mends it."""
    role, password = f"role_{uuid4().hex[:8]}", uuid4().hex
    parts = urlsplit(database_url)
    url = urlunsplit(parts._replace(netloc=f"{role}:{password}@{parts.hostname}:{parts.port}"))
    asyncio.run(fetch(database_url, f"CREATE ROLE {role} LOGIN PASSWORD '{password}'"))
    try:
        asyncio.run(fetch(database_url, f"GRANT SELECT ON schema_migrations, workflow_executions TO {role}"))
        [rights] = examined(wex, "--database-url", url, code=1)["rights"]
        assert rights["level"] == "failed"
        for grant in rights["remedy"].split(";"):
            asyncio.run(fetch(database_url, grant))
        found = examined(wex, "--database-url", url, code=1)
        assert (found["rights"][0]["level"], "topic" in levels(found)) == ("ok", True)
        assert password not in wex("doctor", "--database-url", url).stdout
    finally:
        asyncio.run(fetch(database_url, f"DROP OWNED BY {role}"))
        asyncio.run(fetch(database_url, f"DROP ROLE {role}"))


def test_servers_that_do_not_answer_are_findings(wex: Wex, unused_tcp_port: int) -> None:
    """Without servers the doctor says so of each, within bounds, and gives what it knows without them."""
    far = f"127.0.0.1:{unused_tcp_port}"
    url = f"postgresql://u:s3cret@{far}/x"
    found = examined(wex, "--kafka-bootstrap-servers", far, "--database-url", url, code=1)
    assert levels(found) == {"kafka": "failed", "postgresql": "failed"}
    assert "s3cret" not in str(found)
    assert found["versions"][0]["level"] == "ok"
