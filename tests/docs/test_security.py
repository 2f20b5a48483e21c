"""docs/security.md speaks of settings, commands, modes, roles and messages that there are."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
import trustme

from consumer.errors import ExitCode
from consumer.settings import Settings, load, secrets
from events.publisher.security import Protocol
from store.connect import PLAIN, VERIFYING, tls
from tests.architecture.sources import ROOT
from tests.docs.pages import table
from tests.docs.test_operations import commands, unknown_parts

PAGE = "docs/security.md"
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")
SAYING = ("events/transport.py", "events/publisher/security.py", "store/connect.py", "store/failures.py")
OF_OTHERS = {"password authentication failed", "connection was closed"}  # PostgreSQL's words, and asyncpg's


def codes(cell: str) -> set[str]:
    """What a cell sets in type of its own."""
    return set(re.findall(r"`([^`]+)`", cell))


def exports(folder: Path) -> Iterator[tuple[str, str]]:
    """What the blocks of the page export, with files that are there."""
    for block in re.findall(r"```sh\n(.*?)```", TEXT, flags=re.DOTALL):
        for word in shlex.split(block, comments=True):
            if word != "export":
                name, _, value = word.partition("=")
                yield name, re.sub(r"/(?:etc/wex|run/secrets)/", f"{folder}/", value)


def test_the_settings_of_the_page_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the page exports makes an address of Kafka and a URL of the database, with TLS that is verified."""
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    for name in ("kafka", "database"):
        (tmp_path / name).write_text(f"password of {name}\n")
    exported = dict(exports(tmp_path))
    assert len(exported) == 7
    for name, value in exported.items():
        monkeypatch.setenv(name, value)
    settings = load()
    options_of_kafka = settings.kafka.client_options
    assert options_of_kafka["sasl_plain_password"] == "password of kafka"
    assert options_of_kafka["ssl_context"].check_hostname
    assert "password+of+database" in settings.database
    context = tls(settings.database)
    assert context is not None
    assert context.check_hostname


def test_settings_and_commands_of_the_page_exist() -> None:
    """Each setting is one, or the file of a secret; each command has its subcommands and options."""
    known = {f"WEX_{name.upper()}" for name in Settings.model_fields} | {f"WEX_{n.upper()}_FILE" for n in secrets()}
    assert set(re.findall(r"\bWEX_[A-Z_]*[A-Z]\b", TEXT)) - known == set()
    shown = commands(re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL))
    assert len(shown) > 8
    assert {command: wrong for command in shown if (wrong := unknown_parts(command))} == {}


def test_protocols_and_modes_are_those_of_the_code() -> None:
    """The tables of protocols and of sslmodes have every one, and refuse those that the code refuses."""
    assert set().union(*(codes(row[0]) for row in table(PAGE, "protocol"))) == set(get_args(Protocol))
    modes = {frozenset(codes(row[0])): row[1] for row in table(PAGE, "`sslmode`")}
    assert set().union(*modes) == {*VERIFYING, "require", *PLAIN}
    assert [mode for mode, said in modes.items() if said.startswith("refused")] == [frozenset(PLAIN)]


def test_roles_are_those_of_the_script() -> None:
    """The table of roles has each role that the script makes."""
    script = (ROOT / "deploy" / "postgresql" / "roles.sql").read_text()
    made = set(re.findall(r"'(wex_\w+)'|CREATE ROLE (wex_\w+)", script))
    assert {name for pair in made for name in pair if name} == {
        name for row in table(PAGE, "role") for name in codes(row[0])
    }


def test_what_is_said_is_said_by_the_code() -> None:
    """Each message of the table stands in the code, and each exit code is one."""
    sources = "".join((ROOT / path).read_text(encoding="utf-8") for path in SAYING)
    rows = table(PAGE, "what is said")
    pieces = {piece for row in rows for piece in re.split("[;:,] ", row[0])}
    assert len(pieces) > 12
    assert {piece for piece in pieces - OF_OTHERS if piece not in sources} == set()
    assert {int(code) for row in rows for code in re.findall(r"\d", row[1])} <= set(map(int, ExitCode))
