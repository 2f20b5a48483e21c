"""Copies of the consumer's core, each with its own bounds, and weakened where the kill matrix wants it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import NamedTuple
from unittest.mock import patch

from consumer.core import Core

ROOT = Path(__file__).parents[2]
MODULES = ("consumer.chunk", "consumer.partition", "consumer.halts", "consumer.core")  # each knows the ones before it
CHUNK_BYTES = 20  # of values; a simulated record has a few


class Change(NamedTuple):
    """One change of one module's text; what is replaced stands there exactly once."""

    module: str
    old: str
    new: str


def core_of(changes: Iterable[Change] = ()) -> type[Core]:
    """Return the core of a copy of the consumer, changed so."""
    changes = list(changes)
    copies: dict[str, ModuleType] = {}
    for name in MODULES:
        here = [change for change in changes if change.module == name]
        # A module that knows a changed one is copied as well, or it would go on using the original.
        if here or copies or name == "consumer.core":
            with patch.dict(sys.modules, copies):
                copies[name] = _load(name, here)
    core = copies["consumer.core"].Core
    assert isinstance(core, type)
    return core


def _load(name: str, changes: list[Change]) -> ModuleType:
    path = ROOT / Path(*name.split(".")).with_suffix(".py")
    source = path.read_text(encoding="utf-8")
    for change in changes:
        assert source.count(change.old) == 1, f"{path} must hold exactly once: {change.old}"
        source = source.replace(change.old, change.new)
    module = ModuleType(name)
    # Lines of a changed copy are not those of the file, and must not be counted as covered.
    exec(compile(source, "<weakened>" if changes else str(path), "exec"), module.__dict__)
    if name == "consumer.core":
        module.__dict__["CHUNK_BYTES_MAX"] = CHUNK_BYTES
    return module
