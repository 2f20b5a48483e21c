"""Which URLs ask for verified TLS, and what of a URL a message may show."""

from __future__ import annotations

import ssl

import pytest

from store.connect import connect_options, connect_writer, describe, tls

LOCAL = (
    "postgresql://localhost/d",
    "postgresql://u:p@localhost:5433/d",
    "postgres://127.0.0.1:5432/d",
    "postgresql://[::1]/d",
    "postgresql://[::1]:5433/d",
    "postgresql:///d",
    "postgresql://",
    "postgresql://u:p@/d",
    "postgresql://%2Fvar%2Frun%2Fpostgresql/d",
    "postgresql:///d?host=/var/run/postgresql&port=5433",
    "postgresql:///d?host=localhost",
    "postgresql://localhost:5432,127.0.0.1:5433,[::1]/d",
    "postgresql:///d?host=/tmp,localhost",
)
REMOTE = (
    "postgresql://db.example/d",
    "postgresql://u:p@db.example:5433/d",
    "postgresql://10.0.0.1/d",
    "postgresql://127.0.0.1.example/d",
    "postgresql://localhost.example/d",
    "postgresql://localhost@db.example/d",
    "postgresql://u:localhost@db.example/d",
    "postgresql://[fe80::1]:5432/d",
    "postgresql:///d?host=db.example",
    "postgresql://db.example/d?host=localhost",
    "postgresql://localhost,db.example/d",
    "postgresql:///d?host=/tmp,db.example",
    "postgresql://db.example/d?sslmode=",
    "postgresql://db.example/sslmode=disable",
    "postgresql://db.example/d?application_name=sslmode",
)


@pytest.mark.parametrize("url", LOCAL)
def test_this_machine_needs_no_tls(url: str) -> None:
    """Where every host is this machine or a socket, nothing is added to the URL."""
    assert tls(url) is None
    assert "ssl" not in connect_options(url)


@pytest.mark.parametrize("url", REMOTE)
def test_another_machine_is_verified(url: str) -> None:
    """Where any host may be another machine and TLS is left open, its certificate and name are checked."""
    context = connect_options(url)["ssl"]
    assert isinstance(context, ssl.SSLContext)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"])
def test_a_stated_sslmode_is_left_alone(mode: str) -> None:
    """An operator who states an sslmode gets that mode, for hosts near and far."""
    for host in ("localhost", "db.example", "db.example,localhost"):
        assert "ssl" not in connect_options(f"postgresql://u:p@{host}/d?x=1&sslmode={mode}")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:s3cret@db.example:5433/d", "db.example:5433/d"),
        ("postgresql://db.example/d", "db.example:5432/d"),
        ("postgresql:///d", "localhost:5432/d"),
        ("postgresql://u:s3cret@/d", "localhost:5432/d"),
        ("postgresql://u:s3%40cret@db.example/d", "db.example:5432/d"),
        ("postgresql://u:s3@cret@db.example/d", "db.example:5432/d"),
        ("postgresql://u:s3cret@a:1,b:2/d", "a:1,b:2/d"),
        ("postgresql://a,b:2/d?port=7", "a:7,b:2/d"),
        ("postgresql://%2Ftmp/d", "/tmp:5432/d"),
        ("postgresql:///d?host=db.example&port=7&user=u&password=s3cret", "db.example:7/d"),
        ("postgresql://u:s3cret@db.example/d?password=s3cret", "db.example:5432/d"),
        ("postgresql://u:s3cret@db.example", "db.example:5432"),
    ],
)
def test_a_url_is_described_without_its_secrets(url: str, shown: str) -> None:
    """What a message shows of a URL is hosts, ports and database."""
    assert describe(url) == shown
    assert "s3" not in describe(url)


async def test_writers_and_their_sessions_are_bounded(database_url: str) -> None:
    """A writer's session has time limits, UTC, and the right to write."""
    connection = await connect_writer(database_url)
    try:
        for name, value in (
            ("statement_timeout", "8s"),
            ("lock_timeout", "5s"),
            ("idle_in_transaction_session_timeout", "10s"),
            ("TimeZone", "UTC"),
            ("transaction_read_only", "off"),
        ):
            assert await connection.fetchval("SELECT current_setting($1)", name) == value
    finally:
        await connection.close()
