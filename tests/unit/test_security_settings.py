"""What the settings allow: plaintext stays on this machine, secrets come from files, and nothing shows them."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from click.testing import CliRunner

from consumer.commands.get import command as get
from consumer.commands.publish import command as publish
from consumer.errors import ExitCode, WexError
from consumer.settings import load, secrets
from events.publisher import ExecutionPublisher, PublishError
from events.publisher.security import LOCAL_ONLY
from events.transport import is_local
from store import connect

CANARY = "canary-5b1f"
REMOTE_URL = f"postgresql://u:{CANARY}@db.example/d"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]", "/run/postgresql"])
def test_this_machine_is_known_by_its_addresses(host: str) -> None:
    """Loopback addresses, `localhost` and sockets are this machine."""
    assert is_local(host)


@pytest.mark.parametrize("host", ["", "db", "10.0.0.1", "0.0.0.0", "localhost.example", "127.0.0.1.example", "::2"])
def test_any_other_host_is_another_machine(host: str) -> None:
    """A name that only looks like this machine is another one."""
    assert not is_local(host)


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SASL_PLAINTEXT"])
@pytest.mark.parametrize("servers", ["kafka.example:9092", "localhost:9092,10.0.0.1:9092"])
def test_plaintext_to_another_broker_is_refused(protocol: str, servers: str) -> None:
    """Plaintext that would leave this machine ends as a setting that is not usable, in words that say what to do."""
    settings = load(
        kafka_bootstrap_servers=servers,
        kafka_security_protocol=protocol,
        kafka_sasl_username="u",
        kafka_sasl_password=CANARY,
    )
    with pytest.raises(WexError, match="would be spoken to in plaintext") as refused:
        _ = settings.kafka
    assert refused.value.exit_code == ExitCode.USAGE
    assert "--insecure" in refused.value.remedy
    assert CANARY not in str(refused.value)


def test_plaintext_is_allowed_by_saying_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """`WEX_INSECURE` lets plaintext leave this machine, to Kafka and to PostgreSQL."""
    monkeypatch.setenv("WEX_INSECURE", "true")
    settings = load(kafka_bootstrap_servers="kafka.example:9092", database_url=REMOTE_URL)
    assert settings.kafka.client_options["ssl_context"] is None
    assert settings.database == f"{REMOTE_URL}?sslmode=prefer"
    assert load(database_url=f"{REMOTE_URL}?sslmode=verify-full").database == f"{REMOTE_URL}?sslmode=verify-full"


def test_a_local_broker_may_be_spoken_to_in_plaintext() -> None:
    """A client of a local broker is bound to this machine: what the broker advertises is looked at as well."""
    assert load(kafka_bootstrap_servers="localhost:9092").kafka.client_options["ssl_context"] is LOCAL_ONLY


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer"])
def test_a_database_elsewhere_must_be_encrypted(mode: str) -> None:
    """A mode that lets a connection fall back to plaintext is refused for another machine, and shows no password."""
    with pytest.raises(WexError, match=f"db.example:5432/d is on another machine, and sslmode={mode}") as refused:
        _ = load(database_url=f"{REMOTE_URL}?sslmode={mode}").database
    assert refused.value.exit_code == ExitCode.USAGE
    assert CANARY not in str(refused.value)
    assert load(database_url=f"postgresql://localhost/d?sslmode={mode}").database


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        (get, ["x", "--database-url", "postgresql://0.0.0.0:1/d?sslmode=disable"]),
        (
            publish,
            [
                *("started", "--workflow-id", "w", "--temporal-workflow-id", "t", "--temporal-run-id", "r"),
                *("--kafka-bootstrap-servers", "0.0.0.0:1"),
            ],
        ),
    ],
)
def test_every_command_refuses_plaintext(command: object, arguments: list[str]) -> None:
    """A command ends with code 2 before it connects; `--insecure` gets it as far as the connection."""
    refused = CliRunner().invoke(command, arguments)  # type: ignore[arg-type] # a click command
    assert isinstance(refused.exception, WexError)
    assert refused.exception.exit_code == ExitCode.USAGE
    allowed = CliRunner().invoke(command, [*arguments, "--insecure"])  # type: ignore[arg-type] # as above
    assert isinstance(allowed.exception, WexError)
    assert allowed.exception.exit_code == ExitCode.UNREACHABLE


async def test_the_publisher_refuses_plaintext_by_itself() -> None:
    """A program that states no security protocol cannot send its payloads to another machine by accident."""
    with pytest.raises(PublishError, match="would be spoken to in plaintext") as refused:
        async with ExecutionPublisher(bootstrap_servers="kafka.example:9092", source="/t"):
            pass
    assert refused.value.denied


def test_secrets_come_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every secret can be mounted as a file, whose last line end does not count."""
    for name in secrets():
        secret = f"postgresql://u:{CANARY}@localhost/d" if name == "database_url" else CANARY
        (tmp_path / name).write_text(f"{secret}\n")
        monkeypatch.setenv(f"WEX_{name.upper()}_FILE", str(tmp_path / name))
    settings = load()
    assert len(secrets()) == 4
    for name in secrets():
        assert CANARY in getattr(settings, name).get_secret_value()
    assert CANARY not in repr(settings)
    assert settings.database == f"postgresql://u:{CANARY}@localhost/d"


def test_a_secret_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret in the environment and in a file is a mistake; so is a file that is not there."""
    monkeypatch.setenv("WEX_KAFKA_SASL_PASSWORD_FILE", str(tmp_path / "absent"))
    with pytest.raises(WexError, match=r"WEX_KAFKA_SASL_PASSWORD_FILE: .*No such file") as missing:
        load()
    monkeypatch.setenv("WEX_KAFKA_SASL_PASSWORD", CANARY)
    with pytest.raises(WexError, match="both WEX_KAFKA_SASL_PASSWORD and") as twice:
        load()
    assert (missing.value.exit_code, twice.value.exit_code) == (ExitCode.USAGE, ExitCode.USAGE)
    assert CANARY not in str(twice.value)


def test_the_password_of_the_database_joins_its_url() -> None:
    """A password beside the URL is used where the URL has none, whatever characters it has."""
    assert load(database_url="postgresql://u@localhost/d", database_password="a@/?#&").database == (
        "postgresql://u@localhost/d?password=a%40%2F%3F%23%26"
    )
    assert load(database_url="postgresql://u:own@localhost/d", database_password="x").database == (
        "postgresql://u:own@localhost/d"
    )


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"kafka_security_protocol": "SASL_SSL"}, "needs a SASL user name and a SASL password"),
        ({"kafka_security_protocol": "SSL", "kafka_ssl_cafile": "/absent"}, "CA file /absent cannot be used: No such"),
        ({"kafka_security_protocol": "SSL", "kafka_ssl_cafile": __file__}, "CA file .* cannot be used"),
        ({"kafka_security_protocol": "SSL", "kafka_ssl_certfile": "/absent"}, "client certificate /absent"),
    ],
)
def test_settings_that_do_not_fit_are_named(flags: dict[str, str], said: str) -> None:
    """What is missing, or a file that cannot be used, is named before any connection is made."""
    with pytest.raises(WexError, match=said) as wrong:
        _ = load(**flags).kafka
    assert wrong.value.exit_code == ExitCode.USAGE


def test_a_context_without_a_protocol_is_refused() -> None:
    """A publisher that is given a context for TLS and no protocol does not fall back to plaintext."""
    options = {"ssl_context": ssl.create_default_context()}
    with pytest.raises(ValueError, match="without a security_protocol"):
        ExecutionPublisher(bootstrap_servers="kafka.example:9092", source="/t", client_options=options)


async def test_an_empty_context_leads_to_no_plaintext() -> None:
    """A context that is None says nothing: plaintext stays on this machine."""
    publisher = ExecutionPublisher(
        bootstrap_servers="kafka.example:9092", source="/t", client_options={"ssl_context": None}
    )
    with pytest.raises(PublishError, match="spoken to in plaintext"):
        await publisher.__aenter__()


def test_an_empty_variable_gives_way_to_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What compose makes of a variable that is not set hides no secret from a file."""
    secret = tmp_path / "password"
    secret.write_text(f"{CANARY}\n")
    monkeypatch.setenv("WEX_DATABASE_PASSWORD", "")
    monkeypatch.setenv("WEX_DATABASE_PASSWORD_FILE", str(secret))
    password = load().database_password
    assert password is not None
    assert password.get_secret_value() == CANARY


def test_a_variable_of_any_case_beside_the_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two places for one secret are an error, however the variable is written."""
    secret = tmp_path / "password"
    secret.write_text("other")
    monkeypatch.setenv("wex_database_password", CANARY)
    monkeypatch.setenv("WEX_DATABASE_PASSWORD_FILE", str(secret))
    with pytest.raises(WexError, match="both WEX_DATABASE_PASSWORD and WEX_DATABASE_PASSWORD_FILE are set"):
        load()


def test_a_host_hidden_in_a_password_is_another_machine() -> None:
    """An address is judged as the client reads it: what stands before a second @ is no part of the password."""
    assert not connect.is_local(f"postgresql://user:{CANARY}@evil.example,@localhost:5432/db")
