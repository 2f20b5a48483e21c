"""Every test says in one sentence how the project behaves."""

from __future__ import annotations

import ast
import re

from tests.architecture.sources import functions, modules, place

ANOTHER_SENTENCE = re.compile(r"[.!?]\s+[A-Z]")


def test_every_test_says_what_it_shows() -> None:
    """Each test has a docstring of one sentence."""
    wrong = []
    for path in modules("tests"):
        for node in functions(path):
            if node.name.startswith("test_"):
                sentence = " ".join((ast.get_docstring(node) or "").split())
                if not sentence.endswith(".") or ANOTHER_SENTENCE.search(sentence):
                    wrong.append(f"{place(path, node.lineno)} {node.name}: {sentence or 'no docstring'}")
    assert wrong == []
