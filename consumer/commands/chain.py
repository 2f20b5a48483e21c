"""`wex chain`: the runs before and behind an execution."""

from __future__ import annotations

from typing import Any

import click

from consumer.commands import family, options


@click.command("chain")
@options.one_execution
@click.option(
    "-n", "--limit", type=int, default=100, show_default=True, help="How many runs at most, in each direction."
)
@family.asking
def command(**asked: Any) -> None:  # noqa: ANN401 - the options say what they are
    """Show the runs that retries, cron and continue-as-new put before and behind an execution.

    ID is the execution's id (a UUID) or the workflow id in Temporal, which means its latest run. Exit code 3: there
    is none.
    """
    family.answer("chain", **asked)
