"""How Kafka is spoken to: the one place where a client's arguments for TLS and passwords are made.

Plaintext does not leave this machine unless somebody says so. The hosts that are named are not all: a broker answers
with the addresses of its cluster, and the client goes on with those. So every connection is looked at.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from aiokafka.conn import AIOKafkaConnection, collect_hosts
from aiokafka.errors import (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from ..transport import is_local, tls_problem

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
ENCRYPTED = ("SSL", "SASL_SSL")
ASK_SECONDS = 5.0  # for each connection that is tried to find out why others fail
CLOSE_SECONDS = 1.0
_CONNECTION_OPTIONS = (
    "security_protocol",
    "ssl_context",
    "sasl_mechanism",
    "sasl_plain_username",
    "sasl_plain_password",
)
_DENIALS = (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
# What a broker may want that closes a connection without a word.
_WANTS = {
    "PLAINTEXT": "speaks TLS, or wants a password,",
    "SSL": "speaks plaintext, or wants a password or a client certificate,",
    "SASL_PLAINTEXT": "speaks TLS",
    "SASL_SSL": "speaks plaintext, or wants a client certificate,",
}


class _LocalOnly:
    """Stands where a plaintext client has no TLS context, and keeps its connections on this machine."""

    def __repr__(self) -> str:
        return "plaintext on this machine only"


LOCAL_ONLY = _LocalOnly()


class PlaintextError(KafkaConnectionError):  # type: ignore[misc] # aiokafka ships no type information
    """A broker on another machine would have been spoken to in plaintext."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSecurity:
    """How to speak to Kafka; the names are Kafka's own.

    Attributes:
        protocol: whether there is TLS, and whether there is a password.
        ca_file: certificates of the authorities to trust (PEM); None: those of this machine.
        cert_file: this client's own certificate (PEM), where the brokers ask for one.
        key_file: its key, where it is not in the same file.
        key_password: of that key.
        sasl_mechanism: how a password is proven.
        sasl_username: who we are.
        sasl_password: the password.
        insecure: whether plaintext may leave this machine.
    """

    protocol: Protocol = "PLAINTEXT"
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    key_password: str | None = field(default=None, repr=False)
    sasl_mechanism: Mechanism = "SCRAM-SHA-512"
    sasl_username: str | None = None
    sasl_password: str | None = field(default=None, repr=False)
    insecure: bool = False

    def client_options(self) -> dict[str, Any]:
        """Return the arguments of a Kafka client.

        Raises:
            ValueError: something is missing, or a file cannot be used; the message names what, and no secret.
        """
        options: dict[str, Any] = {"security_protocol": self.protocol, "ssl_context": self._context()}
        if self.protocol.startswith("SASL_"):
            if self.sasl_username is None or self.sasl_password is None:
                msg = f"{self.protocol} needs a SASL user name and a SASL password"
                raise ValueError(msg)
            options |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.sasl_username,
                "sasl_plain_password": self.sasl_password,
            }
        return options

    def _context(self) -> ssl.SSLContext | _LocalOnly | None:
        if self.protocol not in ENCRYPTED:
            return None if self.insecure else LOCAL_ONLY
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ValueError) as error:
            msg = f"the CA file {self.ca_file} cannot be used: {_reason(error)}"
            raise ValueError(msg) from None
        if self.cert_file is not None:
            try:
                context.load_cert_chain(self.cert_file, self.key_file, lambda: self.key_password or "")
            except (OSError, ValueError) as error:
                msg = f"the client certificate {self.cert_file} or its key cannot be used: {_reason(error)}"
                raise ValueError(msg) from None
        return context


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return str(error.reason or "it holds no certificate or key in PEM, or not with this password")
    return getattr(error, "strerror", None) or type(error).__name__


def stated(client_options: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return a client's options; where none says how Kafka is spoken to, plaintext stays on this machine.

    Raises:
        ValueError: there is a context for TLS, and no protocol that would use it.
    """
    options = dict(client_options or {})
    if "security_protocol" in options:
        return options
    if options.get("ssl_context") is not None:
        msg = "an ssl_context is given without a security_protocol; state SSL or SASL_SSL"
        raise ValueError(msg)
    return options | KafkaSecurity().client_options()


def refuse_plaintext(bootstrap_servers: str | Sequence[str], client_options: Mapping[str, Any]) -> None:
    """Refuse brokers on another machine that would be spoken to in plaintext; no connection is made.

    Raises:
        PlaintextError: the message says what to do.
    """
    if client_options.get("ssl_context") is LOCAL_ONLY:
        for host, port, _ in collect_hosts(bootstrap_servers):
            _refuse(host, port)


def _refuse(host: str, port: int) -> None:
    if not is_local(host):
        msg = (
            f"Kafka at {host}:{port} is on another machine and would be spoken to in plaintext;"
            " use the security protocol SSL or SASL_SSL, or say that this network may be trusted"
        )
        raise PlaintextError(msg)


_connect = AIOKafkaConnection.connect


async def _connect_securely(connection: AIOKafkaConnection) -> Any:  # noqa: ANN401 - aiokafka ships no type information
    if connection._ssl_context is LOCAL_ONLY:  # noqa: SLF001 - pinned, and tested
        _refuse(connection.host, connection.port)
    return await _connect(connection)


_close = AIOKafkaConnection.close


def _close_at_once(
    connection: AIOKafkaConnection,
    reason: object = None,
    exc: BaseException | None = None,
) -> Any:  # noqa: ANN401 - as above
    """Close a connection without waiting for the other side to agree.

    TLS ends with an answer, and a broker that holds back the answer to a fetch does not listen meanwhile: uvloop then
    waits for ever, in the client's `stop` and when the loop is closed. What matters was acknowledged before.
    """
    writer = connection._writer  # noqa: SLF001 - pinned, and tested
    closed = _close(connection, reason, exc)
    if writer is not None and connection._security_protocol in ENCRYPTED:  # noqa: SLF001 - as above
        with suppress(AttributeError):  # asyncio of Python 3.11.2 fails at a connection that was closed before
            writer.transport.abort()
    return closed


def _is_no_request(record: logging.LogRecord) -> bool:
    """At DEBUG the client logs every request, and what it is to send, as it is: passwords and payloads."""
    return record.levelno > logging.DEBUG


for _logger in ("aiokafka.conn", "aiokafka.producer.producer"):
    logging.getLogger(_logger).addFilter(_is_no_request)
AIOKafkaConnection.connect = _connect_securely
AIOKafkaConnection.close = _close_at_once


@dataclass(frozen=True, slots=True)
class Problem:
    """Why Kafka cannot be spoken to.

    Attributes:
        message: what, where, and what to do.
        denied: it answers, and one side does not accept the other; waiting does not help.
    """

    message: str
    denied: bool


async def problem_with(
    bootstrap_servers: str | Sequence[str], client_options: Mapping[str, Any], *, timeout_seconds: float = ASK_SECONDS
) -> Problem | None:
    """Try what a client tries, and return what goes wrong, if it is more than silence: the client keeps it to its log.

    The brokers that were named are tried, and those that they name in turn.
    """
    options = {name: client_options[name] for name in _CONNECTION_OPTIONS if name in client_options}
    options["request_timeout_ms"] = round(min(timeout_seconds, ASK_SECONDS) * 1000)
    found: Problem | None = None
    for host, port, _ in sorted(collect_hosts(bootstrap_servers)):
        try:
            async with _connected(host, port, options) as connection:
                metadata = await connection.send(MetadataRequest([]))
            for _, broker_host, broker_port, *_ in metadata.brokers:
                host, port = broker_host, broker_port  # noqa: PLW2901 - whom the message is about
                async with _connected(host, port, options):
                    pass
        except TimeoutError:
            continue
        except (OSError, KafkaError) as error:
            found = _problem(error, f"Kafka at {host}:{port}", str(options.get("security_protocol", "PLAINTEXT")))
            if found.denied:
                return found
        else:
            return None
    return found


@asynccontextmanager
async def _connected(host: str, port: int, options: Mapping[str, Any]) -> AsyncIterator[AIOKafkaConnection]:
    """Lend a connection that is closed when this ends: the client's own way leaves that to a loop that may be gone."""
    connection = AIOKafkaConnection(host, port, **options)
    try:
        await connection.connect()
        yield connection
    finally:
        closed = connection.close()
        if connection._protocol is not None:  # noqa: SLF001 - it was open once
            await asyncio.wait([closed], timeout=CLOSE_SECONDS)


def _problem(error: Exception, where: str, protocol: str) -> Problem:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLError):
        return Problem(f"{where}: {tls_problem(cause)}", denied=not isinstance(cause, ssl.SSLEOFError))
    said = str(error.args[0] if error.args else "") or type(error).__name__
    if isinstance(error, PlaintextError):
        return Problem(said, denied=True)
    if isinstance(error, IllegalSaslStateError):
        return Problem(f"{where} wants no password there: use the protocol PLAINTEXT or SSL", denied=True)
    if isinstance(error, _DENIALS):
        return Problem(f"{where} refuses the user or the password: {said}; correct them, or the mechanism", denied=True)
    if isinstance(error, KafkaError | ConnectionResetError):
        perhaps = _WANTS[protocol]
        return Problem(f"{where} closed the connection made with {protocol}: perhaps it {perhaps} there", denied=False)
    return Problem(f"{where} does not answer: {str(error) or type(error).__name__}", denied=False)
