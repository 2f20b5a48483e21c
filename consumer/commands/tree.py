"""`wex tree`: an execution with its descendants."""

from __future__ import annotations

from typing import Any

import click

from consumer.commands import family, options


@click.command("tree")
@options.one_execution
@click.option("--depth", type=int, default=10, show_default=True, help="How many generations at most.")
@click.option("-n", "--limit", type=int, default=100, show_default=True, help="How many executions at most.")
@family.asking
def command(**asked: Any) -> None:  # noqa: ANN401 - the options say what they are
    """Show an execution with its children, their children and so on.

    ID is the execution's id (a UUID) or the workflow id in Temporal, which means its latest run. Exit code 3: there
    is none.
    """
    family.answer("tree", **asked)
