"""The source files that the rules are about, and their syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE = ("events", "store", "consumer")
EVERYTHING = (*CODE, "tests")

AnyFunction = ast.FunctionDef | ast.AsyncFunctionDef


def modules(*folders: str) -> list[Path]:
    """The Python files below folders of the project."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(path: Path) -> Iterator[AnyFunction]:
    """Every function and method in a file."""
    for node in ast.walk(tree(path)):
        if isinstance(node, AnyFunction):
            yield node


def docstring_of(node: AnyFunction | ast.ClassDef | ast.Module) -> ast.Constant | None:
    """The docstring's node, which is no code."""
    first = node.body[0] if node.body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return first.value
    return None


def place(path: Path, line: int) -> str:
    """Where something stands, as editors understand it."""
    return f"{path.relative_to(ROOT)}:{line}"
