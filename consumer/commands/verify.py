"""`wex verify`: the log is folded once more and compared with the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from consumer.commands import verdicts
from consumer.errors import ExitCode

if TYPE_CHECKING:
    from consumer.replay.verify import Question
    from consumer.settings import Settings


@click.command("verify")
@verdicts.asks
def command(*, settings: Settings, asked: Question, as_json: bool) -> None:
    """Fold the log up to the table's own positions once more, and compare every column of every row with the table.

    Works beside running consumers, in a scratch schema of the same database that takes as much room as the table.
    Rows whose events are no longer in the log cannot be verified; they are counted and named apart. Exit codes: 0 the
    table equals the log, 4 it differs, 5 a server does not answer, 8 the table belongs to another version.
    """
    verdict = verdicts.run(settings, asked, quiet=as_json)
    verdicts.report(verdict, as_json=as_json)
    if not verdict.equal:
        raise click.exceptions.Exit(ExitCode.DIFFERENT)
