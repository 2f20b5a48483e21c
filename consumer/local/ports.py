"""Ports on the loopback address: the ones that were asked for, the ones of last time, or free ones."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from consumer.errors import ExitCode, WexError

LOOPBACK = "127.0.0.1"

# Below the ports that systems hand to outgoing connections (Linux from 32768, others from 49152): a client that
# keeps dialling a stopped server on such a port can connect to itself, and then the server cannot come back.
_FREE_RANGE = range(15_000, 32_000)
_ATTEMPTS = 200


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports to listen on; None leaves the choice to the stack."""

    postgres: int | None = None
    kafka: int | None = None
    temporal: int | None = None


def listening(port: int) -> bool:
    """Say whether something accepts connections on this port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0


def bindable(port: int) -> bool:
    """Say whether a server could listen on this port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do, so closed connections do not count
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def choose(server: str, wanted: int | None, *, last: int | None = None, besides: Iterable[int | None] = ()) -> int:
    """Return a port for a server.

    Args:
        server: the server's name, as the flag `--<server>-port` spells it.
        wanted: the port that was asked for.
        last: the port of the last start, taken again when it is free, so that exported settings stay true.
        besides: ports that are spoken for.

    Raises:
        WexError: the port that was asked for is taken.
    """
    spoken_for = set(besides)
    if wanted is not None:
        if wanted in spoken_for or not bindable(wanted):
            raise taken(server, wanted)
        return wanted
    if last is not None and last not in spoken_for and bindable(last):
        return last
    for _ in range(_ATTEMPTS):
        port = random.choice(_FREE_RANGE)  # noqa: S311 - picks a port, guards nothing
        if port not in spoken_for and bindable(port):
            return port
    message = f"no free port for {server} between {_FREE_RANGE.start} and {_FREE_RANGE.stop} on {LOOPBACK}"
    raise WexError(message, f"Name one with --{server}-port.")


def taken(server: str, port: int) -> WexError:
    """Return the error for a port that another program holds."""
    message = f"port {port} on {LOOPBACK} is taken, so {server} cannot listen on it"
    remedy = (
        f"Stop the program that holds it, or name another port: --{server}-port N (without it a free one is taken)."
    )
    return WexError(message, remedy, ExitCode.USAGE)
