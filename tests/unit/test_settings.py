"""Settings: flags over the environment over a running stack over defaults."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from consumer import settings
from consumer.errors import ExitCode, WexError


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of ours is set, and no stack runs in the current folder."""
    for name in list(os.environ):
        if name.upper().startswith("WEX_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def running_stack(data_dir: Path, content: Any) -> None:
    """Write what `wex up` writes, or something broken."""
    data_dir.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    (data_dir / settings.STACK_FILE).write_text(text)


def test_defaults_are_the_usual_places() -> None:
    """Without anything said, everything is on this machine at its usual port."""
    loaded = settings.load()
    assert loaded.kafka_bootstrap_servers == "localhost:9092"
    assert loaded.database_url.get_secret_value() == "postgresql://localhost:5432/workflow_executions"
    assert loaded.topics == ("workflow-executions",)
    assert loaded.consumer_group == "workflow-executions"
    assert loaded.data_dir == Path(".wex")


def test_the_stronger_source_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A running stack beats the defaults, the environment beats the stack, and a flag beats the environment."""
    running_stack(
        tmp_path / ".wex", {"settings": {"kafka_bootstrap_servers": "stack:1", "temporal_address": "stack:2"}}
    )
    assert settings.load().kafka_bootstrap_servers == "stack:1"
    monkeypatch.setenv("WEX_KAFKA_BOOTSTRAP_SERVERS", "environment:1")
    assert settings.load().kafka_bootstrap_servers == "environment:1"
    loaded = settings.load(kafka_bootstrap_servers="flag:1", consumer_group=None)
    assert loaded.kafka_bootstrap_servers == "flag:1"
    assert loaded.temporal_address == "stack:2"
    assert loaded.consumer_group == "workflow-executions"


def test_the_stack_is_looked_for_where_the_data_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The data folder of a flag or of the environment decides which stack is meant."""
    running_stack(tmp_path / "one", {"settings": {"temporal_address": "one:1"}})
    running_stack(tmp_path / "two", {"settings": {"temporal_address": "two:1"}})
    monkeypatch.setenv("WEX_DATA_DIR", str(tmp_path / "one"))
    assert settings.load().temporal_address == "one:1"
    assert settings.load(data_dir=tmp_path / "two").temporal_address == "two:1"


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"settings": {}}', '{"settings": {"of_tomorrow": 1}}'])
def test_a_broken_stack_file_is_no_stack(tmp_path: Path, content: str) -> None:
    """A stack file that is broken, or that a later version wrote, changes nothing."""
    running_stack(tmp_path / ".wex", content)
    assert settings.load().kafka_bootstrap_servers == "localhost:9092"


@pytest.mark.parametrize(
    ("text", "topics"), [("a", ("a",)), ("a,b", ("a", "b")), (" a , b ,", ("a", "b")), ("a-1,b.2", ("a-1", "b.2"))]
)
def test_topics_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch, text: str, topics: tuple[str, ...]) -> None:
    """Topics come as one text from the environment and as a tuple from flags."""
    monkeypatch.setenv("WEX_TOPICS", text)
    assert settings.load().topics == topics
    assert settings.load(topics=topics).topics == topics


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WEX_KAFKA_SESSION_TIMEOUT_MS", "s3cret"),
        ("WEX_KAFKA_SESSION_TIMEOUT_MS", "999"),
        ("WEX_CONSUMER_GROUP", ""),
        ("WEX_TOPICS", " , "),
    ],
)
def test_a_bad_value_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """A value that is not usable ends with the variable's name and what is wrong with it, never with the value."""
    monkeypatch.setenv(name, value)
    with pytest.raises(WexError, match=f"the settings are not usable: {name}: ") as caught:
        settings.load()
    assert caught.value.exit_code is ExitCode.USAGE
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_every_bad_value_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several unusable values are named at once."""
    monkeypatch.setenv("WEX_TOPICS", "")
    monkeypatch.setenv("WEX_CONSUMER_GROUP", "")
    with pytest.raises(WexError, match=r"WEX_TOPICS.*WEX_CONSUMER_GROUP|WEX_CONSUMER_GROUP.*WEX_TOPICS"):
        settings.load()


def test_the_database_url_hides_its_password() -> None:
    """The database URL never shows in the settings' own text."""
    assert "s3cret" not in repr(settings.load(database_url="postgresql://u:s3cret@h/d"))


def test_a_child_gets_the_whole_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is handed on to a child process is a copy of the environment."""
    monkeypatch.setenv("WEX_TOPICS", "a")
    handed = settings.environment()
    assert handed["WEX_TOPICS"] == "a"
    handed["WEX_TOPICS"] = "b"
    assert os.environ["WEX_TOPICS"] == "a"
