"""The file that says what runs in a data folder, so that other commands find the stack and `wex down` can end it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from signal import Signals
from typing import Any, Self

from consumer.local.processes import Identity
from consumer.local.site import writing
from consumer.settings import STACK_FILE

PORTS_FILE = "ports.json"  # the ports of the last start; outlives the stack


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server's process, and the signal that ends it cleanly."""

    identity: Identity
    stop_signal: Signals

    def to_json(self) -> dict[str, Any]:
        """Return the entry of this server in `processes`."""
        return {**asdict(self.identity), "stop_signal": self.stop_signal.name}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Self:
        """Read an entry of `processes`."""
        identity = Identity(str(entry["name"]), int(entry["pid"]), str(entry["started"]))
        return cls(identity, Signals[entry["stop_signal"]])


@dataclass(frozen=True, slots=True)
class StackFile:
    """What `stack.json` holds.

    Attributes:
        settings: the addresses, keyed like the fields of consumer.settings.Settings.
        processes: the servers.
        supervisor: the process that ends them when it ends; None after `wex up --detach`.
    """

    settings: dict[str, str] = field(default_factory=dict)
    processes: tuple[RunningServer, ...] = ()
    supervisor: Identity | None = None

    @classmethod
    def read(cls, data_dir: Path) -> Self:
        """Read the file; an absent or broken one says that nothing runs."""
        try:
            stack = json.loads((data_dir / STACK_FILE).read_bytes())
            supervisor = stack["supervisor"]
            return cls(
                settings=dict(stack["settings"]),
                processes=tuple(RunningServer.from_json(entry) for entry in stack["processes"]),
                supervisor=Identity(**supervisor) if supervisor else None,
            )
        except (OSError, ValueError, KeyError, TypeError):
            return cls()

    def to_json(self) -> dict[str, Any]:
        """Return the file's content, which is also what `wex up --json` prints."""
        return {
            "settings": self.settings,
            "processes": [server.to_json() for server in self.processes],
            "supervisor": asdict(self.supervisor) if self.supervisor else None,
        }

    def write(self, data_dir: Path) -> None:
        """Write the file in one step, readable by its owner alone: the database URL holds a password."""
        _write(data_dir / STACK_FILE, self.to_json())

    def alive(self) -> tuple[RunningServer, ...]:
        """Return the servers that still run."""
        return tuple(server for server in self.processes if server.identity.alive())


def remove(data_dir: Path) -> None:
    """Say that nothing runs any more."""
    (data_dir / STACK_FILE).unlink(missing_ok=True)


def last_ports(data_dir: Path) -> dict[str, int]:
    """Return the ports of the last start by server; empty before the first."""
    try:
        return {str(name): int(port) for name, port in json.loads((data_dir / PORTS_FILE).read_bytes()).items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def keep_ports(data_dir: Path, ports: Mapping[str, int]) -> None:
    """Write down the ports, so that the next start takes them again; servers not started keep theirs."""
    _write(data_dir / PORTS_FILE, {**last_ports(data_dir), **ports})


def _write(path: Path, content: Mapping[str, Any]) -> None:
    with writing(path.parent):
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        fresh.unlink(missing_ok=True)
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps(content, indent=2) + "\n")
        fresh.replace(path)
