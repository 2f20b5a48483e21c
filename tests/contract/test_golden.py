"""Records of every verb and version that were ever published are read, and fold, as on their first day."""

from __future__ import annotations

import json

import pytest

from events import Event, Verb, decode, encode
from tests.contract.golden import FOLDER, folded, full

VERBS = [str(verb) for verb in Verb]


def test_every_verb_has_its_golden_record() -> None:
    """Each verb of v1 has a golden record and what it folds to, and no file is left over."""
    assert {path.name for path in FOLDER.iterdir()} == {f"{v}{end}" for v in VERBS for end in (".json", ".folded.json")}


@pytest.mark.parametrize("verb", VERBS)
def test_a_golden_record_folds_as_on_its_first_day(verb: str) -> None:
    """A golden record gives the row, the orders and the values that it gave first; otherwise raise FOLD_VERSION."""
    expected = json.loads((FOLDER / f"{verb}.folded.json").read_text(encoding="utf-8"))
    found = folded((FOLDER / f"{verb}.json").read_bytes())
    assert found["fold_version"] == expected["fold_version"]
    for part in ("row", "registers"):  # both may grow
        assert {name: found[part].get(name) for name in expected[part]} == expected[part]


@pytest.mark.parametrize("verb", VERBS)
def test_a_golden_record_is_published_the_same_today(verb: str) -> None:
    """Encoding the event of a golden record gives its bytes again."""
    value = (FOLDER / f"{verb}.json").read_bytes()
    found = decode(value)
    assert isinstance(found, Event)
    assert encode(found) == value
    assert encode(full(Verb(verb))) == value
