"""Starts one server so that it cannot outlive its supervisor; run as a script, never imported.

    python tether.py <descriptor> <signal> <uid:gid or -> <command> [<argument> …]

The supervisor holds the writing end of a pipe, and a watcher in the server's own process group reads it.
A pipe closes whichever way its holder ends, `kill -9` included, so the end of the file means: the supervisor
is gone, end the group. One byte means: let go, the server is to live on (`wex up --detach`).

Why not PR_SET_PDEATHSIG: it fires when the *thread* that started the child ends, which a thread pool does
early, and it exists on Linux only. The watcher is orphaned on purpose (two forks): a child of PostgreSQL that
PostgreSQL does not know would look to it like a crashed backend.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time

GRACE_SECONDS = 10  # PostgreSQL and Kafka close their files in two or three; after this they are killed

_PR_SET_KEEPCAPS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 8, 47, 2  # linux/prctl.h
_CAPABILITY_VERSION_3 = 0x20080522  # linux/capability.h
_CAP_DAC_READ_SEARCH = 2


def main(tether: int, stop_signal: int, user: str, command: list[str]) -> None:
    """Leave a watcher behind, take on the server's user and become the server; the process id stays the same."""
    server = os.getpid()
    if os.fork() == 0:
        if os.fork() == 0:
            _watch(tether, server, stop_signal)
        os._exit(0)
    os.wait()
    os.close(tether)
    if user != "-":
        uid, gid = user.split(":")
        _become(int(uid), int(gid))
    os.execv(command[0], command)  # noqa: S606 - the command is built by this package, never by a user


def _watch(tether: int, server: int, stop_signal: int) -> None:
    """Wait for the supervisor's word or end; never returns."""
    signal.signal(stop_signal, signal.SIG_IGN)  # the group's signal reaches the watcher too
    if os.read(tether, 1):
        os._exit(0)
    os.killpg(0, stop_signal)
    deadline = time.monotonic() + GRACE_SECONDS
    while time.monotonic() < deadline and _exists(server):
        time.sleep(0.05)
    os.killpg(0, signal.SIGKILL)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _become(uid: int, gid: int) -> None:
    """Give up root, keeping the right to walk through closed folders.

    PostgreSQL refuses to run as root, and its data may lie under a folder that root keeps to itself. Keeping one
    capability leaves those folders' modes alone; opening them to everyone would outlast the stack.
    """
    libc = ctypes.CDLL(None)
    on_linux = sys.platform == "linux"
    if on_linux:
        libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if on_linux:
        # Each word: effective, permitted, inheritable; the second three are for capabilities above 31.
        words = (ctypes.c_uint32 * 6)(*[1 << _CAP_DAC_READ_SEARCH] * 3, 0, 0, 0)
        header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
        # A container may withhold the capability: then the folders must be open, and PostgreSQL says which is not.
        libc.capset(header, words)
        libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_READ_SEARCH, 0, 0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
