"""Every command, in the order in which a newcomer meets it."""

from __future__ import annotations

import base64
import subprocess
import sys
from urllib.parse import urlsplit, urlunsplit

import pytest

from consumer.commands import options
from consumer.errors import ExitCode
from store.migrate import migrations
from tests.cli.conftest import Wex
from tests.stack import Servers

NAMES = ("--workflow-id", "order", "--temporal-workflow-id", "order-42", "--temporal-run-id", "run-1")
ID = "ed6a4dc9"


def publish(wex: Wex, verb: str, data: str = "{}", *more: str) -> str:
    """Publish an event of the one run and return the execution's id."""
    said = wex("publish", verb, *NAMES, "--data", data, "--json", *more)
    assert said.exit_code == 0, said.stderr
    return str(said.json["execution_id"])


def apply(wex: Wex) -> None:
    """Apply everything that is published."""
    said = wex("consume", "--until-caught-up")
    assert said.exit_code == 0, said.stderr


def test_an_execution_is_published_applied_and_shown(wex: Wex) -> None:
    """Events published by hand are applied, and get, list and stats show them, to people and to programs."""
    id_ = publish(wex, "started", '{"user_id": "ann", "input": {"items": 3}, "workflow_name": "Order"}')
    publish(wex, "failed", '{"error": {"message": "card [declined]"}, "duration_ms": 1500}')
    apply(wex)

    shown = wex("get", "order-42")
    assert shown.exit_code == 0
    assert "card [declined]" in shown.stdout
    assert "order (Order)" in shown.stdout
    found = wex("get", id_, "--json").json
    assert (found["status"], found["created_by"], found["input"]) == ("failed", "ann", {"items": 3})
    assert found["workflow"]["name"] == "Order"

    listed = wex("list", "order")
    assert "ERROR" in listed.stdout
    assert "card [declined]" in listed.stdout
    assert "ago" in listed.stdout or "just now" in listed.stdout
    [item] = wex("list", "--user", "ann", "--json").json["items"]
    assert (item["id"], item["input"], item["error_message"]) == (id_, None, "card [declined]")
    [item] = wex("list", "--payloads", "--json").json["items"]
    assert item["input"] == {"items": 3}

    stats = wex("stats", "order", "--json").json
    assert (stats["total"], stats["by_status"], stats["success_rate"]) == (1, {"failed": 1}, 0.0)
    assert "0.0 % of 1 that ended" in wex("stats", "order").stdout


def test_a_deleted_execution_is_hidden_and_can_be_restored(wex: Wex) -> None:
    """`wex delete` looks the run up and publishes; --restore brings it back; --dry-run publishes nothing."""
    publish(wex, "completed")
    apply(wex)
    assert wex("delete", "order-42", "--dry-run", "--json").json["position"] is None
    assert wex("delete", "order-42", "--reason", "test").exit_code == 0
    apply(wex)
    assert wex("get", "order-42").exit_code == 3
    assert wex("get", "order-42", "--include-deleted", "--json").json["deleted_at"]
    assert wex("list").stdout == "no execution matches\n"
    assert "restored" in wex("delete", "order-42", "--restore").stdout
    apply(wex)
    assert wex("get", "order-42").exit_code == 0


def test_an_empty_list_says_why(wex: Wex) -> None:
    """An empty list tells an empty table from a filter that matches nothing."""
    assert "there is no execution" in wex("list").stdout
    assert wex("list", "--json").json == {
        "items": [],
        "next_cursor": None,
        "previous_cursor": None,
        "freshness": [],
    }
    publish(wex, "completed")
    apply(wex)
    assert wex("list", "--status", "failed").stdout == "no execution matches\n"


def test_dead_letters_are_listed_and_shown(wex: Wex, servers: Servers, topic: str) -> None:
    """A record that is not an event is listed with its reason and shown with its bytes."""
    import asyncio

    from tests.consuming import produce

    assert wex("dead-letter", "list").stdout == "there are no open dead letters\n"
    asyncio.run(produce(servers.kafka_bootstrap_servers, topic, [b"\x00rubbish"]))
    apply(wex)
    assert "not_json" in wex("dead-letter", "list").stdout
    [letter] = wex("dead-letter", "list", "--json").json["items"]
    shown = wex("dead-letter", "show", str(letter["id"]), "--json").json
    assert base64.b64decode(shown["value"]) == b"\x00rubbish"
    assert "rubbish" in wex("dead-letter", "show", str(letter["id"])).stdout
    assert wex("dead-letter", "list", "--reason", "none").stdout == "no dead letter matches\n"
    assert wex("dead-letter", "show", "999999").exit_code == 3


def test_dead_letters_are_redriven_and_purged(wex: Wex, servers: Servers, topic: str, database_url: str) -> None:
    """A letter that is still wrong fails with code 1; purging asks, keeps the story, and closes it."""
    import asyncio

    from tests.consuming import encoded, fetch, produce
    from tests.lives import event

    good = encoded([event("started", run="late")])[0]
    asyncio.run(produce(servers.kafka_bootstrap_servers, topic, [b"rubbish", b"[1]"]))
    apply(wex)
    asyncio.run(fetch(database_url, "UPDATE dead_letters SET value = $1 WHERE reason = 'not_an_object'", good))
    assert wex("dead-letter", "redrive").exit_code == 2
    assert wex("dead-letter", "redrive", "--since", "yesterday").exit_code == 2
    assert wex("dead-letter", "redrive", "--reason", "none").exit_code == 3
    dry = wex("dead-letter", "redrive", "--all", "--dry-run")
    assert (dry.exit_code, dry.stdout) == (
        0,
        "would be applied: 1, would be skipped: 0\nstill wrong: 1 (not_json)\n",
    )
    done = wex("dead-letter", "redrive", "--all", "--actor", "ann", "--json")
    assert done.exit_code == 1
    assert "1 dead letters are still wrong" in done.stderr
    assert done.json == {"applied": 1, "skipped": 0, "failed": {"not_json": 1}, "passed_over": {}, "dry_run": False}
    found = {each["reason"]: each for each in wex("dead-letter", "list", "--all", "--json").json["items"]}
    assert (found["not_an_object"]["state"], found["not_an_object"]["redrive_by"]) == ("redriven", "ann")
    [letter] = wex("dead-letter", "list", "--json").json["items"]
    assert (letter["state"], letter["redrives"], letter["redrive_outcome"]) == ("open", 1, "not_json")

    meant = wex("dead-letter", "purge", "--all", "--redriven", "--dry-run", "--json").json
    assert meant == {"meant": 1, "open": 0, "purged": 0, "dry_run": True}
    assert wex("dead-letter", "purge", "--until", "2020-01-01").exit_code == 3
    purged = wex("dead-letter", "purge", str(letter["id"]), "--yes", "--actor", "bob", "--why", "privacy")
    assert purged.stdout == "1 dead letters lose their bytes; 1 of them were never redriven\npurged 1\n"
    shown = wex("dead-letter", "show", str(letter["id"]), "--json").json
    assert (shown["state"], shown["value"], shown["purged_by"], shown["purge_reason"]) == (
        "purged",
        None,
        "bob",
        "privacy",
    )
    assert "privacy" in wex("dead-letter", "show", str(letter["id"])).stdout
    assert wex("dead-letter", "list").stdout == "there are no open dead letters\n"


def test_too_many_dead_letters_end_the_consumer_with_a_code_of_their_own(
    wex: Wex, servers: Servers, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above the limit the command ends with code 6 and says what to do; with a greater one it goes on."""
    import asyncio

    from tests.consuming import produce

    asyncio.run(produce(servers.kafka_bootstrap_servers, topic, [b"rubbish"] * 30, partitions=1))
    monkeypatch.setenv("WEX_DEAD_LETTERS_IN_A_ROW_MAX", "20")
    ended = wex("consume", "--until-caught-up")
    assert ended.exit_code == 6
    assert f"too many dead letters: 30 in a row in {topic}/0 (not_json), at most 20" in ended.stderr
    assert "WEX_DEAD_LETTERS_" in ended.stderr
    monkeypatch.setenv("WEX_DEAD_LETTERS_IN_A_ROW_MAX", "30")
    apply(wex)


def test_migrations_are_applied_and_checked(wex: Wex, empty_database_url: str) -> None:
    """`wex migrate` applies what is missing, and --check only says so."""
    url = ("--database-url", empty_database_url)
    assert wex("migrate", "--check", *url).exit_code == 4
    assert wex("list", *url).exit_code == 1
    assert "wex migrate" in wex("list", *url).stderr
    refused = wex("consume", *url)
    assert refused.exit_code == 8
    assert "lacks migration 0001_initial" in refused.stderr
    assert wex("migrate", "--json", *url).json == {"applied": [f"{m.version}_{m.name}" for m in migrations()]}
    assert wex("migrate", *url).stdout == "the schema is up to date\n"
    assert wex("migrate", "--check", *url).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("list", "--order-by", "id; DROP TABLE users"), 2, "cannot order by"),
        (("list", "--limit", "0"), 2, "limit must be"),
        (("list", "--status", "dead"), 2, "unknown status"),
        (("list", "--order-by", "duration_ms"), 2, "order_by is one of started_at, completed_at"),
        (("list", "--since", "yesterday"), 2, "'yesterday' is no time like"),
        (("list", "--min-duration", "5"), 2, "'5' is no duration like 90m"),
        (("list", "--label", "k"), 2, "'k' is not NAME=VALUE"),
        (("list", "--attempt", "0"), 2, "attempt must be a whole number"),
        (("list", "--cursor", "x"), 2, "the cursor is damaged"),
        (("get", "a\ud800"), 2, "surrogate"),
        (("get", "nothing"), 3, "no execution 'nothing'"),
        (("publish", "completed", *NAMES, "--data", "[1]"), 2, "must be a JSON object"),
        (("publish", "completed", *NAMES, "--data", "{"), 2, "cannot be read"),
        (("publish", "completed", *NAMES, "--data", '{"attempt": 0}'), 2, "data.attempt"),
        (("publish", "exploded", *NAMES), 2, "VERB"),
        (("publish", "completed", *NAMES, "--kafka-bootstrap-servers", "127.0.0.1:1"), 5, "does not answer|cannot"),
        (("list", "--database-url", "postgresql://127.0.0.1:1/x"), 5, "Connect call failed"),
        (("consume", "--kafka-bootstrap-servers", "127.0.0.1:1"), 5, "Kafka"),
        (("consume", "--database-url", "postgresql://127.0.0.1:1/x"), 5, "PostgreSQL at 127.0.0.1:1/x"),
        (("consume", "--topics", ","), 2, "WEX_TOPICS"),
        (("fly",), 2, "No such command"),
    ],
    ids=lambda value: "-".join(value)[:40].encode("ascii", "replace").decode() if isinstance(value, tuple) else None,
)
def test_what_goes_wrong_is_said_and_ends_with_its_code(
    wex: Wex, arguments: tuple[str, ...], code: int, message: str
) -> None:
    """Each kind of error ends with its documented exit code and a message on standard error, and nothing on output."""
    import re

    said = wex(*arguments)
    assert re.search(message, said.stderr), said.stderr
    assert (said.exit_code, said.stdout) == (code, "")


def test_help_names_every_command_and_imports_none(wex: Wex) -> None:
    """`wex --help` lists all commands without importing what they need."""
    from consumer.cli import COMMANDS

    said = wex("--help")
    assert said.exit_code == 0
    assert all(name in said.stdout for name in COMMANDS)
    code = "import sys, consumer.cli; print(sorted({'pydantic', 'rich', 'asyncpg', 'aiokafka'} & set(sys.modules)))"
    imported = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert imported.stdout == "[]\n"


@pytest.mark.parametrize(
    "name",
    [
        "consume",
        "migrate",
        "publish",
        "get",
        "list",
        "tree",
        "chain",
        "stuck",
        "top-errors",
        "stats",
        "delete",
        "dead-letter",
        "incidents",
    ],
)
def test_every_command_explains_itself(wex: Wex, name: str) -> None:
    """Each command has a help text with its options."""
    said = wex(name, "--help")
    assert said.exit_code == 0
    assert "Usage: wex" in said.stdout


@pytest.fixture
def nameless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run under a user id that the machine has no name for, as containers do."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME", "PGUSER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 4_000_000_000)


@pytest.mark.usefixtures("nameless")
def test_a_user_id_without_a_name_needs_a_user_in_the_url(
    wex: Wex, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody says who the user is, that is said with its remedy; the URL or PGUSER may say it."""
    assert wex("list", "order").exit_code == 0
    parts = urlsplit(database_url)
    url = urlunsplit(parts._replace(netloc=f"{parts.hostname}:{parts.port}"))
    for command in (("list", "order"), ("migrate",), ("get", "order-1")):
        ended = wex(*command, "--database-url", url)
        assert (ended.exit_code, "Put the user into WEX_DATABASE_URL" in ended.stderr) == (ExitCode.USAGE, True)
        assert "user id 4000000000 has no name here" in ended.stderr
    monkeypatch.setenv("PGUSER", parts.username or "")
    monkeypatch.setenv("WEX_DATABASE_PASSWORD", parts.password or "")
    assert wex("list", "order", "--database-url", url).exit_code == 0
    ended = wex("dead-letter", "redrive", "--all")
    assert ended.exit_code == ExitCode.NOT_FOUND, ended.stderr
    assert options.whoever(None) == "user id 4000000000"
