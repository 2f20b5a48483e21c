"""How connections are made: verified TLS unless the host is local or the operator says otherwise."""

from __future__ import annotations

import ssl

import pytest

from store import ExecutionReader, PostgresStore
from store.connect import COMMAND_TIMEOUT_SECONDS, WRITER_SETTINGS, connect_options, connect_writer, describe, tls
from store.errors import ExecutionQueryError, MisconfiguredError, UnavailableError
from tests.conftest import database

LOCAL = [
    "postgresql://localhost/d",
    "postgresql://u:p@localhost:5433/d",
    "postgresql://127.0.0.1/d",
    "postgresql://[::1]:5432/d",
    "postgresql:///d",
    "postgresql:///d?host=/var/run/postgresql",
    "postgresql:///d?host=localhost&port=5433",
    "postgresql://%2Fvar%2Frun%2Fpostgresql/d",
    "postgresql://localhost:5432,127.0.0.1:5433/d",
]
REMOTE = [
    "postgresql://db.example/d",
    "postgresql://u:p@db.example:5433/d",
    "postgresql://10.0.0.1/d",
    "postgresql://[fe80::1]/d",
    "postgresql:///d?host=db.example",
    "postgresql://localhost.example/d",
    "postgresql://localhost:5432,db.example:5432/d",
    "postgresql:///d?host=localhost,db.example",
]


@pytest.mark.parametrize("url", LOCAL)
def test_a_local_server_needs_no_tls(url: str) -> None:
    """A connection that stays on this machine is left as the URL says it."""
    assert tls(url) is None
    assert "ssl" not in connect_options(url)


@pytest.mark.parametrize("url", REMOTE)
def test_a_remote_server_must_prove_itself(url: str) -> None:
    """If any host of a URL is another machine, its certificate and its name are checked."""
    context = connect_options(url)["ssl"]
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


@pytest.mark.parametrize("mode", ["disable", "prefer", "require"])
@pytest.mark.parametrize("url", ["postgresql://db.example/d", "postgresql://localhost/d"])
def test_the_operator_may_say_otherwise(url: str, mode: str) -> None:
    """A URL that asks for less is passed on as it is: whether it may is for the settings to say."""
    assert tls(f"{url}?sslmode={mode}") is None


@pytest.mark.parametrize("url", ["postgresql://db.example/d", "postgresql://localhost/d"])
def test_the_operator_may_ask_for_proof(url: str) -> None:
    """A URL that asks for verification gets it from the machine's authorities where it names none."""
    full, authority = tls(f"{url}?sslmode=verify-full"), tls(f"{url}?sslmode=verify-ca")
    assert full is not None
    assert authority is not None
    assert (full.verify_mode, full.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert (authority.verify_mode, authority.check_hostname) == (ssl.CERT_REQUIRED, False)


def test_the_variables_of_libpq_are_no_way_around(monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL without a host is judged by the host that PGHOST names, and PGSSLMODE does not turn verification off."""
    monkeypatch.setenv("PGSSLMODE", "disable")
    assert tls("postgresql:///d") is None
    monkeypatch.setenv("PGHOST", "db.example")
    context = tls("postgresql:///d")
    assert context is not None
    assert context.verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize("name", ["sslrootcert", "sslcert", "sslcrl"])
def test_a_file_that_cannot_be_read_is_a_mistake(name: str) -> None:
    """A certificate that is named and missing is nothing to wait for, and the message says where it was to be used."""
    with pytest.raises(MisconfiguredError, match=r"db.example:5432/d: a certificate.*No such file"):
        connect_options(f"postgresql://u:s3cret@db.example/d?{name}=/absent/file.pem")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:s3cret@db.example:5433/d?password=s3cret", "db.example:5433/d"),
        ("postgresql://db.example/d", "db.example:5432/d"),
        ("postgresql:///d", "localhost:5432/d"),
        ("postgresql://[::1]:5433/d", "::1:5433/d"),
        ("postgresql://one:1,two/d", "one:1,two:5432/d"),
        ("postgresql:///d?host=/tmp&port=5433", "/tmp:5433/d"),
    ],
)
def test_a_url_is_described_without_its_secrets(url: str, shown: str) -> None:
    """Messages show hosts, ports and database, and neither user nor password."""
    assert describe(url) == shown


async def test_a_writer_bounds_its_waits(database_url: str) -> None:
    """Every wait of a writer's session is bounded, by the server as well as by the client."""
    connection = await connect_writer(database_url)
    try:
        for name in WRITER_SETTINGS:
            assert await connection.fetchval("SELECT current_setting($1)", name) == WRITER_SETTINGS[name]
        assert connect_options(database_url)["command_timeout"] == COMMAND_TIMEOUT_SECONDS
    finally:
        await connection.close()


async def test_a_read_only_server_is_not_written_to(database_url: str) -> None:
    """A server that accepts no writes, as a demoted primary, is an outage."""
    connection = await connect_writer(database_url)
    name = await connection.fetchval("SELECT current_database()")
    try:
        await connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    finally:
        await connection.close()
    store = PostgresStore(database_url)
    with pytest.raises(UnavailableError):
        await store.read_claims("g")
    await store.close()


async def test_an_absent_server_is_an_outage(unused_tcp_port: int) -> None:
    """Where nobody listens the store is unavailable, and the message names the place and not the password."""
    store = PostgresStore(f"postgresql://u:s3cret@127.0.0.1:{unused_tcp_port}/d")
    with pytest.raises(UnavailableError, match=f"127.0.0.1:{unused_tcp_port}/d") as caught:
        await store.read_claims("g")
    assert "s3cret" not in str(caught.value)
    await store.reset()
    await store.close()


async def test_an_absent_database_is_a_mistake(database_url: str) -> None:
    """A database that does not exist is nothing to wait for."""
    store = PostgresStore(database(database_url, "absent"))
    with pytest.raises(MisconfiguredError, match='"absent" does not exist'):
        await store.read_claims("g")
    await store.close()


@pytest.mark.parametrize("password", ["s3/cret", "s3#cret", "s3?cret", "s3@cret/", "[s3cret"])
async def test_no_part_of_a_password_reaches_a_message(password: str) -> None:
    """A URL whose password is not percent-encoded is refused in words that quote none of it."""
    with pytest.raises((MisconfiguredError, UnavailableError, ValueError)) as caught:
        await PostgresStore(f"postgresql://u:{password}@db.invalid/d").read_claims("g")
    assert "s3" not in str(caught.value)
    assert "cret" not in str(caught.value)


async def test_a_user_must_be_given(database_url: str) -> None:
    """Listing by a user who is None is refused, rather than listing everybody's."""
    async with ExecutionReader.connect(database_url) as reader:
        with pytest.raises(ExecutionQueryError, match="user_id must be given"):
            await reader.list_by_user(None)  # type: ignore[arg-type] # what a careless caller does
