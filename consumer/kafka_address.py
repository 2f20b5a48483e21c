"""Where Kafka is and how it is spoken to: every client of the consumer takes its arguments from here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from consumer.errors import ExitCode, WexError
from events.publisher.security import KafkaSecurity, problem_with, refuse_plaintext


@dataclass(frozen=True, slots=True)
class KafkaAddress:
    """Brokers, and what to tell a client about TLS and passwords.

    Attributes:
        servers: host:port of brokers, comma-separated; all that a message shows.
        security: how they are spoken to; a file or a password in it is used when a client is made, in any process.
    """

    servers: str
    security: KafkaSecurity = field(default_factory=KafkaSecurity)

    def __str__(self) -> str:
        return self.servers

    @property
    def client_options(self) -> Mapping[str, Any]:
        """`security_protocol`, `ssl_context`, `sasl_…` as aiokafka spells them."""
        return self.security.client_options()

    @property
    def arguments(self) -> dict[str, Any]:
        """What every client of Kafka is made with.

        Raises:
            PlaintextError: plaintext would leave this machine.
        """
        options = self.client_options
        refuse_plaintext(self.servers, options)
        return {"bootstrap_servers": self.servers, **options}


class KafkaTrouble(Protocol):
    """What the errors about Kafka have in common: see `SourceError`."""

    @property
    def denied(self) -> bool: ...  # noqa: D102 - see above


Kafka = str | KafkaAddress  # a string is spoken to in plaintext, and must be on this machine


def address(kafka: Kafka) -> KafkaAddress:
    """Return an address with what its clients are told."""
    return kafka if isinstance(kafka, KafkaAddress) else KafkaAddress(kafka)


async def explained(kafka: Kafka, otherwise: str) -> tuple[str, bool]:
    """Return why Kafka cannot be spoken to, and whether it was a refusal; what is not found out is said otherwise."""
    asked = address(kafka)
    problem = await problem_with(asked.servers, asked.client_options)
    return (problem.message, problem.denied) if problem else (otherwise, False)


IS_IT_RUNNING = "Is Kafka running? `wex up` starts one; --kafka-bootstrap-servers names another."


def for_people(error: KafkaTrouble, remedy: str = IS_IT_RUNNING) -> WexError:
    """Return the error for a person: one that waiting helps against, or one that it does not."""
    if error.denied:
        return WexError(str(error), "docs/security.md says which settings these are; `wex doctor` tries them.")
    return WexError(str(error), remedy, ExitCode.UNREACHABLE)
