"""A shadow: the same tables in another schema of the same database, into which the log is folded once more.

The schema is made by the same migrations and written by the same statements: only the search_path differs. Its indexes
and foreign keys are put off until the bulk of the rows is there. What the table and the shadow hold is compared within
one transaction that sees both at one moment (`cut`): the last part of the log is folded in that very transaction, so
that the shadow stands exactly where the positions of that moment stand.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, Self
from uuid import UUID, uuid4

import asyncpg

from events.position import TopicPartition
from store.batch import Applied, Batch, Claim, LogRange
from store.connect import connect_operator, in_schema
from store.errors import StoreError, UnavailableError
from store.failures import translate
from store.migrate import Migration, migrate, pending
from store.postgres import claim, read_claims, write
from store.statements import between, statement

if TYPE_CHECKING:
    from types import TracebackType

    Connection = asyncpg.Connection[asyncpg.Record]

OWNER = "replay"
LOCKED_SECONDS = 30.0  # how long consumers are held at most; a few seconds are what it takes
UNCONFIRMED = "whether it was committed is not known: `wex replay status` says, after a repair `wex verify`"
LOCK_KEY = 0x77_65_78_73  # "wexs", beside a hash of the schema: one process at a time works on a shadow


class BusyError(StoreError):
    """Another process works on the same shadow."""


class Standing(NamedTuple):
    """How far the table stands in a partition, whichever group brought it there; by what fold, and in which topic."""

    next_offset: int
    halted: bool
    fold_version: int
    topic_id: UUID | None = None


class GivenUp(NamedTuple):
    """An operator's decision about an incident: the position went from one offset to another, forwards or backwards."""

    partition: TopicPartition
    accepted_from: int
    accepted_to: int
    kind: str
    decided_at: datetime


class Place(NamedTuple):
    """Where a shadow is, and under which claim it is written: what another process needs to write into it, too."""

    url: str
    schema: str
    group: str
    token: UUID

    def __repr__(self) -> str:
        """Return it without the URL, which may hold a password."""
        return f"Place({self.schema!r}, {self.group!r})"


class Shadow:
    """One shadow, held by this process alone; an async context manager.

    Raises:
        BusyError: on entering, another process holds it.
        UnavailableError: at any time, the database does not answer.
        MisconfiguredError: at any time, a table or a right is missing.
    """

    def __init__(self, url: str, schema: str, *, group: str) -> None:
        self.schema = schema
        self.group = group
        self.token = uuid4()
        self._url = url
        self.live = ""
        self._connection: Connection | None = None
        self._beside: Connection | None = None

    @classmethod
    def at(cls, place: Place) -> Self:
        """Return the shadow that another process holds; what is written into it carries that one's claim."""
        shadow = cls(place.url, place.schema, group=place.group)
        shadow.token = place.token
        return shadow

    @property
    def place(self) -> Place:
        """Where it is, for processes that work for this one."""
        return Place(self._url, self.schema, self.group, self.token)

    @property
    def in_transaction(self) -> bool:
        """Whether a moment is being looked at, in a transaction that nobody else can take part in."""
        return self._connection is not None and self._connection.is_in_transaction()

    async def __aenter__(self) -> Self:
        if not await self._open(hold=True):
            await self._close()
            msg = f"another process works on the schema {self.schema}"
            raise BusyError(msg)
        return self

    @asynccontextmanager
    async def unheld(self) -> AsyncIterator[Self]:
        """Look at the shadow, whoever works on it."""
        await self._open(hold=False)
        try:
            yield self
        finally:
            await self._close()

    async def _open(self, *, hold: bool) -> bool:
        """Connect, and hold the shadow if that is asked for and nobody else does; return whether we may go on."""
        try:
            self._beside = await connect_operator(self._url)
            self.live = await self._beside.fetchval(statement("read_current_schema"))
            # Statements that name no schema go to the shadow, and to nothing else.
            self._connection = await connect_operator(in_schema(self._url, self.schema))
            if not hold:
                return True
            return bool(await self._connection.fetchval(statement("try_advisory_lock"), LOCK_KEY, self.schema))
        except Exception as error:
            await self._close()
            raise translate(error, self._url) from error

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        for connection in (self._connection, self._beside):
            if connection is not None:
                connection.terminate()  # which rolls back, and lets go of the lock, even where a statement runs

    # The schema.

    async def exists(self) -> bool:
        """Whether the schema is there."""
        async with self.use() as connection:
            return bool(await connection.fetchval(statement("shadow_exists"), self.schema))

    async def create(self, *, scratch: bool) -> None:
        """Make the schema, empty; of a scratch nothing is kept if the server crashes."""
        async with self.use() as connection:
            await connection.execute(self.sql("create_shadow"))
        await migrate(in_schema(self._url, self.schema))
        async with self.use() as connection, connection.transaction():
            await connection.execute(self.sql("defer_indexes"))
            if scratch:
                await connection.execute(self.sql("unlog_shadow"))
            await connection.execute(self.sql("create_differing"))

    async def pending(self) -> list[Migration]:
        """Return the migrations of this version that the table lacks.

        Raises:
            MigrationError: the table is newer than this version, or a migration has changed.
        """
        return await pending(self._url)

    async def drop(self) -> None:
        """Remove the schema with everything in it."""
        async with self.use() as connection:
            await connection.execute(self.sql("drop_shadow"))

    # The fold.

    async def standings(self) -> dict[TopicPartition, Standing]:
        """Return how far the table stands."""
        async with self.use() as connection:
            return await self.read_standings(connection)

    async def given_up(self) -> list[GivenUp]:
        """Return what operators gave up, in the order in which they decided."""
        async with self.use() as connection:
            records = await connection.fetch(self.sql("read_given_up"))
        return [
            GivenUp(
                TopicPartition(r["topic"], r["partition"]),
                r["accepted_from"],
                r["accepted_to"],
                r["kind"],
                r["resolved_at"],
            )
            for r in records
        ]

    async def redriven(self) -> frozenset[int]:
        """Return the ids of the dead letters that are in the table because somebody redrove them."""
        async with self.use() as connection:
            return frozenset(r["id"] for r in await connection.fetch(self.sql("read_redriven")))

    async def claim(self, logs: Mapping[TopicPartition, LogRange]) -> dict[TopicPartition, Claim]:
        """Claim partitions of the shadow; one that it does not know yet begins at the start that is given."""
        async with self.use() as connection:
            return await claim(connection, self.group, logs, self.token, OWNER)

    async def read_claims(self) -> dict[TopicPartition, Claim]:
        """Return where the shadow stands."""
        async with self.use() as connection:
            return await read_claims(connection, self.group)

    async def apply(self, batch: Batch) -> Applied:
        """Move the shadow's positions and write their effects, in one transaction or within that of a cut.

        Raises:
            FencedError: another process writes into the shadow.
            RefusedError: the content of some record is refused; nothing was written.
        """
        async with self.use() as connection, connection.transaction():
            return await write(connection, batch)

    async def left_out(
        self, spans: Mapping[TopicPartition, tuple[int, int]]
    ) -> Collection[tuple[TopicPartition, int, bytes]]:
        """Return the open dead letters of the table in some ranges: partition, offset and SHA-256 of the value."""
        assert self._beside is not None, "the shadow is used within its context"
        ranges = sorted(spans.items())
        try:
            records = await self._beside.fetch(  # on its own connection: it is asked while the other one writes
                self.sql("read_open_dead_letters"),
                [p.topic for p, _ in ranges],
                [p.partition for p, _ in ranges],
                [span[0] for _, span in ranges],
                [span[1] for _, span in ranges],
            )
        except Exception as error:
            raise translate(error, self._url) from error
        return {(TopicPartition(r["topic"], r["partition"]), r["offset"], r["value_digest"]) for r in records}

    # The moment.

    @asynccontextmanager
    async def cut(self) -> AsyncIterator[dict[TopicPartition, Standing]]:
        """See the table, its positions and the shadow at one moment; what is written meanwhile is kept at the end."""
        async with self.use() as connection, connection.transaction(isolation="repeatable_read"):
            yield await self.read_standings(connection)

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[dict[TopicPartition, Standing]]:
        """Let no consumer apply anything until the end, and see where the table stands.

        Raises:
            UnavailableError: it took too long, for Kafka or the database does not answer; the message says whether
                anything may have been done.
        """
        committing = False
        try:
            async with asyncio.timeout(LOCKED_SECONDS), self.use() as connection, connection.transaction():
                await connection.execute(self.sql("lock_positions"))
                yield await self.read_standings(connection)
                committing = True
        except TimeoutError as error:
            outcome = UNCONFIRMED if committing else "nothing was changed"
            msg = f"consumers were held for {LOCKED_SECONDS:g} s without an end; {outcome}"
            raise UnavailableError(msg) from error
        except UnavailableError as error:
            if not committing:
                raise
            msg = f"{error}; {UNCONFIRMED}"
            raise UnavailableError(msg) from error

    # For the modules beside this one.

    def sql(self, name: str, *, swapped: bool = False) -> str:
        """Return a statement about both schemas, or with each in the other's place."""
        live, shadow = (self.schema, self.live) if swapped else (self.live, self.schema)
        return between(statement(name), live=live, shadow=shadow)

    async def read_standings(self, connection: Connection) -> dict[TopicPartition, Standing]:
        """Return how far the table stands, as a connection sees it."""
        records = await connection.fetch(self.sql("read_cut"))
        return {
            TopicPartition(r["topic"], r["partition"]): Standing(
                r["next_offset"], r["halted"], r["fold_version"], r["topic_id"]
            )
            for r in records
        }

    @asynccontextmanager
    async def use(self) -> AsyncIterator[Connection]:
        """Lend the connection; what PostgreSQL says against it leaves as an error of the store."""
        assert self._connection is not None, "the shadow is used within its context"
        try:
            yield self._connection
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
            raise translate(error, self._url) from error
