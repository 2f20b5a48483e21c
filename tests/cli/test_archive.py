"""`wex archive`, as operators meet it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Wex
from tests.cli.test_verify import NOWHERE
from tests.consuming import produce
from tests.replay.applying import apply_all
from tests.replay.load import records
from tests.replay.test_verify import delete_records
from tests.stack import Servers


@pytest.fixture
def applied(servers: Servers, database_url: str, topic: str) -> None:
    """A topic that was applied."""

    async def apply() -> None:
        await produce(servers.kafka_bootstrap_servers, topic, records(20), partitions=1)
        await apply_all(servers.kafka_bootstrap_servers, database_url, topic)

    asyncio.run(apply())


@pytest.mark.usefixtures("applied")
def test_what_is_archived_is_listed_checked_and_read(wex: Wex, servers: Servers, topic: str, tmp_path: Path) -> None:
    """A topic is archived, listed and checked; what retention takes then is read from the folder by every command."""
    folder = str(tmp_path / "archive")
    ended = wex("archive", folder)
    assert ended.exit_code == 0
    assert f"{topic}/0  0 to 59  60" in ended.stdout.replace("   ", "  ").replace("   ", "  ")
    found = wex("archive", folder, "--list", "--json").json
    [item] = found["items"]
    assert (item["topic"], item["partition"], item["from_offset"], item["next_offset"]) == (topic, 0, 0, 60)
    assert (item["records"], item["files"], item["gaps"], found["problems"]) == (60, 1, [], [])
    assert len(item["topic_id"]) == 36
    assert item["value_bytes"] > item["file_bytes"] > 0
    assert wex("archive", folder, "--json").json["items"][0]["new"] == 0
    ended = wex("archive", folder, "--check")
    assert (ended.exit_code, "every file is whole" in ended.stdout) == (0, True)

    asyncio.run(delete_records(servers, topic, {0: 50}))
    assert wex("verify", "--json").json["gone"] == [f"the log of {topic}/0 begins at 50"]
    since = ("--since", "2026-01-01")
    for arguments in ((), since):
        found = wex("verify", "--archive", folder, "--json", *arguments).json
        assert (found["equal"], found["gone"], found["events"]) == (True, [], 60)
    assert wex("repair", "--apply", "--archive", folder).exit_code == 0
    assert wex("replay", "start", "--archive", folder).exit_code == 0
    assert wex("replay", "diff", "--archive", folder).exit_code == 0
    assert wex("replay", "swap").exit_code == 8
    assert wex("replay", "swap", "--archive", folder).exit_code == 0


@pytest.mark.usefixtures("applied")
def test_a_damaged_archive_is_told_and_never_read(wex: Wex, tmp_path: Path) -> None:
    """A check names the file and ends with 4; verify refuses with 8."""
    folder = tmp_path / "archive"
    wex("archive", str(folder))
    [file] = folder.rglob("*.parquet")
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)
    ended = wex("archive", str(folder), "--check")
    assert (ended.exit_code, f"{file} is damaged" in ended.stderr, "from a copy" in ended.stderr) == (4, True, True)
    assert len(wex("archive", str(folder), "--check", "--json").json["problems"]) == 1
    ended = wex("verify", "--archive", str(folder))
    assert (ended.exit_code, f"{file} is damaged" in ended.stderr) == (8, True)


@pytest.mark.usefixtures("applied")
def test_a_gap_is_accepted_by_name(wex: Wex, servers: Servers, topic: str, tmp_path: Path) -> None:
    """Where retention was quicker the run ends with 8 and says what to pass; then it goes on, and the gap is known."""
    folder = str(tmp_path / "archive")
    wex("archive", folder)
    asyncio.run(produce(servers.kafka_bootstrap_servers, topic, records(20, first=20), partitions=1))
    asyncio.run(delete_records(servers, topic, {0: 70}))
    ended = wex("archive", folder)
    assert (ended.exit_code, f"--accept-gap {topic}/0@70" in ended.stderr) == (8, True)
    assert wex("archive", folder, "--accept-gap", f"{topic}/0@70").exit_code == 0
    assert wex("archive", folder, "--list", "--json").json["items"][0]["gaps"] == [
        {"from_offset": 60, "next_offset": 70}
    ]
    assert "60 to 69" in wex("archive", folder, "--check").stdout


def test_what_cannot_be_done_says_why(wex: Wex, tmp_path: Path) -> None:
    """A broker that does not answer is 5, a topic or an archive that is not there 3, and a wrong option 2."""
    folder = str(tmp_path / "archive")
    assert wex("archive", folder, "--kafka-bootstrap-servers", NOWHERE).exit_code == 5
    ended = wex("archive", folder, "--topics", "nowhere")
    assert (ended.exit_code, "Kafka has no topic nowhere" in ended.stderr) == (3, True)
    ended = wex("archive", folder, "--check")
    assert (ended.exit_code, "there is no archive in" in ended.stderr) == (3, True)
    assert wex("archive", folder, "--accept-gap", "x").exit_code == 2
    assert wex("archive", folder, "--check", "--list").exit_code == 2
    assert wex("verify", "--archive", str(tmp_path / "missing")).exit_code == 2
    (tmp_path / "file").touch()
    assert wex("archive", str(tmp_path / "file" / "below")).exit_code == 1


def test_without_pyarrow_the_command_says_what_to_install(tmp_path: Path) -> None:
    """Whoever has no archive needs no pyarrow, and whoever wants one is told."""
    program = (
        "import sys; sys.modules['pyarrow'] = None; sys.argv = ['wex', 'archive', sys.argv[1], '--check'];"
        "from consumer.cli import main; import consumer.replay.verify, consumer.replay.rebuild; main()"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "pip install 'workflow-executions[archive]'" in ended.stderr
