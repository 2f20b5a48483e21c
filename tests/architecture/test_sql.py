"""SQL stands in files: one statement each, used by name, and never in Python strings."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from events.fold import REGISTERS
from events.identity import RunKey
from store.migrate import FILE_NAME
from tests.architecture.sources import CODE, ROOT, docstring_of, modules, place, tree

SQL = ROOT / "store" / "sql"
MIGRATIONS = ROOT / "migrations"
FILES = sorted(SQL.glob("*.sql"))
MAKES_ITS_DATABASE = ROOT / "consumer" / "local" / "postgres.py"  # before there is a database to migrate

BEGINS_A_STATEMENT = re.compile(
    r"\s*(?:SELECT|INSERT|UPDATE|DELETE|MERGE|WITH|COPY|TRUNCATE|CREATE|ALTER|DROP|LOCK|GRANT)\s", re.DOTALL
)
# What a semicolon may stand in without ending a statement.
QUOTED = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\"[^\"]*\"|\$(\w*)\$.*?\$\1\$", re.DOTALL)


def statements(sql: str) -> list[str]:
    """The statements in a text, comments and quoted text left out."""
    return [part.strip() for part in QUOTED.sub(" ", sql).split(";") if part.strip()]


def sql_strings(path: Path) -> list[int]:
    """The lines of string literals that begin like a statement, docstrings left out."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {docstring_of(node) for node in ast.walk(tree(path)) if isinstance(node, documented)}
    return [
        node.lineno
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings
        if BEGINS_A_STATEMENT.match(node.value)
    ]


def named_statements() -> set[str]:
    """The names that the store asks `statement` for, or a shadow's `sql`."""
    calls = [node for path in modules("store") for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
    ours = [call for call in calls if getattr(call.func, "id", getattr(call.func, "attr", "")) in ("statement", "sql")]
    return {str(arg.value) for call in ours for arg in call.args if isinstance(arg, ast.Constant)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_holds_one_statement(path: Path) -> None:
    """Each file of SQL holds exactly one statement."""
    assert len(statements(path.read_text(encoding="utf-8"))) == 1


def test_a_file_with_two_statements_is_found() -> None:
    """The rule above counts statements and is not misled by comments, strings and bodies of functions."""
    assert len(statements("SELECT 1; -- and; no more\n/* ; */")) == 1
    assert len(statements("SELECT ';', \";\", 'it''s;'; SELECT $x$ ; $x$")) == 2


def test_every_statement_is_used_by_its_name() -> None:
    """The store asks for every file of SQL, and for no other."""
    assert named_statements() == {path.stem for path in FILES}


def test_no_statement_hides_in_python() -> None:
    """No string in the code begins like a statement of SQL, but where the local stack makes its database."""
    paths = [path for path in modules(*CODE) if path != MAKES_ITS_DATABASE]
    assert [place(path, line) for path in paths for line in sql_strings(path)] == []


def test_a_statement_in_python_is_found(tmp_path: Path) -> None:
    """The rule above sees plain and formatted strings, and leaves docstrings alone."""
    module = tmp_path / "module.py"
    module.write_text('"""SELECT a good name."""\na = "SELECT 1"\nb = f"""\n  DELETE FROM {a}"""\nc = "UPDATED"\n')
    assert sql_strings(module) == [2, 3]


def test_migrations_are_named_and_numbered() -> None:
    """Migrations are named NNNN_what.sql and numbered from 0001 without a gap."""
    names = sorted(path.name for path in MIGRATIONS.iterdir())
    assert [name for name in names if not FILE_NAME.fullmatch(name)] == []
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))


def test_the_merge_takes_what_the_fold_gives() -> None:
    """The fields of `incoming_execution` are the registers of the fold, in the order in which they are sent."""
    schema = QUOTED.sub(" ", "\n".join(path.read_text(encoding="utf-8") for path in sorted(MIGRATIONS.iterdir())))
    declared = re.search(r"CREATE TYPE incoming_execution AS \((.*?)\);", schema, re.DOTALL)
    assert declared is not None
    registers = [name for register in REGISTERS for name in (f"{register.name}_order", *register.columns)]
    expected = ["id", *RunKey._fields, "created_at", "updated_at", *registers]
    assert [line.split()[0] for line in declared[1].split(",")] == expected
