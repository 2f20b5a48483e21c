"""TLS before a PostgreSQL server that has none: answers PostgreSQL's SSLRequest, then hands bytes on."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

SSL_REQUEST = (8).to_bytes(4) + (80_877_103).to_bytes(4)


class TlsProxy:
    """A listener before a database; what it shows to clients can be changed for new connections.

    Attributes:
        url: of the database there.
        context: what it proves itself with; None where it offers no TLS.
    """

    def __init__(self, url: str, context: ssl.SSLContext | None) -> None:
        self._upstream = urlsplit(url)
        self.context = context
        self._connections: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        starting = asyncio.start_server(self._accept, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result(10)
        user, port = self._upstream.netloc.rpartition("@")[0], self._server.sockets[0].getsockname()[1]
        self.url = urlunsplit(self._upstream._replace(netloc=f"{user}@localhost:{port}"))

    def drop_connections(self) -> None:
        """End every connection, so that clients make new ones."""
        asyncio.run_coroutine_threadsafe(self._drop(), self._loop).result(10)

    def close(self) -> None:
        """Accept nothing more."""
        self.drop_connections()
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _drop(self) -> None:
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._serve(reader, writer)
        self._connections.discard(task)
        writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.readexactly(8)
        if first == SSL_REQUEST:
            writer.write(b"S" if self.context else b"N")
            await writer.drain()
            first = b""
            if self.context:
                await writer.start_tls(self.context)
        server_reader, server_writer = await asyncio.open_connection(self._upstream.hostname, self._upstream.port)
        server_writer.write(first)
        copying = [_copy(reader, server_writer), _copy(server_reader, writer)]
        try:
            await asyncio.wait(map(asyncio.ensure_future, copying), return_when=asyncio.FIRST_COMPLETED)
        finally:
            server_writer.close()


@contextmanager
def tls_proxy(url: str, context: ssl.SSLContext | None) -> Iterator[TlsProxy]:
    """Serve a database with TLS, or with none where there is no context."""
    proxy = TlsProxy(url, context)
    try:
        yield proxy
    finally:
        proxy.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()


def serving(certificate: Path, *, authority: Path | None = None) -> ssl.SSLContext:
    """A server's context; with an authority it asks clients for a certificate of it."""
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(certificate)
    if authority is not None:
        made.load_verify_locations(authority)
        made.verify_mode = ssl.CERT_REQUIRED
    return made
