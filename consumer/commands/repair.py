"""`wex repair`: rows that differ from the log are folded anew from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from consumer.commands import verdicts
from consumer.errors import ExitCode

if TYPE_CHECKING:
    from consumer.replay.verify import Question
    from consumer.settings import Settings


@click.command("repair")
@click.option("--apply", is_flag=True, help="Mend what differs; without it, only say what would be mended.")
@verdicts.asks
def command(*, settings: Settings, asked: Question, apply: bool, as_json: bool) -> None:
    """Compare the table with the log as `wex verify` does, and give the rows that differ what the log says.

    Nothing is changed without --apply. Running consumers wait for moments only. Rows that cannot be verified stay as
    they are. Exit codes: 0 nothing differs, or it was mended; 4 something differs, and --apply was not given.
    """
    verdict = verdicts.run(settings, asked, quiet=as_json, repair=apply)
    verdicts.report(verdict, as_json=as_json, repair=True, applied=apply)
    if not verdict.equal and not apply:
        raise click.exceptions.Exit(ExitCode.DIFFERENT)
