"""Growth: what may become of a schema of v1, which only grows.

Logs keep records for ever and services are upgraded in any order, so between two versions of a schema there may be
new optional fields and new words, and nothing else:

- a field that is new is optional; consumers of yesterday ignore it, records of yesterday lack it;
- a word that is new in an enum is one that consumers read. Publishers get new words in `type` alone, since a consumer
  of yesterday skips a verb that it does not know and refuses any other word;
- descriptions may be mended. Everything else, limits too, decides which records a replay accepts, and stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from events.schema import Schema, Side

_FOR_PEOPLE = {"title", "description", "examples", "$comment"}
_MAPS = {("properties",), ("$defs",)}  # a map of names, which may be called like a keyword
_SETS = {("enum",), ("required",)}  # their order says nothing
_Path = tuple[str, ...]


def refusals(before: Schema, after: Schema, side: Side) -> list[str]:
    """Return what is not growth between two versions of a schema, one sentence each; empty if all is."""
    types = before.get("properties", {}).get("type", {}).get("enum", ())
    return list(_Comparison(side, frozenset(types)).of(before, after, ()))


@dataclass(frozen=True, slots=True)
class _Comparison:
    """One comparison.

    Attributes:
        side: whose schema it is.
        types: the types of events that there were; a rule does not take them in later.
    """

    side: Side
    types: frozenset[str]

    def of(self, before: Any, after: Any, path: _Path) -> Iterator[str]:  # noqa: ANN401 - JSON
        if isinstance(before, dict) and isinstance(after, dict):
            yield from self._of_objects(before, after, path)
        elif isinstance(before, list) and isinstance(after, list) and path[-1:] in _SETS:
            yield from self._of_words(before, after, path)
        elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
            for number, (old, new) in enumerate(zip(before, after, strict=True)):
                yield from self.of(old, new, (*path, str(number)))
        elif before != after or type(before) is not type(after):
            yield f"{_where(path)} was {before!r} and is {after!r}"

    def _of_objects(self, before: Schema, after: Schema, path: _Path) -> Iterator[str]:
        names = path[-1:] in _MAPS
        for key in sorted(before.keys() | after.keys()):
            at = (*path, key)
            if not names and key in _FOR_PEOPLE:
                continue
            if key not in after:
                yield f"{_where(at)} is gone"
            elif key in before:
                yield from self.of(before[key], after[key], at)
            elif not names or _in_rule(path):  # what a rule asks for is never optional
                yield f"{_where(at)} is new: {after[key]!r}"

    def _of_words(self, before: list[Any], after: list[Any], path: _Path) -> Iterator[str]:
        gone = [word for word in before if word not in after]
        new = [word for word in after if word not in before and not self._may_join(word, path)]
        if gone:
            yield f"{_where(path)} lost {', '.join(map(str, gone))}"
        if new:
            yield f"{_where(path)} has new members: {', '.join(map(str, new))}"

    def _may_join(self, word: Any, path: _Path) -> bool:  # noqa: ANN401 - JSON
        if path[-1] != "enum":
            return False
        if path[-3:] == ("properties", "type", "enum"):
            return word not in self.types
        return self.side == "consumer" and not _in_rule(path)


def _in_rule(path: _Path) -> bool:
    return "if" in path or "then" in path


def _where(path: _Path) -> str:
    return "/".join(path) or "the schema"
