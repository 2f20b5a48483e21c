"""The faults: what each does, with which parameters, how often it comes, and how it heals itself."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from random import Random
from typing import Any

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.errors import KafkaError

from tests.chaos.arena import MEMBERS, PARTITIONS, TOPIC, Arena, Missed
from tests.chaos.crew import Member
from tests.chaos.proxy import Link

Parameters = dict[str, Any]
Strike = Callable[[Arena, Parameters], Awaitable[None]]
Draw = Callable[[Random], Parameters]

PARTITIONS_MAX = PARTITIONS + 4
AWAIT_MEMBER_SECONDS = 6.0


@dataclass(frozen=True)
class Fault:
    """One kind of fault.

    Attributes:
        weight: how often it is drawn, compared with the others.
        strike: does it and heals it.
        draw: its parameters; `seconds` is how long it lasts, about.
        resource: what two faults must not break at the same time; the later one waits.
        readers_may_fail: whether a reader of the table may be answered with an error meanwhile.
    """

    name: str
    weight: float
    strike: Strike
    draw: Draw
    resource: str = ""
    readers_may_fail: bool = False


def _seconds(least: float, most: float) -> Draw:
    return lambda chance: {"seconds": round(chance.uniform(least, most), 1)}


def _of_member(draw: Draw) -> Draw:
    return lambda chance: {"consumer": chance.randrange(MEMBERS), **draw(chance)}


def _of_links(draw: Draw) -> Draw:
    """One consumer's link, or those of all."""
    return lambda chance: {
        "consumers": chance.choice([[n] for n in range(MEMBERS)] + [[*range(MEMBERS)]]),
        **draw(chance),
    }


# Consumers.


async def _living(arena: Arena, number: int) -> Member:
    deadline = time.monotonic() + AWAIT_MEMBER_SECONDS
    while arena.members[number].pid is None:
        if time.monotonic() > deadline:
            msg = f"consumer {number} is not there"
            raise Missed(msg)
        await asyncio.sleep(0.1)
    return arena.members[number]


async def kill(arena: Arena, parameters: Parameters) -> None:
    """Kill a consumer."""
    (await _living(arena, parameters["consumer"])).send(signal.SIGKILL)


async def terminate(arena: Arena, parameters: Parameters) -> None:
    """Ask a consumer to end."""
    (await _living(arena, parameters["consumer"])).send(signal.SIGTERM)


async def freeze(arena: Arena, parameters: Parameters) -> None:
    """Stop a consumer in the middle of whatever it does, and let it go on as if nothing had happened."""
    member = await _living(arena, parameters["consumer"])
    member.send(signal.SIGSTOP)
    try:
        await asyncio.sleep(parameters["seconds"])
    finally:
        member.send(signal.SIGCONT)


async def starve(arena: Arena, parameters: Parameters) -> None:
    """Let a consumer run for a tenth of the time only."""
    member = await _living(arena, parameters["consumer"])
    try:
        for _ in range(round(parameters["seconds"] / 0.2)):
            member.send(signal.SIGSTOP)
            await asyncio.sleep(0.18)
            member.send(signal.SIGCONT)
            await asyncio.sleep(0.02)
    finally:
        member.send(signal.SIGCONT)


async def block_loop(arena: Arena, parameters: Parameters) -> None:
    """Have a consumer's event loop stand still, while its threads go on."""
    (await _living(arena, parameters["consumer"])).order(block=parameters["seconds"])
    await asyncio.sleep(parameters["seconds"])


async def step_clock(arena: Arena, parameters: Parameters) -> None:
    """Set a consumer's wall clock wrong, and right again."""
    member = await _living(arena, parameters["consumer"])
    member.order(clock=parameters["by_seconds"])
    await asyncio.sleep(parameters["seconds"])
    member.order(clock=0.0)


async def share_instance_id(arena: Arena, parameters: Parameters) -> None:
    """Give two consumers one group instance id: the broker then lets both have everything."""
    members = [arena.members[number] for number in parameters["consumers"]]
    try:
        for member in members:
            member.use("twin")
        await asyncio.sleep(parameters["seconds"])
    finally:
        for member in members:
            member.use(None)


# PostgreSQL.


async def crash_postgres(arena: Arena, parameters: Parameters) -> None:
    """Stop PostgreSQL without a checkpoint, as a crash does, and start it."""
    try:
        await asyncio.to_thread(arena.stack.postgres.stop, "immediate")
        await asyncio.sleep(parameters["seconds"])
    finally:
        await arena.start_postgres()


async def kill_postmaster(arena: Arena, parameters: Parameters) -> None:
    """Kill the postmaster alone: its backends live on until they notice."""
    try:
        if (identity := arena.stack.postgres.identity) is not None:
            identity.send(signal.SIGKILL)
        await asyncio.sleep(parameters["seconds"])
        await asyncio.to_thread(arena.stack.postgres.kill)
    finally:
        await arena.start_postgres()


async def terminate_backends(arena: Arena, parameters: Parameters) -> None:
    """End most of the clients' backends at once."""
    async with arena.admin() as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND random() < $1",
            parameters["share"],
        )


async def lock_position(arena: Arena, parameters: Parameters) -> None:
    """Hold the lock of a partition's row, as a session does that somebody forgot."""
    async with arena.admin() as connection, connection.transaction():
        await connection.execute("SELECT 1 FROM positions WHERE partition = $1 FOR UPDATE", parameters["partition"])
        await asyncio.sleep(parameters["seconds"])


async def lock_executions(arena: Arena, parameters: Parameters) -> None:
    """Hold the locks of the rows that change most."""
    async with arena.admin() as connection, connection.transaction():
        await connection.execute(
            "SELECT 1 FROM workflow_executions WHERE id IN"
            " (SELECT id FROM workflow_executions ORDER BY applied_at DESC LIMIT $1) FOR UPDATE SKIP LOCKED",
            parameters["rows"],
        )
        await asyncio.sleep(parameters["seconds"])


async def make_read_only(arena: Arena, parameters: Parameters) -> None:
    """Have PostgreSQL refuse writes, as a demoted primary does."""
    try:
        await _alter_system(arena, "SET default_transaction_read_only = on")
        await asyncio.sleep(parameters["seconds"])
    finally:
        await _alter_system(arena, "RESET default_transaction_read_only")


async def _alter_system(arena: Arena, change: str) -> None:
    async with arena.admin() as connection:
        await connection.execute(f"ALTER SYSTEM {change}")
        await connection.execute("SELECT pg_reload_conf()")


async def exhaust_connections(arena: Arena, parameters: Parameters) -> None:
    """Take every connection that PostgreSQL has to give."""
    async with AsyncExitStack() as held:
        deadline = time.monotonic() + parameters["seconds"]
        while time.monotonic() < deadline:
            try:
                connection = await asyncpg.connect(arena.stack.database_url, timeout=3)
                held.callback(connection.terminate)
            except (OSError, asyncpg.PostgresError, TimeoutError):
                await asyncio.sleep(0.1)


async def change_schema(arena: Arena, parameters: Parameters) -> None:
    """Add a column and drop it again, under statements that are prepared already."""
    try:
        await _alter_table(arena, "ADD COLUMN IF NOT EXISTS chaos integer")
        await asyncio.sleep(parameters["seconds"])
    finally:
        await _alter_table(arena, "DROP COLUMN IF EXISTS chaos")


async def _alter_table(arena: Arena, change: str) -> None:
    for _ in range(10):
        try:
            async with arena.admin(lock_timeout="1s") as connection:
                await connection.execute(f"ALTER TABLE workflow_executions {change}")
                return
        except asyncpg.LockNotAvailableError:
            await asyncio.sleep(0.3)


async def fill_disk(arena: Arena, parameters: Parameters) -> None:
    """Fill the disk that the ledger lies on, so that the transaction of every batch fails."""
    assert arena.small_disk is not None, "drawn only where there is one"
    ballast = arena.small_disk / "ballast"
    try:
        with ballast.open("wb") as file:
            for _ in range(round(parameters["seconds"] / 0.5)):
                if free := shutil.disk_usage(arena.small_disk).free:
                    end = ballast.stat().st_size
                    await asyncio.to_thread(os.posix_fallocate, file.fileno(), end, max(4096, free - 4096))
                await asyncio.sleep(0.5)
    except OSError:
        await asyncio.sleep(parameters["seconds"])  # somebody else took the last of it
    finally:
        ballast.unlink(missing_ok=True)


async def flood(arena: Arena, parameters: Parameters) -> None:
    """Send nearly everything to one partition, beside which the others starve."""
    try:
        arena.producers.order(hot=parameters["partition"])
        await asyncio.sleep(parameters["seconds"])
    finally:
        arena.producers.order(hot=-1)


# Links.


def _links(arena: Arena, parameters: Parameters) -> Sequence[Link]:
    links = arena.kafka_links if parameters["to"] == "kafka" else arena.database_links
    return [links[number] for number in parameters["consumers"]]


async def cut(arena: Arena, parameters: Parameters) -> None:
    """Reset connections."""
    for link in _links(arena, parameters):
        link.cut()


async def hold(arena: Arena, parameters: Parameters) -> None:
    """Let nothing through, and tell nobody."""
    await _impair(_links(arena, parameters), Link.hold, parameters["seconds"])


async def slow(arena: Arena, parameters: Parameters) -> None:
    """Let everything take its time."""

    def delay(link: Link) -> None:
        link.delay_seconds = parameters["latency_seconds"]

    await _impair(_links(arena, parameters), delay, parameters["seconds"])


async def half_open(arena: Arena, parameters: Parameters) -> None:
    """Reset connections so that one side does not hear of it."""
    await _impair(
        _links(arena, parameters),
        lambda link: link.half_open(client_knows=parameters["client_knows"]),
        parameters["seconds"],
    )


async def lose_acknowledgement(arena: Arena, parameters: Parameters) -> None:
    """Lose the server's answers, commits' among them, and then the connection."""

    def swallow(link: Link) -> None:
        link.swallows_answers = True

    links = _links(arena, parameters)
    await _impair(links, swallow, parameters["seconds"], then=Link.cut)


async def _impair(
    links: Sequence[Link], begin: Callable[[Link], None], seconds: float, then: Callable[[Link], None] = Link.heal
) -> None:
    try:
        for link in links:
            begin(link)
        await asyncio.sleep(seconds)
    finally:
        for link in links:
            then(link)
            link.heal()


# Kafka.


async def kill_broker(arena: Arena, parameters: Parameters) -> None:
    """Kill the broker, and start it."""
    try:
        await asyncio.to_thread(arena.stack.kafka.kill)
        await asyncio.sleep(parameters["seconds"])
    finally:
        await arena.start_kafka()


async def grow(arena: Arena, parameters: Parameters) -> None:
    """Give the topic another partition, and records in it."""
    del parameters
    if arena.partitions >= PARTITIONS_MAX:
        msg = f"{PARTITIONS_MAX} partitions are enough"
        raise Missed(msg)
    admin = AIOKafkaAdminClient(bootstrap_servers=arena.stack.kafka_bootstrap_servers, request_timeout_ms=5_000)
    try:
        await admin.start()
        await admin.create_partitions({TOPIC: NewPartitions(arena.partitions + 1)})
    except (KafkaError, OSError) as error:
        msg = f"the broker does not answer: {error}"
        raise Missed(msg) from error
    finally:
        await admin.close()
    arena.partitions += 1


def _on(server: str, draw: Draw) -> Draw:
    return lambda chance: {"to": server, **_of_links(draw)(chance)}


def _nothing(_: Random) -> Parameters:
    return {}


def _half(chance: Random) -> Parameters:
    return {"client_knows": chance.random() < 0.5, **_seconds(3, 8)(chance)}


def _latency(chance: Random) -> Parameters:
    return {"latency_seconds": 0.2, **_seconds(3, 8)(chance)}


FAULTS: tuple[Fault, ...] = (
    Fault("consumer killed", 10, kill, _of_member(_nothing)),
    Fault("consumer terminated", 6, terminate, _of_member(_nothing)),
    Fault("consumer frozen", 12, freeze, _of_member(_seconds(2, 14))),
    Fault("consumer starved", 2, starve, _of_member(_seconds(4, 9))),
    Fault("event loop blocked", 3, block_loop, _of_member(_seconds(3, 9))),
    Fault(
        "clock stepped",
        2,
        step_clock,
        _of_member(lambda chance: {"by_seconds": chance.choice((-3600.0, 3600.0)), **_seconds(2, 8)(chance)}),
    ),
    Fault(
        "instance id shared",
        2,
        share_instance_id,
        lambda chance: {"consumers": chance.sample(range(MEMBERS), 2), **_seconds(12, 18)(chance)},
        resource="membership",
    ),
    Fault("PostgreSQL crashed", 8, crash_postgres, _seconds(0.5, 4), resource="postgres", readers_may_fail=True),
    Fault("postmaster killed", 3, kill_postmaster, _seconds(0.2, 2), resource="postgres", readers_may_fail=True),
    Fault("backends terminated", 8, terminate_backends, lambda _: {"share": 0.7}, readers_may_fail=True),
    Fault(
        "position locked",
        3,
        lock_position,
        lambda chance: {"partition": chance.randrange(PARTITIONS), **_seconds(3, 10)(chance)},
    ),
    Fault("executions locked", 3, lock_executions, lambda chance: {"rows": 100, **_seconds(3, 8)(chance)}),
    Fault("PostgreSQL read-only", 2, make_read_only, _seconds(2, 6), resource="postgres"),
    Fault("connections exhausted", 1, exhaust_connections, _seconds(3, 6), resource="postgres", readers_may_fail=True),
    Fault("schema changed", 2, change_schema, _seconds(1, 3), resource="postgres", readers_may_fail=True),
    Fault("disk full", 1, fill_disk, _seconds(3, 6), resource="postgres"),
    Fault("database link cut", 8, cut, _on("postgres", _nothing)),
    Fault("database link slow", 4, slow, _on("postgres", _latency), resource="database links"),
    Fault("database link black hole", 6, hold, _on("postgres", _seconds(2, 9)), resource="database links"),
    Fault(
        "commit acknowledgement lost",
        10,
        lose_acknowledgement,
        _on("postgres", _seconds(1, 3)),
        resource="database links",
    ),
    Fault("database link half open", 2, half_open, _on("postgres", _half), resource="database links"),
    Fault("Kafka link cut", 4, cut, _on("kafka", _nothing)),
    Fault("Kafka link slow", 2, slow, _on("kafka", _latency), resource="Kafka links"),
    Fault("Kafka link black hole", 4, hold, _on("kafka", _seconds(2, 9)), resource="Kafka links"),
    Fault("Kafka link half open", 2, half_open, _on("kafka", _half), resource="Kafka links"),
    Fault(
        "partitions starved",
        2,
        flood,
        lambda chance: {"partition": chance.randrange(PARTITIONS), **_seconds(4, 10)(chance)},
        resource="load",
    ),
    Fault("broker killed", 6, kill_broker, _seconds(0.5, 4), resource="kafka"),
    Fault("partition added", 1, grow, _nothing, resource="kafka"),
)
BY_NAME = {fault.name: fault for fault in FAULTS}
