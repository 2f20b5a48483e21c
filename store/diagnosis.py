"""What a database says about itself, for those who look for what is wrong."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg

from events.position import TopicPartition
from store.connect import READER_SETTINGS, connect_options, is_local, sslmode
from store.errors import StoreError
from store.failures import translate
from store.migrate import pending
from store.statements import statement

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

# What the consumer does with each relation; whoever only reads needs less.
CONSUMER_RIGHTS = tuple(
    (relation, privilege)
    for relation, privileges in (
        ("workflow_executions", "select insert update"),
        ("execution_rows", "select"),
        ("workflows", "select insert update"),
        ("users", "select insert update"),
        ("positions", "select insert update"),
        ("dead_letters", "select insert"),
        ("withheld_payloads", "select insert"),
        ("incidents", "select insert"),
        ("schema_migrations", "select"),
        ("statistics_deltas", "select insert delete"),
        ("execution_statistics", "select insert update delete"),
        ("statistics_mark", "select update"),
    )
    for privilege in privileges.split()
)


@dataclass(frozen=True, slots=True)
class PositionFacts:
    """Where a partition stands.

    Attributes:
        owner: who holds the claim, None if nobody does.
        topic_id: of the topic that was read; None where it is not known.
    """

    next_offset: int
    halted: bool
    owner: str | None
    fold_version: int
    topic_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseFacts:
    """What was found.

    Attributes:
        sslmode: what the URL says about it.
        local: whether the server is on this machine.
        skew_seconds: how far the server's clock is ahead of this machine's.
        doubt_seconds: how wrong that may be: half of the time that asking took.
        certificate_days: how long the server's certificate holds; None where nobody looked at it.
        pending: names of the migrations that are missing; what follows is empty then.
        missing_rights: relations and privileges that the role lacks.
    """

    version: str
    version_number: int
    in_recovery: bool
    encrypted: bool
    local: bool
    role: str
    skew_seconds: float
    doubt_seconds: float
    pending: tuple[str, ...]
    sslmode: str = ""
    certificate_days: float | None = None
    missing_rights: tuple[tuple[str, str], ...] = ()
    positions: dict[TopicPartition, PositionFacts] | None = None
    open_incidents: int = 0
    open_dead_letters: int = 0


async def diagnose(url: str, consumer_group: str, now: Callable[[], datetime]) -> DatabaseFacts:
    """Ask a database, without changing anything.

    Raises:
        UnavailableError: the database does not answer.
        MisconfiguredError: the database or a right is missing.
    """
    missing = tuple(f"{migration.version}_{migration.name}" for migration in await pending(url))
    connection: Connection | None = None
    try:
        connection = await asyncpg.connect(**connect_options(url), server_settings=READER_SETTINGS)
        asked = now()
        server = await connection.fetchrow(statement("diagnose_server"))
        answered = now()
        assert server is not None, "it has one row"
        doubt = (answered - asked) / 2
        found = DatabaseFacts(
            version=server["version"],
            version_number=server["version_number"],
            in_recovery=server["in_recovery"],
            encrypted=_tls(connection) is not None,
            sslmode=sslmode(url),
            certificate_days=_certificate_days(connection, answered),
            role=server["role"],
            skew_seconds=(server["time"] - (asked + doubt)).total_seconds(),
            doubt_seconds=doubt.total_seconds(),
            local=is_local(url),
            pending=missing,
        )
        return found if missing else await _with_tables(found, connection, consumer_group)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, StoreError, OSError, TimeoutError) as error:
        raise translate(error, url) from error
    finally:
        if connection is not None:
            await connection.close()


def _tls(connection: Connection) -> ssl.SSLObject | None:
    """Return the TLS of a connection as this side has it; before the server there may be a proxy that ends it."""
    return connection._transport.get_extra_info("ssl_object")  # type: ignore[attr-defined,no-any-return] # noqa: SLF001 - pinned, and tested


def _certificate_days(connection: Connection, now: datetime) -> float | None:
    used = _tls(connection)
    certificate = used.getpeercert() if used else None  # empty where nobody looked at it
    if not certificate:
        return None
    return (ssl.cert_time_to_seconds(str(certificate["notAfter"])) - now.timestamp()) / 86_400


async def _with_tables(found: DatabaseFacts, connection: Connection, consumer_group: str) -> DatabaseFacts:
    wanted = [relation for relation, _ in CONSUMER_RIGHTS], [privilege for _, privilege in CONSUMER_RIGHTS]
    missing = [(r["relation"], r["privilege"]) for r in await connection.fetch(statement("diagnose_rights"), *wanted)]
    if any(privilege == "select" for _, privilege in missing):
        return replace(found, missing_rights=tuple(missing))
    positions = {
        TopicPartition(r["topic"], r["partition"]): PositionFacts(
            r["next_offset"], r["state"] == "halted", r["owner"], r["fold_version"], r["topic_id"]
        )
        for r in await connection.fetch(statement("diagnose_positions"), consumer_group)
    }
    counts = await connection.fetchrow(statement("count_open"))
    assert counts is not None, "it has one row"
    return replace(
        found,
        missing_rights=tuple(missing),
        positions=positions,
        open_incidents=counts["incidents"],
        open_dead_letters=counts["dead_letters"],
    )
