"""The sinks that are Python: the consumer itself, as it is shipped, and the modules of this package."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.sink import Place


@dataclass(frozen=True, slots=True)
class Consumer:
    """`wex consume`, with its default settings; or several of one group."""

    processes: int = 1
    name: str = "wex consume"
    flat: bool = False
    plain_table: bool = False
    most_events: int = sys.maxsize
    warm_share: float = 0.05

    def missing(self) -> str:
        """It is here."""
        return ""

    def command(self, place: Place) -> Sequence[str | Path]:
        """Return the command of the service, or what runs several of them."""
        del place
        if self.processes > 1:
            return [sys.executable, "-m", "benchmarks.peers.crew", str(self.processes)]
        return [sys.executable, "-m", "consumer", "consume", "--http-port", "off"]

    def settings(self, place: Place) -> Mapping[str, str]:
        """Return where it works."""
        return {
            "WEX_KAFKA_BOOTSTRAP_SERVERS": place.servers,
            "WEX_DATABASE_URL": place.database_url,
            "WEX_TOPICS": ",".join(place.topics),
            "WEX_CONSUMER_GROUP": place.group,
        }


@dataclass(frozen=True, slots=True)
class Script:
    """A module of this package that is a program."""

    name: str
    module: str
    package: str = ""  # what it needs beside the project's own dependencies
    options: tuple[str, ...] = ()
    most_events: int = sys.maxsize
    flat: bool = False
    plain_table: bool = True
    warm_share: float = 0.05

    def missing(self) -> str:
        """Say which package is not installed."""
        if self.package and importlib.util.find_spec(self.package) is None:
            return f"the package {self.package} is not installed (requirements/bench.txt)"
        return ""

    def command(self, place: Place) -> Sequence[str | Path]:
        """Return what runs the module."""
        del place
        return [sys.executable, "-m", f"benchmarks.peers.{self.module}", *self.options]

    def settings(self, place: Place) -> Mapping[str, str]:
        """It reads its place alone."""
        del place
        return {}
