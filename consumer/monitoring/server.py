"""The HTTP server of a consumer: `/healthz`, `/readyz` and `/metrics`, from a thread of its own.

Because it is a thread, it answers while the event loop is stuck: it looks at the same beat as the watchdog.
"""

from __future__ import annotations

import errno
import json
import socket
import socketserver
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, NamedTuple

from prometheus_client.exposition import choose_encoder

from consumer.errors import WexError
from consumer.monitoring.log_events import tell
from consumer.monitoring.metrics import Metrics

STUCK_SECONDS = 10.0  # the loop turns every second; the watchdog ends the process only after 45
REQUEST_SECONDS = 5.0  # a client that says nothing is not waited for


class Answer(NamedTuple):
    """What a request is answered with."""

    status: HTTPStatus
    content_type: str
    body: bytes


def _verdict(*, good: bool, **said: object) -> Answer:
    body = {"status": "ok" if good else "unavailable", **said}
    status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
    return Answer(status, "application/json", json.dumps(body).encode() + b"\n")


def health(metrics: Metrics) -> Answer:
    """Say whether the event loop turns; if it does not, only a new process helps."""
    silent = metrics.silent_seconds()
    return _verdict(good=silent <= STUCK_SECONDS, loop_silent_seconds=round(silent, 1))


def readiness(metrics: Metrics) -> Answer:
    """Say whether what comes is applied; a halted partition is named, but it waits for an operator."""
    view = metrics.view
    said = {"joined": view.joined, "partitions": len(view.partitions), "halted": [str(name) for name in view.halted]}
    return _verdict(good=view.ready(metrics.now()), **said)


def exposition(metrics: Metrics, accept: str) -> Answer:
    """Return the metrics in the format that is asked for."""
    encode, content_type = choose_encoder(accept)
    return Answer(HTTPStatus.OK, content_type, encode(metrics.registry))


class _Handler(BaseHTTPRequestHandler):
    timeout = REQUEST_SECONDS
    server_version = "wex"
    sys_version = ""
    metrics: ClassVar[Metrics]

    def do_GET(self) -> None:
        answer = self._answer()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(answer.body)

    do_HEAD = do_GET  # noqa: N815 - the name that http.server calls

    def _answer(self) -> Answer:
        match self.path.partition("?")[0]:
            case "/healthz":
                return health(self.metrics)
            case "/readyz":
                return readiness(self.metrics)
            case "/metrics":
                return exposition(self.metrics, self.headers.get("Accept", ""))
        return Answer(HTTPStatus.NOT_FOUND, "text/plain", b"/healthz /readyz /metrics\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that http.server calls
        """Say nothing: probes come every few seconds."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True  # a scrape under way does not keep the process from ending

    def server_bind(self) -> None:
        """Bind without asking for the host's name, which can take long."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment] # an address is text

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client went away."""


class MonitoringServer:
    """Serves the metrics and what they say about health; a context manager.

    Args:
        port: where to listen; 0 takes any free port.
        or_any_port: if the port is taken, take a free one instead of failing.

    Raises:
        WexError: on entering, it cannot listen there.
    """

    def __init__(self, metrics: Metrics, host: str, port: int, *, or_any_port: bool = False) -> None:
        self._handler = type("Handler", (_Handler,), {"metrics": metrics})
        self._host = host
        self._port = port
        self._or_any_port = or_any_port
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> MonitoringServer:
        self._server = self._listen()
        self._thread = threading.Thread(target=self._server.serve_forever, name="monitoring", daemon=True)
        self._thread.start()
        tell("listening", "health and metrics at %s", self.url, url=self.url)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None, "entered"
        assert self._thread is not None, "entered"
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Where it listens."""
        assert self._server is not None, "entered"
        host, port = self._server.server_address[:2]
        return f"http://[{host!s}]:{port}" if ":" in str(host) else f"http://{host!s}:{port}"

    def _listen(self) -> _Server:
        ports = [self._port, 0] if self._or_any_port and self._port else [self._port]
        for port in ports:
            try:
                return self._bound(port)
            except OSError as error:
                if error.errno == errno.EADDRINUSE and port != ports[-1]:
                    continue
                message = f"cannot serve health and metrics at {self._host}:{port}: {error.strerror or error}"
                remedy = "Another program may have that port: --http-port names another, 0 takes any, off none."
                raise WexError(message, remedy) from error
        raise AssertionError("there is a last port")

    def _bound(self, port: int) -> _Server:
        family = socket.getaddrinfo(self._host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        server: Callable[..., _Server] = type("Server", (_Server,), {"address_family": family})
        address: Any = (self._host, port)
        return server(address, self._handler)
