"""Connections that end while the Kafka client sends on them, on the event loop that the service runs on."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
import uvloop
from aiokafka.conn import create_conn
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest

from consumer import client_connections
from consumer.local import ports
from tests.stack import Servers


async def closed_writer() -> asyncio.StreamWriter:
    """One whose transport is closed, while nobody has said so yet to whoever writes."""
    async with await asyncio.start_server(lambda _, writer: writer.close(), ports.LOOPBACK, 0) as server:
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    return writer


def test_a_closed_transport_is_a_broken_connection(servers: Servers) -> None:
    """What uvloop says of a closed transport reaches the client as a broken connection, which is closed then."""
    client_connections.install()
    client_connections.install()
    host, _, port = servers.kafka_bootstrap_servers.partition(":")

    async def send_on_closed() -> None:
        connection = await create_conn(host, int(port))
        whole, connection._writer = connection._writer, await closed_writer()
        try:
            with pytest.raises(KafkaConnectionError, match="broken: unable to perform operation"):
                connection.send(MetadataRequest([]))
            assert not connection.connected()
        finally:
            whole.close()
            with contextlib.suppress(ConnectionError):
                await whole.wait_closed()

    uvloop.run(send_on_closed())
