"""Hostile words on the command line: each ends in an exit code that fits, and none in a traceback."""

from __future__ import annotations

import io
import sys

import click
import pytest

from consumer import cli
from consumer.errors import ExitCode
from tests.cli.conftest import Wex

READS = (
    *("get", "list", "count", "watch --once", "tree", "chain", "stuck", "top-errors", "stats"),
    *("dead-letter list", "dead-letter show", "incidents list", "incidents show", "incidents resume"),
)
HOSTILE = (
    "'; DROP TABLE workflow_executions; --",
    "/* end of filter */ OR true --",
    "\udcff\udcfe",  # bytes that are no UTF-8, as Python hands them on
    "\u202e[/red][bold]",
    "9" * 5_000 + "/" + "9" * 5_000,
    "",
)
OURS = {"database_url", "data_dir", "namespace", "help"}  # where it is asked, not what


def options_of(words: str) -> list[click.Option]:
    """The options of a command that take a value of the user's."""
    found: click.Command = cli.wex
    for name in (word for word in words.split() if not word.startswith("-")):
        assert isinstance(found, click.Group)
        below = found.get_command(click.Context(found), name)
        assert below is not None
        found = below
    made = [each for each in found.params if isinstance(each, click.Option)]
    return [each for each in made if not each.is_flag and each.name not in OURS]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:20])
def test_hostile_words_end_a_command_well(wex: Wex, text: str) -> None:
    """In every place of every read, a text finds nothing or is refused, in words, with the exit code for that."""
    assert isinstance(sys.stderr, io.TextIOWrapper)
    sys.stderr.reconfigure(errors="backslashreplace")  # as it is outside of tests
    fits = {ExitCode.OK, ExitCode.USAGE, ExitCode.NOT_FOUND}
    for command in READS:
        made = options_of(command)
        free = [f"{each.opts[0]}={text}" for each in made if each.type is click.STRING and not each.callback]
        for asked in ([], free, *([f"{each.opts[0]}={text}"] for each in made if f"{each.opts[0]}={text}" not in free)):
            said = wex(*command.split(), *asked, *(["--", text] if len(asked) != 1 else []))
            assert said.exit_code in fits, (command, asked, said)
            assert said.stdout + said.stderr, (command, asked)
