"""The stack as one thing: its servers started side by side, written down for other commands, and stopped."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from types import TracebackType
from typing import Self

from consumer.errors import ExitCode, WexError
from consumer.local import stack_file
from consumer.local.kafka import KafkaServer
from consumer.local.ports import Ports, choose
from consumer.local.postgres import PostgresServer
from consumer.local.processes import Identity
from consumer.local.server import Server
from consumer.local.site import Site, writing
from consumer.local.stack_file import RunningServer, StackFile
from consumer.local.temporal import TemporalServer

__all__ = ["LocalStack", "Ports"]

LOCK_FILE = "stack.lock"
CHECK_SECONDS = 0.5  # how soon `wait` notices that a server died


def _silent(line: str) -> None:
    """Report to nobody."""


class LocalStack:
    """PostgreSQL, Kafka and, when asked for, Temporal on the loopback address.

    The servers end when this process ends, however it ends, unless `release` lets them live on.

        with LocalStack(tmp_path) as stack:
            connect(stack.database_url, stack.kafka_bootstrap_servers)
            stack.kafka.kill()
            stack.kafka.start()

    Args:
        data_dir: folder of the data; made when absent, reused when it has some.
        temporal: start the Temporal server too.
        ports: ports to listen on; those of the last start or free ones where None.
        report: takes progress lines, from several threads.
        cache_dir: folder of downloads, shared between stacks.
    """

    def __init__(
        self,
        data_dir: Path | str,
        *,
        temporal: bool = False,
        ports: Ports | None = None,
        report: Callable[[str], None] = _silent,
        cache_dir: Path | str | None = None,
    ) -> None:
        cache = Path(cache_dir) if cache_dir else Path.home() / ".cache" / "workflow-executions"
        self._site = Site(Path(data_dir).absolute(), cache.absolute(), report)
        self._wanted = ports or Ports()
        # The ports are chosen at the start, when the folder is locked.
        self.postgres = PostgresServer(self._site)
        self.kafka = KafkaServer(self._site)
        self._temporal = TemporalServer(self._site) if temporal else None
        self._lock: int | None = None
        self._write_lock = threading.Lock()

    @property
    def data_dir(self) -> Path:
        """The absolute path of the stack's data."""
        return self._site.data_dir

    @property
    def temporal(self) -> TemporalServer:
        """The Temporal server of a stack that was made with it."""
        assert self._temporal, "this stack was made without Temporal: LocalStack(…, temporal=True)"
        return self._temporal

    @property
    def servers(self) -> list[Server]:
        """The servers of this stack."""
        return [self.postgres, self.kafka, *([self._temporal] if self._temporal else [])]

    @property
    def database_url(self) -> str:
        """postgresql:// URL of the database `workflow_executions`, with its password."""
        return self.postgres.url

    @property
    def kafka_bootstrap_servers(self) -> str:
        """host:port of the broker."""
        return self.kafka.address

    @property
    def temporal_address(self) -> str:
        """host:port of the Temporal frontend."""
        return self.temporal.address

    @property
    def settings(self) -> dict[str, str]:
        """The addresses, keyed like the fields of consumer.settings.Settings."""
        addresses = {"kafka_bootstrap_servers": self.kafka_bootstrap_servers, "database_url": self.database_url}
        return addresses | ({"temporal_address": self.temporal_address} if self._temporal else {})

    def start(self) -> None:
        """Start the servers side by side and return when all of them serve.

        Raises:
            WexError: something is missing, taken or wrong, or a stack runs here already; nothing is left running.
        """
        self._site.prepare()
        self._acquire()
        try:
            self._site.cancelled.clear()
            # Nothing serves yet, but `wex down` can end a start that is under way.
            StackFile(supervisor=_supervisor()).write(self.data_dir)
            self._choose_ports()
            self._start_servers()
            self._write()
            for server in self.servers:
                server.changed = self._write
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the servers side by side and say so in the data folder; idempotent."""
        if self._lock is None:
            return
        for server in self.servers:
            server.changed = _nothing
        stopping = [threading.Thread(target=server.stop) for server in self.servers]
        for thread in stopping:
            thread.start()
        for thread in stopping:
            thread.join()
        stack_file.remove(self.data_dir)
        self._let_go()

    def release(self) -> None:
        """Let the servers live on after this process; `wex down` ends them."""
        self._write(supervised=False)
        for server in self.servers:
            server.release()
        self._let_go()

    def wait(self) -> None:
        """Wait until a server dies, which is an error; leave by an exception from a signal handler.

        Raises:
            WexError: a server died.
        """
        forever = threading.Event()
        while not forever.wait(CHECK_SECONDS):
            for server in self.servers:
                server.check()

    def describe(self) -> StackFile:
        """Return what the stack file says of this stack."""
        return StackFile.read(self.data_dir)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _acquire(self) -> None:
        """Lock the folder for as long as this process looks after the stack; the lock ends with the process."""
        with writing(self.data_dir):
            lock = os.open(self.data_dir / LOCK_FILE, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise self._runs_already() from None
        if StackFile.read(self.data_dir).alive():  # detached servers hold no lock
            os.close(lock)
            raise self._runs_already()
        self._lock = lock

    def _let_go(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    def _runs_already(self) -> WexError:
        standing = StackFile.read(self.data_dir)
        running = standing.alive()
        if ended := [server.identity.name for server in standing.processes if server not in running]:
            message = f"of the stack in {self.data_dir} only a part runs: {' and '.join(ended)} ended by itself"
            again = " && ".join(f"wex {verb} --data-dir {self.data_dir}" for verb in ("down", "up"))
            return WexError(message, f"Stop the rest and start again; the data stays: {again}", ExitCode.REFUSED)
        message = f"a stack runs already in {self.data_dir}"
        remedy = (
            f"Use it as it is (commands with --data-dir {self.data_dir} find it), or stop it: "
            f"wex down --data-dir {self.data_dir}"
        )
        return WexError(message, remedy, ExitCode.REFUSED)

    def _choose_ports(self) -> None:
        last = stack_file.last_ports(self.data_dir)
        wanted = {"postgres": self._wanted.postgres, "kafka": self._wanted.kafka, "temporal": self._wanted.temporal}
        # Chosen first where a number was asked for, so that no other server takes it by chance.
        for server in sorted(self.servers, key=lambda server: wanted[server.name] is None):
            others = [other.port for other in self.servers if other is not server]
            server.port = choose(server.name, wanted[server.name], last=last.get(server.name), besides=others)
        stack_file.keep_ports(self.data_dir, {server.name: server.port for server in self.servers})

    def _start_servers(self) -> None:
        """Start all of them at once; when one fails, give up the others and raise the first error."""
        with ThreadPoolExecutor(len(self.servers), "wex-start") as pool:
            starting = [pool.submit(server.start) for server in self.servers]
            try:
                for start in as_completed(starting):
                    start.result()
            except BaseException:
                self._site.cancelled.set()
                raise

    def _write(self, *, supervised: bool = True) -> None:
        """Write down what runs; a server that a fault test has killed is left out."""
        with self._write_lock:
            running = [(server.identity, server.stop_signals["fast"]) for server in self.servers]
            StackFile(
                settings=self.settings,
                processes=tuple(RunningServer(identity, number) for identity, number in running if identity),
                supervisor=_supervisor() if supervised else None,
            ).write(self.data_dir)


def _supervisor() -> Identity:
    return Identity.of("supervisor", os.getpid())


def _nothing() -> None:
    """Tell nobody."""
