"""The stack on the real servers, used by the real clients, faulted and started again."""

from __future__ import annotations

import json
import os
import socket
import stat
from pathlib import Path

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import UnknownTopicOrPartitionError
from temporalio.client import Client

from consumer import settings
from consumer.errors import ExitCode, WexError
from consumer.local.ports import bindable
from consumer.local.stack import LocalStack, Ports
from consumer.local.stack_file import StackFile
from consumer.settings import STACK_FILE


async def write_row(stack: LocalStack, number: int) -> None:
    connection = await asyncpg.connect(stack.database_url)
    await connection.execute("CREATE TABLE IF NOT EXISTS kept (number int)")
    await connection.execute("INSERT INTO kept VALUES ($1)", number)
    await connection.close()


async def rows(stack: LocalStack) -> set[int]:
    connection = await asyncpg.connect(stack.database_url)
    found = await connection.fetch("SELECT number FROM kept")
    await connection.close()
    return {row["number"] for row in found}


async def write_record(stack: LocalStack, topic: str, value: bytes) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.kafka_bootstrap_servers)
    await admin.start()
    if topic not in await admin.list_topics():
        await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=stack.kafka_bootstrap_servers, enable_idempotence=True) as producer:
        await producer.send_and_wait(topic, value)


async def records(stack: LocalStack, topic: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=stack.kafka_bootstrap_servers,
        group_id="reader",
        session_timeout_ms=1000,
        heartbeat_interval_ms=300,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    async with consumer:
        return [(await consumer.getone()).value for _ in range(count)]


async def test_the_database_is_there_and_takes_rows(stack: LocalStack) -> None:
    """The URL leads to a PostgreSQL that has the database workflow_executions."""
    connection = await asyncpg.connect(stack.database_url)
    assert await connection.fetchval("SELECT current_database()") == "workflow_executions"
    assert connection.get_server_version().major >= 15
    await connection.close()


async def test_the_database_asks_for_the_password(stack: LocalStack) -> None:
    """Another user of the machine cannot become superuser of the database."""
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(stack.database_url, password="guessed")


async def test_records_are_written_and_read_in_a_group(stack: LocalStack) -> None:
    """An idempotent producer and a consumer group with a session of one second work on the broker."""
    await write_record(stack, "used", b"one")
    assert await records(stack, "used", 1) == [b"one"]


async def test_a_misspelt_topic_is_not_created(stack: LocalStack) -> None:
    """Topics are created on purpose only, so a wrong name is an error."""
    producer = AIOKafkaProducer(bootstrap_servers=stack.kafka_bootstrap_servers, request_timeout_ms=1000)
    async with producer:
        with pytest.raises(UnknownTopicOrPartitionError):
            await producer.partitions_for("misspelt")


async def test_temporal_answers(stack: LocalStack) -> None:
    """The SDK connects to the Temporal server and finds the default namespace."""
    client = await Client.connect(stack.temporal_address)
    assert [workflow async for workflow in client.list_workflows()] == []


def test_everything_listens_on_the_loopback_address_only(stack: LocalStack) -> None:
    """No server can be reached from another machine."""
    outside = _own_address()
    for server in stack.servers:
        with socket.socket() as probe:
            probe.settimeout(2)
            assert probe.connect_ex((outside, server.port)) != 0, server.title


def _own_address() -> str:
    """Return this machine's address towards others; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but the loopback one")
        return str(probe.getsockname()[0])


def test_other_commands_find_the_stack(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings loaded for the same data folder are the stack's, without any variable being set."""
    for name in settings.Settings.model_fields:
        monkeypatch.delenv(f"WEX_{name.upper()}", raising=False)
    found = settings.load(data_dir=stack.data_dir)
    assert found.kafka_bootstrap_servers == stack.kafka_bootstrap_servers
    assert found.database_url.get_secret_value() == stack.database_url
    assert found.temporal_address == stack.temporal_address


def test_the_stack_file_names_the_processes_and_keeps_the_password(stack: LocalStack) -> None:
    """The file lists every server by pid and start time, and only its owner can read it."""
    path = stack.data_dir / STACK_FILE
    written = json.loads(path.read_bytes())
    assert {process["name"] for process in written["processes"]} == {"postgres", "kafka", "temporal"}
    assert len(StackFile.read(stack.data_dir).alive()) == 3
    assert written["supervisor"]["pid"] == os.getpid()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_second_stack_in_the_same_folder_is_refused(stack: LocalStack) -> None:
    """A second start says how to use or stop the first one, and leaves it alone."""
    with pytest.raises(WexError, match="runs already") as refusal:
        LocalStack(stack.data_dir).start()
    assert refusal.value.exit_code == ExitCode.REFUSED
    assert f"wex down --data-dir {stack.data_dir}" in refusal.value.remedy
    assert len(StackFile.read(stack.data_dir).alive()) == 3


def test_a_stack_of_which_a_part_has_ended_says_how_to_start_again(
    stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is told to start a database that died is not told that all is well."""
    with monkeypatch.context() as unnoticed:
        unnoticed.setattr(stack.postgres, "changed", lambda: None)  # it dies, and nobody tells the stack's file
        stack.postgres.kill()
    try:
        with pytest.raises(WexError, match="only a part runs: postgres ended by itself") as refusal:
            LocalStack(stack.data_dir).start()
        assert f"wex down --data-dir {stack.data_dir} && wex up" in refusal.value.remedy
    finally:
        stack.postgres.start()


@pytest.mark.parametrize("server", ["postgres", "kafka", "temporal"])
def test_a_taken_port_is_named_with_its_flag(stack: LocalStack, tmp_path: Path, server: str) -> None:
    """A start on a port that is taken says which port it is and which flag changes it."""
    port = {taken.name: taken.port for taken in stack.servers}[server]
    with pytest.raises(WexError, match=f"port {port} ") as refusal:
        LocalStack(tmp_path, temporal=True, ports=Ports(**{server: port})).start()
    assert f"--{server}-port" in refusal.value.remedy
    assert not (tmp_path / STACK_FILE).exists()


async def test_killed_servers_come_back_with_their_data(stack: LocalStack) -> None:
    """After a kill each server starts again on its port, and what was acknowledged is there."""
    await write_row(stack, 1)
    await write_record(stack, "killed", b"before")
    addresses = stack.settings
    for server in (stack.postgres, stack.kafka):
        killed = server.identity
        server.kill()
        assert not server.running
        assert bindable(server.port)
        server.start()
        assert killed is not None
        assert server.identity != killed
    assert stack.settings == addresses
    assert len(StackFile.read(stack.data_dir).alive()) == 3
    assert 1 in await rows(stack)
    await write_record(stack, "killed", b"after")
    assert await records(stack, "killed", 2) == [b"before", b"after"]


async def test_postgres_recovers_from_an_immediate_stop(stack: LocalStack) -> None:
    """A stop that leaves recovery to the next start loses no committed row, with clients connected."""
    await write_row(stack, 2)
    connection = await asyncpg.connect(stack.database_url)
    stack.postgres.stop(mode="immediate")
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await connection.fetchval("SELECT 1")
    stack.postgres.start()
    assert 2 in await rows(stack)


async def test_a_start_after_a_stop_reuses_the_data_and_the_ports(stack: LocalStack, reports: list[str]) -> None:
    """Rows, records and addresses outlive a stop, and the next start says that it reuses them."""
    await write_row(stack, 3)
    await write_record(stack, "stopped", b"kept")
    addresses, count = stack.settings, len(reports)
    stack.stop()
    stack.stop()
    assert not (stack.data_dir / STACK_FILE).exists()
    assert all(bindable(server.port) for server in stack.servers)
    again = LocalStack(stack.data_dir, temporal=True, report=reports.append)
    try:
        again.start()
        assert again.settings == addresses
        assert sum("reusing the data" in line for line in reports[count:]) == 3
        assert 3 in await rows(again)
        assert await records(again, "stopped", 1) == [b"kept"]
    finally:
        again.stop()
        stack.start()
