"""`wex up` and `wex down` as processes, the way people run them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumer.errors import ExitCode
from consumer.local.shutdown import end_stack
from consumer.local.stack_file import StackFile
from consumer.settings import STACK_FILE

WEX = [sys.executable, "-c", "from consumer.cli import main; main()"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One data folder for all of them, so that only the first start creates the data."""
    made = tmp_path_factory.mktemp("commands")
    yield made
    end_stack(made, print)


def wex(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*WEX, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60)


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*WEX, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    )


def test_detached_servers_outlive_the_command_until_down(folder: Path) -> None:
    """`wex up --detach` prints export lines and leaves the servers running; `wex down` ends them, once."""
    up = wex("up", "--detach", "--data-dir", folder)
    assert up.returncode == ExitCode.OK, up.stderr
    servers = StackFile.read(folder).alive()
    assert {server.identity.name for server in servers} == {"postgres", "kafka"}
    settings = StackFile.read(folder).settings
    assert up.stdout.splitlines() == [f"export WEX_{key.upper()}={value}" for key, value in settings.items()]

    again = wex("up", "--data-dir", folder)
    assert again.returncode == ExitCode.REFUSED
    assert "wex down" in again.stderr

    down = wex("down", "--data-dir", folder, "--json")
    assert json.loads(down.stdout) == {"data_dir": str(folder), "stopped": True}
    assert not any(server.identity.alive() for server in servers)
    assert not (folder / STACK_FILE).exists()
    assert "nothing runs" in wex("down", "--data-dir", folder).stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_the_servers(folder: Path, number: signal.Signals) -> None:
    """Ctrl-C, `kill` and a closed terminal end the servers cleanly and the command with success."""
    kept = 2 if (folder / "postgres").exists() else 0  # by a test before
    up = start("up", "--data-dir", folder, "--json")
    assert up.stdout is not None
    shown = json.loads(up.stdout.readline())
    servers = StackFile.read(folder).alive()
    assert shown["supervisor"]["pid"] == up.pid
    assert [server["pid"] for server in shown["processes"]] == [server.identity.pid for server in servers]
    up.send_signal(number)
    _, said = up.communicate(timeout=30)
    assert up.returncode == ExitCode.OK, said
    assert said.count("reusing the data") == kept
    assert not any(server.identity.alive() for server in servers)
    assert not (folder / STACK_FILE).exists()


def test_a_killed_supervisor_leaves_no_servers(folder: Path) -> None:
    """After kill -9 of `wex up` its servers end by themselves, and the next start is not refused."""
    up = start("up", "--data-dir", folder)
    assert up.stdout is not None
    assert up.stdout.readline()
    servers = StackFile.read(folder).alive()
    assert len(servers) == 2
    up.kill()
    up.communicate()
    assert all(server.identity.wait(15) for server in servers)
    assert (folder / STACK_FILE).exists()

    down = wex("down", "--data-dir", folder)
    assert "nothing runs" in down.stdout
    assert not (folder / STACK_FILE).exists()


def test_down_stops_a_stack_in_the_foreground(folder: Path) -> None:
    """`wex down` in another terminal ends `wex up` as Ctrl-C would."""
    up = start("up", "--data-dir", folder)
    assert up.stdout is not None
    assert up.stdout.readline()
    down = wex("down", "--data-dir", folder)
    assert "stopped" in down.stdout
    up.communicate(timeout=10)
    assert up.returncode == ExitCode.OK


def test_a_server_that_dies_ends_the_stack_with_its_name(folder: Path) -> None:
    """When a server dies under a running `wex up`, the command stops the rest and says which one died."""
    up = start("up", "--data-dir", folder)
    assert up.stdout is not None
    assert up.stdout.readline()
    servers = {server.identity.name: server.identity for server in StackFile.read(folder).alive()}
    servers["kafka"].send(signal.SIGKILL)
    _, said = up.communicate(timeout=30)
    assert up.returncode == ExitCode.ERROR
    assert "Kafka died (exit code -9)" in said
    assert not servers["postgres"].alive()


def test_a_start_can_be_given_up(tmp_path: Path) -> None:
    """A signal in the middle of a first start ends what was started and leaves no stack behind."""
    up = start("up", "--data-dir", tmp_path)
    assert up.stderr is not None
    assert up.stderr.readline()
    up.send_signal(signal.SIGTERM)
    up.communicate(timeout=20)
    assert up.returncode == ExitCode.ERROR
    assert StackFile.read(tmp_path).alive() == ()
    assert not (tmp_path / STACK_FILE).exists()


def test_a_variable_that_hides_the_stack_is_pointed_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell whose variables lead elsewhere is told so, since they win over the stack."""
    monkeypatch.setenv("WEX_DATABASE_URL", "postgresql://elsewhere/other")
    up = wex("up", "--detach", "--data-dir", folder)
    assert "WEX_DATABASE_URL is set in this shell" in up.stderr
    assert "WEX_KAFKA_BOOTSTRAP_SERVERS is set" not in up.stderr
    assert wex("down", "--data-dir", folder).returncode == ExitCode.OK
