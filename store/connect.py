"""Connections to PostgreSQL: bounded waits, a primary that accepts writes, and TLS that is verified."""

from __future__ import annotations

import getpass
import os
import re
import ssl
from typing import Any, cast
from urllib.parse import parse_qs, parse_qsl, unquote, urlencode, urlsplit, urlunsplit

import asyncpg
from asyncpg import connect_utils

from events.transport import is_local as is_local_host
from store.errors import MisconfiguredError

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
    "plan_cache_mode": "force_custom_plan",  # a plan for any workflow is bad for the largest and for the smallest
    "jit": "off",  # compiling a page costs more than reading it
    "default_transaction_read_only": "on",
    "timezone": "UTC",
}
UNREADABLE = "an address that cannot be read"
VERIFYING = ("verify-full", "verify-ca")
PLAIN = ("disable", "allow", "prefer")  # the last two fall back to plaintext without a word
# Every argument of a connection that its URL may say as well.
_OPEN = dict.fromkeys(
    (
        "host",
        "port",
        "user",
        "password",
        "passfile",
        "database",
        "service",
        "servicefile",
        "direct_tls",
        "server_settings",
        "target_session_attrs",
        "krbsrvname",
        "gsslib",
    )
)


class PlaintextError(MisconfiguredError):
    """A database on another machine would be spoken to in plaintext."""


class NamelessError(MisconfiguredError):
    """Nobody says as which user a database is spoken to."""


def tls(url: str) -> ssl.SSLContext | None:
    """Return a verifying context where one is asked for, or where the URL leaves TLS open and the host is another one.

    asyncpg's own default accepts a plaintext connection without a word; and for `verify-full` it knows none of the
    machine's authorities. What it makes of `sslrootcert`, `sslcert`, `sslkey`, `sslcrl` and libpq's variables counts.

    Raises:
        MisconfiguredError: a file that is named cannot be used.
    """
    mode = sslmode(url)
    if mode not in VERIFYING and (mode or is_local(url)):
        return None
    try:
        _, parameters = _understood(url, ssl="require")
    except OSError as error:  # ssl.SSLError is one as well
        why = error.strerror or type(error).__name__
        msg = f"PostgreSQL at {describe(url)}: a certificate, key or list that is named for TLS cannot be used: {why}"
        raise MisconfiguredError(msg) from None
    context = cast("ssl.SSLContext", parameters.ssl)
    if context.verify_mode is ssl.CERT_NONE:  # no authority is named
        context.load_default_certs()
    context.verify_mode = ssl.CERT_REQUIRED
    context.check_hostname = mode != "verify-ca"
    return context


def _understood(url: str, *, ssl: str) -> Any:  # noqa: ANN401 - a pair of asyncpg's own
    """Return the addresses and parameters that asyncpg makes of a URL, variables and files; pinned, and tested."""
    return connect_utils._parse_connect_dsn_and_args(dsn=url, ssl=ssl, **_OPEN)  # type: ignore[attr-defined] # noqa: SLF001 - see above


def is_local(url: str) -> bool:
    """Return whether every host of a URL is this machine; where it names none, libpq's variables may."""
    named = _addresses(url)
    if [host for host, _ in named] != [""]:
        return all(is_local_host(host) for host, _ in named)
    addresses, _ = _understood(url, ssl="disable")
    return all(isinstance(each, str) or is_local_host(each[0]) for each in addresses)


def sslmode(url: str) -> str:
    """Return what a URL says about TLS; empty where it says nothing."""
    return parse_qs(urlsplit(url).query).get("sslmode", [""])[-1]


def with_tls(url: str) -> str:
    """Return a URL whose connections are encrypted where they leave this machine.

    Raises:
        PlaintextError: it says otherwise.
    """
    mode = sslmode(url)
    if mode in PLAIN and not is_local(url):
        msg = f"PostgreSQL at {describe(url)} is on another machine, and sslmode={mode} allows plaintext"
        raise PlaintextError(msg)
    return url


def with_user(url: str) -> str:
    """Return a URL of which it is known who the user is: where nobody says it, who runs this process.

    Raises:
        NamelessError: the process runs under a number that has no name, as containers do.
    """
    try:
        getpass.getuser()
    except (KeyError, OSError):
        try:
            _understood(url, ssl="disable")
        except ValueError:
            return url  # what is wrong with the URL itself is said when it is used
        except (KeyError, OSError):
            msg = f"PostgreSQL at {describe(url)}: no user is named, and user id {os.getuid()} has no name here"
            raise NamelessError(msg) from None
    return url


def with_plaintext(url: str) -> str:
    """Return a URL that allows plaintext where it says nothing about TLS."""
    return url if sslmode(url) else _with_query(url, "sslmode", "prefer")


def with_password(url: str, password: str | None) -> str:
    """Return a URL with a password, where it has none of its own."""
    if password is None or urlsplit(url).password is not None:
        return url
    return _with_query(url, "password", password)


def _addresses(url: str) -> list[tuple[str, str]]:
    """Return every host of a URL with its port: it can name several, or one in its query."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    # After the first @, as asyncpg reads it: what a password that is not percent-encoded hides is no host of ours.
    named = (
        unquote(parts.netloc.partition("@")[2] if "@" in parts.netloc else parts.netloc) or query.get("host", [""])[-1]
    )  # asyncpg takes the last
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
    return _with_query(url, "search_path", schema)


def _with_query(url: str, name: str, value: str) -> str:
    parts = urlsplit(url)
    query = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != name]
    return urlunsplit(parts._replace(query=urlencode([*query, (name, value)])))


def describe(url: str) -> str:
    """Return hosts, ports and database of a URL: what a message may show, and never a part of its password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return UNREADABLE
    if "@" in parts.path + parts.query + parts.fragment:  # a password with / ? or # that is not percent-encoded
        return UNREADABLE
    return ",".join(f"{host or 'localhost'}:{port or 5432}" for host, port in _addresses(url)) + urlsplit(url).path
