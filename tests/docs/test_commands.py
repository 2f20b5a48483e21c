"""Commands: each is on the page about them as it describes itself."""

from __future__ import annotations

import click

from consumer.cli import COMMANDS
from consumer.command_page import commands, page
from tests.architecture.sources import ROOT


def test_the_page_is_up_to_date() -> None:
    """docs/commands.md says what the commands say of themselves; otherwise run `make pages`."""
    assert (ROOT / "docs" / "commands.md").read_text(encoding="utf-8") == page()


def test_every_command_and_every_option_says_what_it_is_for() -> None:
    """No command is without a sentence, and no option without its help; a command of the table is on the page."""
    found = list(commands())
    assert {context.command.name for context in found} >= set(COMMANDS)
    assert [context.command_path for context in found if not context.command.help] == []
    options = [
        (context.command_path, option.name)
        for context in found
        for option in context.command.params
        if isinstance(option, click.Option) and not option.help
    ]
    assert options == []
