"""Connections to PostgreSQL: bounded waits, a primary that accepts writes, and TLS that is verified."""

from __future__ import annotations

import ssl
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg

# Each wait is shorter than a Kafka session, so that a stuck database never costs a consumer its partitions.
CONNECT_TIMEOUT_SECONDS = 5.0
COMMAND_TIMEOUT_SECONDS = 10.0
WRITER_SETTINGS = {
    "application_name": "workflow-executions",
    "statement_timeout": "8s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "10s",
    "timezone": "UTC",
    "jit": "off",  # compiling the merge costs more than running it
}
READER_SETTINGS = {
    "application_name": "workflow-executions-reader",
    "statement_timeout": "8s",
    "default_transaction_read_only": "on",
    "timezone": "UTC",
}
_LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1", ""}


def tls(url: str) -> ssl.SSLContext | None:
    """Return a verifying context where the URL leaves TLS open and the host is not this machine, else None.

    asyncpg's own default accepts a plaintext connection without a word.
    """
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    host = parts.hostname or query.get("host", [""])[0]
    if "sslmode" in query or host in _LOCAL_HOSTS or host.startswith("/"):
        return None
    return ssl.create_default_context()


def connect_options(url: str) -> dict[str, Any]:
    """Return the options that every connection shares."""
    options: dict[str, Any] = {
        "dsn": url,
        "timeout": CONNECT_TIMEOUT_SECONDS,
        "command_timeout": COMMAND_TIMEOUT_SECONDS,
        "max_cacheable_statement_size": 0,  # no bound: the merge is long, and preparing it for each batch is dear
    }
    if (context := tls(url)) is not None:
        options["ssl"] = context
    return options


async def connect_writer(url: str) -> asyncpg.Connection[asyncpg.Record]:
    """Return a connection to a server that accepts writes."""
    options = connect_options(url) | {"server_settings": WRITER_SETTINGS, "target_session_attrs": "read-write"}
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(**options)
    return connection


def describe(url: str) -> str:
    """Return host, port and database of a URL: what a message may show."""
    parts = urlsplit(url)
    return f"{parts.hostname or 'localhost'}:{parts.port or 5432}{parts.path}"
