"""Objects cut into raw slices, and the proof by length that no name stands twice."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import InvalidEvent
from events.members import cut, each_once, members_of
from tests.strategies import json_values

DEEP = b"[" * 100_000 + b"]" * 100_000
NAMES = ("a", "b", " ", "é", "\n", 'a"b', "😀", "")

pairs = st.lists(st.tuples(st.sampled_from(NAMES), json_values), max_size=4)


def written(members: list[tuple[str, object]], *, ascii_only: bool, space: str) -> bytes:
    """An object with these members in this order, one name perhaps several times."""
    texts = [
        f"{json.dumps(name, ensure_ascii=ascii_only)}{space}:{space}{json.dumps(value, ensure_ascii=ascii_only)}"
        for name, value in members
    ]
    return f"{{{space}{f'{space},'.join(texts)}{space}}}".encode()


@given(pairs, st.booleans(), st.sampled_from(["", " ", "\n\t"]))
def test_a_name_that_stands_twice_is_found(members: list[tuple[str, object]], ascii_only: bool, space: str) -> None:
    """However an object is written, its slices are its members, or a name stands twice and is refused."""
    raw = written(members, ascii_only=ascii_only, space=space)
    if len(dict(members)) == len(members):
        assert {name: json.loads(text) for name, text in members_of(raw, "data").items()} == dict(members)
    else:
        assert not each_once(raw, cut(raw))
        with pytest.raises(InvalidEvent, match="duplicate_name"):
            members_of(raw, "data")


@given(st.dictionaries(st.sampled_from(["a", "b", "é", " "]), json_values, min_size=1, max_size=4))
def test_the_length_tells_for_what_is_usually_written(members: dict[str, object]) -> None:
    """For names without escapes the proof by length says yes, in compact JSON as in spaced."""
    for separators in ((",", ":"), (", ", ": ")):
        raw = json.dumps(members, separators=separators, ensure_ascii=False).encode()
        assert each_once(raw, cut(raw))


@pytest.mark.parametrize("raw", [b'{"a":%s}' % DEEP, b'{"a":NaN,"b":%s}' % DEEP], ids=["strict", "patient"])
def test_what_is_too_deep_for_a_parser_is_refused(raw: bytes) -> None:
    """Nesting beyond what a parser bears is a reason to refuse, not a crash."""
    with pytest.raises(InvalidEvent, match="too_deep in data"):
        members_of(raw, "data")
