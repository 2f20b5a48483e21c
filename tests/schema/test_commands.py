"""`wex schema` and `wex lint`, as users call them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from consumer.contract.artefacts import artefacts
from consumer.errors import ExitCode
from events import Verb, encode, execution_id
from events.examples import example
from tests.schema.conftest import Wex


def line(verb: Verb = Verb.COMPLETED, **data: Any) -> str:
    """An example on one line, with more fields in `data`."""
    event = json.loads(encode(example(verb)))
    event["data"] |= data
    return json.dumps(event)


@pytest.fixture
def lint(wex: Wex, tmp_path: Path) -> Wex:
    """Lint a file that holds these lines."""

    def run(*lines: str, json_: bool = False) -> Any:
        path = tmp_path / "events.jsonl"
        path.write_text("\n".join(lines))
        return wex("lint", str(path), *(["--json"] if json_ else []))

    return run


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        (["json"], "contract/publisher.schema.json"),
        (["json", "--closed"], "contract/publisher.schema.json"),
        (["json", "--open"], "contract/consumer.schema.json"),
        (["asyncapi"], "contract/asyncapi.json"),
        (["example", "timed_out"], "contract/examples/timed_out.json"),
        (["page"], "event-contract.md"),
    ],
)
def test_schema_prints_what_is_committed(wex: Wex, arguments: list[str], file: str) -> None:
    """Each part of `wex schema` prints one of the generated files."""
    said = wex("schema", *arguments)
    assert (said.exit_code, said.stderr) == (0, "")
    assert said.stdout == artefacts()[file]


def test_an_example_of_no_verb_is_a_usage_error(wex: Wex) -> None:
    """A verb that does not exist ends with exit code 2 and the verbs that do."""
    said = wex("schema", "example", "exploded")
    assert said.exit_code == ExitCode.USAGE
    assert "'timed_out'" in said.stderr


def test_everything_is_written(wex: Wex, tmp_path: Path) -> None:
    """`wex schema write` writes every file, names it, and is silent where nothing changed."""
    said = wex("schema", "write", str(tmp_path))
    assert (said.exit_code, len(said.stdout.splitlines())) == (0, len(artefacts()))
    assert wex("schema", "write", str(tmp_path)).stdout == ""


def test_a_contract_that_shrinks_is_not_written(wex: Wex, tmp_path: Path) -> None:
    """`wex schema write` leaves the files alone when a field of theirs is gone, and says which one."""
    wex("schema", "write", str(tmp_path))
    path = tmp_path / "contract" / "publisher.schema.json"
    schema = json.loads(path.read_text())
    schema["properties"]["shade"] = {"type": "string"}
    path.write_text(json.dumps(schema))
    said = wex("schema", "write", str(tmp_path))
    assert said.exit_code == ExitCode.REFUSED
    assert "properties/shade is gone" in said.stderr
    assert json.loads(path.read_text()) == schema


def test_a_broken_schema_is_reported(wex: Wex, tmp_path: Path) -> None:
    """`wex schema write` says so when the schema that is there cannot be read."""
    (tmp_path / "contract").mkdir()
    (tmp_path / "contract" / "publisher.schema.json").write_text("{")
    said = wex("schema", "write", str(tmp_path))
    assert said.exit_code == ExitCode.ERROR
    assert str(tmp_path) in said.stderr


@pytest.mark.parametrize("verb", list(Verb))
def test_every_example_is_without_fault(wex: Wex, monkeypatch: pytest.MonkeyPatch, verb: Verb) -> None:
    """What `wex schema example` prints is accepted by `wex lint -`, on as many lines as it has."""
    text = wex("schema", "example", str(verb)).stdout
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    said = wex("lint", "-", "--json")
    assert said.exit_code == 0, said.stdout
    [event] = said.json["events"]
    assert (event["verdict"], event["good"], event["type"]) == ("event", True, example(verb).type)
    assert [row["id"] for row in said.json["rows"]] == [str(example(verb).execution_id)]


def test_events_of_one_run_make_one_row(lint: Wex) -> None:
    """Lines of one execution are folded into its row, and another execution has its own."""
    lines = [line(Verb.COMPLETED), line(Verb.STARTED), "", line(Verb.PAUSED, temporal_run_id="run-2")]
    said = lint(*lines, json_=True)
    assert said.exit_code == 0
    first, second = said.json["rows"]
    assert (first["status"], first["duration_ms"], first["start_reported"]) == ("completed", 3_845_250, True)
    assert (second["status"], second["temporal_run_id"]) == ("paused", "run-2")
    assert [event["line"] for event in said.json["events"]] == [1, 2, 4]


def test_a_person_sees_the_row(lint: Wex) -> None:
    """Without --json the verdict and the row are lines for people."""
    said = lint(line())
    assert said.exit_code == 0
    id_ = execution_id("default", "send-invoice-2026-0042", "0195565a-8a00-7c51-9d2e-5f1c3a7b9e04")
    assert said.stdout.startswith(f"line 1: completed of {id_}\n")
    assert "status" in said.stdout
    assert "message_id" in said.stdout


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (line(attempt=0), "line 1: refused: greater_than_equal in data.attempt"),
        (line(authority="operator", attempt=1), "line 1: refused: completed_at_not_stated in data.completed_at"),
        (line().replace('"time"', '"when"'), "line 1: refused: missing in time"),
        (line().replace(".v1", ".v2"), "line 1: refused: unsupported_version in type"),
        (line().replace(".completed.", ".complete."), "line 1: skipped: unknown_verb in type"),
        (line(output="a\x00b"), "line 1: withheld: data.output: nul_character (10 bytes)"),
        (line(output="x" * 300_000), "line 1: withheld: data.output: too_large (300,002 bytes)"),
        (line(duration=1), "line 1: ignored: data.duration is no field of the contract"),
        (line(error={"message": "m", "stack": ""}), "line 1: ignored: data.error.stack is no field of the contract"),
        (line(Verb.STARTED, **{"\ud800": 1}), "line 1: ignored: data.\\ud800 is no field"),
        (line(Verb.STARTED, **{"\x1b[2J": 1}), "line 1: ignored: data.\\x1b[2J is no field"),
        ("{\n" + line()[2:-1], "line 1: refused: not_json"),
        ("oops", "line 1: refused: not_json"),
        ("[1]", "line 1: refused: not_an_object"),
        ("[" * 100_000, "line 1: refused: too_deep"),
        ("1" * 5_000, "line 1: refused: not_an_object"),
    ],
)
def test_what_is_wrong_is_named(lint: Wex, text: str, words: str) -> None:
    """Each fault ends with exit code 1, its reason and its field, for people and for programs."""
    said = lint(text)
    assert said.exit_code == ExitCode.ERROR
    assert words in said.stdout
    told = lint(text, json_=True)
    assert told.exit_code == ExitCode.ERROR
    assert [event["good"] for event in told.json["events"]] == [False]


def test_a_broken_line_spoils_no_other(lint: Wex) -> None:
    """A line that is no event is reported by its number, and the others make their row."""
    said = lint(line(Verb.STARTED), "oops", line(), json_=True)
    assert said.exit_code == ExitCode.ERROR
    assert [(event["line"], event["good"]) for event in said.json["events"]] == [(1, True), (2, False), (3, True)]
    assert [row["status"] for row in said.json["rows"]] == ["completed"]
    assert (said.json["events"][1]["reason"], said.json["events"][1]["field"]) == ("not_json", "")


def test_what_cannot_be_read_is_a_usage_error(wex: Wex, lint: Wex, tmp_path: Path) -> None:
    """A file that is missing, a folder, and a file without any event end with exit code 2."""
    assert wex("lint", str(tmp_path / "nowhere")).exit_code == ExitCode.USAGE
    assert wex("lint", str(tmp_path)).exit_code == ExitCode.USAGE
    assert lint("", " ").exit_code == ExitCode.USAGE


def test_a_log_is_too_large_to_lint(lint: Wex, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file beyond the limit is refused before it fills the memory."""
    monkeypatch.setattr("consumer.commands.lint._FILE_BYTES_MAX", 10)
    said = lint(line())
    assert said.exit_code == ExitCode.USAGE
    assert "larger than 10 bytes" in said.stderr
