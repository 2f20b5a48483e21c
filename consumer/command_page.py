"""The page about the command line, made from what each command says with `--help`: `make pages` writes it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from consumer.cli import wex

WIDTH = 100
HEAD = """# Commands

<!-- Made by `make pages` from what `wex … --help` says; do not edit. -->

Exit codes are in the [README](../README.md#exit-codes), settings that every command reads in [settings](settings.md).
"""


def commands(command: click.Command = wex, above: click.Context | None = None) -> Iterator[click.Context]:
    """Yield a context for a command and for each below it."""
    name = "wex" if above is None else command.name
    shape = {**command.context_settings, "terminal_width": WIDTH, "max_content_width": WIDTH}
    context = click.Context(command, info_name=name, parent=above, **shape)
    yield context
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            below = command.get_command(context, each)
            assert below is not None, "it was listed"
            yield from commands(below, context)


def page() -> str:
    """Return the page."""
    return HEAD + "".join(_entry(context) for context in commands())


def _entry(context: click.Context) -> str:
    lines = [line.rstrip() for line in context.command.get_help(context).splitlines()]
    return "\n".join(["", f"## {context.command_path}", "", "```text", *lines, "```", ""])


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
