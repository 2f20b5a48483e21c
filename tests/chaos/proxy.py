"""A TCP link that can fail: between one consumer and one server, in the process that leads the campaign."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from asyncio import StreamReader, StreamWriter
from dataclasses import dataclass, field
from typing import Any

from consumer.local import ports

READ_BYTES = 65_536


@dataclass(eq=False)
class _Pair:
    """One connection that goes through: the client's end and the server's."""

    client: StreamWriter
    server: StreamWriter
    half_open: bool = False
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def abort(self) -> None:
        self.released.set()
        _reset(self.client)
        _reset(self.server)


def _reset(writer: StreamWriter) -> None:
    """Close a connection so that the other side gets a reset, not an end in good order."""
    with contextlib.suppress(OSError):  # closed already
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Link:
    """Passes bytes on to a port of this machine, unless it is told to do worse; an async context manager.

    Attributes:
        port: where clients connect to.
        delay_seconds: how long bytes are on their way, in each direction.
        swallows_answers: whether the server's bytes are lost, while the client's arrive.
    """

    def __init__(self, name: str, target_port: int) -> None:
        self.name = name
        self.port = 0
        self.delay_seconds = 0.0
        self.swallows_answers = False
        self._target_port = target_port
        self._passable = asyncio.Event()
        self._passable.set()
        self._pairs: set[_Pair] = set()
        self._passing: set[asyncio.Task[Any]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Link:
        self.port = ports.choose(self.name, None)
        self._server = await asyncio.start_server(self._pass_on, ports.LOOPBACK, self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None, "entered before it is left"
        self._server.close()
        self.heal()
        self.cut()
        if self._passing:
            await asyncio.wait(self._passing)

    def hold(self) -> None:
        """Become a black hole: nothing arrives, nobody is told; what was sent arrives when it heals."""
        self._passable.clear()

    def cut(self) -> None:
        """Reset every connection on both sides."""
        for pair in list(self._pairs):
            pair.abort()

    def half_open(self, *, client_knows: bool) -> None:
        """Reset every connection on one side; the other believes in it until the link heals."""
        for pair in self._pairs:
            pair.half_open = True
            _reset(pair.client if client_knows else pair.server)

    def heal(self) -> None:
        """Pass everything on again, at once."""
        self.delay_seconds = 0.0
        self.swallows_answers = False
        self._passable.set()
        for pair in list(self._pairs):
            if pair.half_open:
                pair.abort()

    async def _pass_on(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "the server makes one for each connection"
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)
        try:
            server_reader, server_writer = await asyncio.open_connection(ports.LOOPBACK, self._target_port)
        except OSError:
            _reset(writer)
            return
        pair = _Pair(writer, server_writer)
        self._pairs.add(pair)
        pumps = [
            asyncio.create_task(self._pump(reader, server_writer, answers=False)),
            asyncio.create_task(self._pump(server_reader, writer, answers=True)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            if pair.half_open:
                await pair.released.wait()
        finally:
            for pump in pumps:
                pump.cancel()
            pair.abort()
            self._pairs.discard(pair)

    async def _pump(self, reader: StreamReader, writer: StreamWriter, *, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(READ_BYTES):
                if self.delay_seconds:
                    await asyncio.sleep(self.delay_seconds)
                await self._passable.wait()
                if not (answers and self.swallows_answers):
                    writer.write(data)
                    await writer.drain()
