"""What is committed below docs/ is what the code says, and what it says is whole."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from consumer.contract import artefacts
from consumer.contract.asyncapi import asyncapi
from consumer.contract.page import limit_table
from events import Status, Verb, limits
from events.fold import REGISTERS
from events.models import ExecutionData, type_of
from tests.architecture.sources import ROOT
from tests.docs.pages import table

PAGE = "docs/event-contract.md"
CODE = re.compile(r"`([^`]+)`")


def first_words(heading: str) -> list[str]:
    """The first word in code of each row of a table of the page."""
    return [CODE.findall(row[0])[0] for row in table(PAGE, heading)]


ARTEFACTS = artefacts.artefacts()


@pytest.mark.parametrize("name", ARTEFACTS)
def test_a_generated_file_is_up_to_date(name: str) -> None:
    """Each file says what the code says now; otherwise run `make contract`."""
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == ARTEFACTS[name]


def test_no_generated_file_is_left_over() -> None:
    """The folder of the contract holds the generated files and no other."""
    found = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs" / "contract").rglob("*.json")}
    assert found == {name for name in ARTEFACTS if name.startswith("contract/")}


def test_only_what_changed_is_written(tmp_path: Path) -> None:
    """Writing twice writes every file once."""
    assert len(artefacts.write(tmp_path)) == len(ARTEFACTS)
    assert artefacts.write(tmp_path) == []


def test_the_page_names_everything() -> None:
    """Every verb, status, field, register, part of an order and limit has its row, with something said in each."""
    assert set(first_words("type")) == {type_of(verb) for verb in Verb}
    assert first_words("status") == [str(status) for status in Status]
    assert set(ExecutionData.model_fields) == set(first_words("field of data"))
    assert first_words("register") == [register.name for register in REGISTERS]
    assert set(first_words("part of an order")) == {part.__name__ for r in REGISTERS for part in r.order}
    assert all(row[1] for heading in ("part of an order", "limit") for row in table(PAGE, heading))


def test_every_limit_has_its_reason() -> None:
    """Each constant of the limits is in the table with the comment that stands beside it or above it."""
    rows = {name: (value, reason) for name, value, reason in limit_table()}
    assert list(rows) == [name for name in vars(limits) if name.isupper() and name != "UTC"]
    assert all(reason for _, reason in rows.values())
    assert rows["LABELS_MAX"] == ("64", "labels are for filtering; more are a payload")
    assert rows["TIME_MIN"][1].startswith("Outside of this window a time is a unit mixed up")


@pytest.mark.parametrize(
    ("heading", "row", "column", "words"),
    [
        ("field of data", "`output`", 4, "`output`"),
        ("field of data", "`attempt`", 4, "`status`"),
        ("field of data", "`temporal_run_id` (required)", 4, "`id`"),
        ("field of data", "`queue`", 4, "-"),
        ("field of data", "`namespace`", 4, "`id`, `parent`, `root`"),
        ("register", "`output`", 1, "`completed` with the field"),
        ("register", "`started`", 1, "any verb with the field, and `started` in any case"),
        ("register", "`duration`", 1, "terminal verbs with the field"),
        ("register", "`status`", 1, "verbs with a status"),
        ("register", "`lowest_claim`", 1, "terminal verbs of authority `worker` or `server`, but no revisions"),
        ("register", "`visibility`", 1, "`deleted`, `restored`"),
    ],
)
def test_the_page_says_what_the_fold_does(heading: str, row: str, column: int, words: str) -> None:
    """What feeds what is found by folding, and comes out as the design has it."""
    [found] = [cells for cells in table(PAGE, heading) if cells[0] == row]
    assert found[column] == words


def test_every_message_has_its_example() -> None:
    """The AsyncAPI document has a message per verb: its type, its example, the key, the media type."""
    document = asyncapi()
    messages = document["components"]["messages"]
    assert (
        list(messages) == [str(verb) for verb in Verb] == list(document["channels"]["workflow-executions"]["messages"])
    )
    for verb, message in messages.items():
        assert message["contentType"] == "application/cloudevents+json"
        assert message["bindings"]["kafka"]["key"]["format"] == "uuid"
        assert message["payload"]["allOf"][1]["properties"]["type"]["const"] == type_of(Verb(verb))
        committed = json.loads((ROOT / "docs" / "contract" / "examples" / f"{verb}.json").read_text())
        assert [example["payload"] for example in message["examples"]] == [committed]


def test_references_of_the_documents_lead_somewhere() -> None:
    """Every reference of AsyncAPI and of the schemas leads to a part of the same document or to a file beside it."""
    folder = ROOT / "docs" / "contract"
    for path in folder.glob("*.json"):
        text = path.read_text()
        for reference in set(re.findall(r'"\$ref": "([^"]+)"', text)):
            file, _, pointer = reference.partition("#")
            node = json.loads((folder / file).read_text() if file else text)
            for step in filter(None, pointer.split("/")):
                node = node[step]
            assert isinstance(node, dict)
