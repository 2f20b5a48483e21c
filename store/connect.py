"""Connections to PostgreSQL: bounded waits, a primary that accepts writes, and TLS that is verified."""

from __future__ import annotations

import re
import ssl
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlencode, urlsplit, urlunsplit

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
# What an operator starts may take long, but it never waits long for a lock, nor holds one idle for long.
OPERATOR_SETTINGS = WRITER_SETTINGS | {
    "application_name": "workflow-executions-operator",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "5min",
}
READER_SETTINGS = {
    "application_name": "workflow-executions-reader",
    "statement_timeout": "8s",
    "default_transaction_read_only": "on",
    "timezone": "UTC",
}
UNREADABLE = "an address that cannot be read"
_LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1", ""}


def tls(url: str) -> ssl.SSLContext | None:
    """Return a verifying context where the URL leaves TLS open and the host is not this machine, else None.

    asyncpg's own default accepts a plaintext connection without a word.
    """
    return None if is_local(url) or "sslmode" in parse_qs(urlsplit(url).query) else ssl.create_default_context()


def is_local(url: str) -> bool:
    """Return whether every host of a URL is this machine."""
    return all(host in _LOCAL_HOSTS or host.startswith("/") for host, _ in _addresses(url))


def _addresses(url: str) -> list[tuple[str, str]]:
    """Return every host of a URL with its port: it can name several, or one in its query."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    named = unquote(parts.netloc.rpartition("@")[2]) or query.get("host", [""])[-1]  # asyncpg takes the last
    port = query.get("port", [""])[-1]
    pairs = [re.fullmatch(r"\[?(.*?)\]?(?::([0-9]*))?", address) for address in named.split(",")]
    return [(pair[1], pair[2] or port) for pair in pairs if pair is not None]


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


async def connect_operator(url: str) -> asyncpg.Connection[asyncpg.Record]:
    """Return a connection for work that takes long, to a server that accepts writes."""
    options = connect_options(url) | {"command_timeout": None, "target_session_attrs": "read-write"}
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(**options, server_settings=OPERATOR_SETTINGS)
    return connection


def in_schema(url: str, schema: str) -> str:
    """Return the URL of the same database with another schema to look into, and no other."""
    parts = urlsplit(url)
    query = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != "search_path"]
    return urlunsplit(parts._replace(query=urlencode([*query, ("search_path", schema)])))


def describe(url: str) -> str:
    """Return hosts, ports and database of a URL: what a message may show, and never a part of its password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return UNREADABLE
    if "@" in parts.path + parts.query + parts.fragment:  # a password with / ? or # that is not percent-encoded
        return UNREADABLE
    return ",".join(f"{host or 'localhost'}:{port or 5432}" for host, port in _addresses(url)) + urlsplit(url).path
