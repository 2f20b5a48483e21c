"""The Kafka client's connections, taught one more way in which a connection can be gone.

The client sends on a connection until it hears that it is closed, and takes an OSError for that. uvloop raises a
RuntimeError instead where a transport is closed already; the client does not expect it, and the task that fetches ends
with it, without a word to whoever waits for records.
"""

from __future__ import annotations

from collections.abc import Awaitable

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.api import Request, RequestStruct

_send = AIOKafkaConnection.send


def install() -> None:
    """Have every connection of every client end in order; done twice it is done once."""
    AIOKafkaConnection.send = _send_or_close


def _send_or_close(
    connection: AIOKafkaConnection, request: Request[RequestStruct], expect_response: bool = True
) -> Awaitable[object]:
    try:
        sent: Awaitable[object] = _send(connection, request, expect_response)
    except RuntimeError as error:
        connection.close(reason=CloseReason.CONNECTION_BROKEN)
        msg = f"Connection at {connection.host}:{connection.port} broken: {error}"
        raise KafkaConnectionError(msg) from error
    return sent
