"""A new version of a schema may do nothing but grow."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest

from consumer.contract.artefacts import SIDES, refused_changes
from consumer.contract.growth import refusals
from events.schema import Schema, Side, event_schema
from tests.architecture.sources import ROOT

Change = Callable[[Schema], object]


def data(schema: Schema) -> Schema:
    """The part of a schema that describes `data`."""
    part: Schema = schema["$defs"]["ExecutionData"]
    return part


def fields(schema: Schema) -> Schema:
    """The fields of `data`."""
    found: Schema = data(schema)["properties"]
    return found


REFUSED: dict[str, tuple[Change, str]] = {
    "a removed field": (lambda s: fields(s).pop("queue"), "properties/queue is gone"),
    "a renamed field": (lambda s: fields(s).update(line=fields(s).pop("queue")), "properties/queue is gone"),
    "a removed envelope field": (lambda s: s["properties"].pop("sequence"), "properties/sequence is gone"),
    "a removed part": (lambda s: s["$defs"].pop("Progress"), "$defs/Progress is gone"),
    "another type": (lambda s: fields(s).update(queue={"type": "integer"}), "properties/queue/anyOf is gone"),
    "another type in a list": (lambda s: fields(s)["duration_ms"]["anyOf"][0].update(type="string"), "was 'integer'"),
    "no null any more": (lambda s: fields(s)["queue"]["anyOf"].pop(), "properties/queue/anyOf was"),
    "a field newly required": (lambda s: data(s)["required"].append("queue"), "required has new members: queue"),
    "a new field that is required": (
        lambda s: (fields(s).update(cell={}), data(s)["required"].append("cell")),
        "required has new members: cell",
    ),
    "a field no longer required": (lambda s: data(s)["required"].remove("workflow_id"), "required lost workflow_id"),
    "a smaller limit": (lambda s: s["$defs"]["Identifier"].update(maxLength=256), "maxLength was 512 and is 256"),
    "a larger limit": (lambda s: s["$defs"]["Identifier"].update(maxLength=1024), "maxLength was 512 and is 1024"),
    "a new limit": (lambda s: s["properties"]["subject"].update(maxLength=9), "subject/maxLength is new: 9"),
    "a limit gone": (lambda s: s["$defs"]["Identifier"].pop("minLength"), "minLength is gone"),
    "another default": (lambda s: fields(s)["attempt"].update(default=0), "default was 1 and is 0"),
    "true for one": (lambda s: fields(s)["attempt"].update(default=True), "default was 1 and is True"),
    "a removed word": (lambda s: s["$defs"]["Authority"]["enum"].remove("inferred"), "enum lost inferred"),
    "a new rule": (lambda s: s["allOf"].append({"required": ["subject"]}), "allOf was"),
    "a rule that asks for more": (
        lambda s: s["allOf"][0]["then"]["properties"]["data"]["properties"].update(reason={}),
        "then/properties/data/properties/reason is new",
    ),
    "a rule for more authorities": (
        lambda s: s["allOf"][0]["if"]["properties"]["data"]["properties"].update(authority={"const": "worker"}),
        "const was 'inferred' and is 'worker'",
    ),
    "a rule gone": (lambda s: data(s).pop("then"), "ExecutionData/then is gone"),
    "another dialect": (lambda s: s.update({"$schema": "draft-07"}), "$schema was"),
}
GROWTH: dict[str, Change] = {
    "nothing": lambda s: s,
    "a new field": lambda s: fields(s).update(cell={"type": "string"}),
    "a new field of a new part": lambda s: (
        fields(s).update(cell={"$ref": "#/$defs/Cell"}),
        s["$defs"].update(Cell={"type": "object"}),
    ),
    "a new field of the envelope": lambda s: s["properties"].update(dataschema={"type": "string"}),
    "a mended description": lambda s: fields(s)["queue"].update(description="the line it stands in"),
    "words in another order": lambda s: s["$defs"]["Authority"]["enum"].reverse(),
}


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(("change", "why"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_growth_is_refused(side: Side, change: Change, why: str) -> None:
    """Each kind of change that is no growth is refused with the place and what happened there."""
    after = deepcopy(event_schema(side))
    change(after)
    found = refusals(event_schema(side), after, side)
    assert any(why in refusal for refusal in found), found


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("change", GROWTH.values(), ids=GROWTH.keys())
def test_growth_is_allowed(side: Side, change: Change) -> None:
    """New optional fields and mended descriptions are growth."""
    after = deepcopy(event_schema(side))
    change(after)
    assert refusals(event_schema(side), after, side) == []


def test_consumers_may_read_a_new_word_before_publishers_write_it() -> None:
    """A new member of an enum is growth for consumers and refused for publishers."""
    allowed = []
    for side in SIDES:
        after = deepcopy(event_schema(side))
        after["$defs"]["Authority"]["enum"].append("auditor")
        if not refusals(event_schema(side), after, side):
            allowed.append(side)
    assert allowed == ["consumer"]


def test_a_new_verb_is_growth() -> None:
    """A new verb, and one that ends a run, is growth for publishers too, since old consumers skip it."""
    after = deepcopy(event_schema("publisher"))
    after["properties"]["type"]["enum"].append("workflow.execution.expired.v1")
    after["allOf"][0]["if"]["properties"]["type"]["enum"].append("workflow.execution.expired.v1")
    assert refusals(event_schema("publisher"), after, "publisher") == []


def test_a_verb_does_not_become_terminal() -> None:
    """A rule that takes in a verb of yesterday is refused."""
    after = deepcopy(event_schema("publisher"))
    after["allOf"][0]["if"]["properties"]["type"]["enum"].append("workflow.execution.paused.v1")
    assert refusals(event_schema("publisher"), after, "publisher") != []


def test_an_open_schema_is_not_closed() -> None:
    """Closing an object that was open is refused."""
    found = refusals(event_schema("consumer"), event_schema("publisher"), "consumer")
    assert "additionalProperties was True and is False" in found


def test_the_contract_has_only_grown() -> None:
    """What the models say now is growth of the schemas that are committed."""
    assert list(refused_changes(ROOT / "docs")) == []


def test_a_folder_without_schemas_refuses_nothing(tmp_path: Path) -> None:
    """The first version of a schema has nothing to be compared with."""
    assert list(refused_changes(tmp_path)) == []
    (tmp_path / "contract").mkdir()
    (tmp_path / "contract" / "consumer.schema.json").write_text(json.dumps({"gone": 1}))
    assert any("gone is gone" in refusal for refusal in refused_changes(tmp_path))
