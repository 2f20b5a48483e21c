"""What is true of every file: its name, its size, and a reason beside every exception to a rule."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.sources import CODE, EVERYTHING, AnyFunction, docstring_of, functions, modules, place, tree

MODULE_LINES_MAX = 350  # what one reading takes in
FUNCTION_LINES_MAX = 50
NAMES_THAT_SAY_NOTHING = {"utils", "helpers", "common", "base", "manager"}

EXCEPTION = re.compile(r"#\s*(?:ruff:\s*)?(noqa|type:\s*ignore)\b")
# Both name their code and then say why, after a dash or another hash.
EXCEPTION_WITH_REASON = re.compile(
    r"#\s*(?:ruff:\s*)?(?:noqa:\s*[A-Z]+[0-9]+(?:,\s*[A-Z]+[0-9]+)*|type:\s*ignore\[[a-z-]+(?:,\s*[a-z-]+)*\])"
    r"\s*(?:-|#)\s*\w"
)


def code_lines(node: AnyFunction) -> int:
    """The lines of a function without its decorators and its docstring."""
    docstring = docstring_of(node)
    documented = (docstring.end_lineno or 0) - docstring.lineno + 1 if docstring else 0
    return (node.end_lineno or 0) - node.lineno + 1 - documented


def comments(path: Path) -> Iterator[tuple[int, str]]:
    """The comments of a file with their lines."""
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def test_modules_are_short() -> None:
    """No module of the service is longer than one reading takes in."""
    long = {place(p, 1): n for p in modules(*CODE) if (n := len(p.read_text().splitlines())) > MODULE_LINES_MAX}
    assert long == {}


def test_functions_are_short() -> None:
    """No function has more than fifty lines, its docstring not counted."""
    long = {
        place(path, node.lineno): code_lines(node)
        for path in modules(*EVERYTHING)
        for node in functions(path)
        if code_lines(node) > FUNCTION_LINES_MAX
    }
    assert long == {}


def test_file_names_say_what_is_inside() -> None:
    """No file or folder is named after the wish to put things somewhere."""
    found = [place(p, 1) for p in modules(*EVERYTHING) if {*p.parts, p.stem} & NAMES_THAT_SAY_NOTHING]
    assert found == []


def test_every_module_says_what_it_is() -> None:
    """Each module of the code opens with a docstring."""
    silent = [place(p, 1) for p in modules(*CODE) if p.read_text().strip() and ast.get_docstring(tree(p)) is None]
    assert silent == []


def test_every_exception_to_a_rule_has_a_reason() -> None:
    """Each `noqa` and `type: ignore` names its code, and says why on its line."""
    silent = [
        f"{place(path, line)}: {comment}"
        for path in modules(*EVERYTHING)
        for line, comment in comments(path)
        if EXCEPTION.search(comment) and not EXCEPTION_WITH_REASON.search(comment)
    ]
    assert silent == []
