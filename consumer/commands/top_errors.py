"""`wex top-errors`: what goes wrong most often."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from consumer.commands import filters, options, output

if TYPE_CHECKING:
    from store.neighbours import TopErrors


@click.command("top-errors")
@click.option(
    "--since", "completed_since", type=filters.When(), default="1d", show_default=True, help="Ended then or later."
)
@click.option("--until", "completed_until", type=filters.When(), help="Ended before then.")
@click.option("--workflow", "workflow_id", metavar="ID", help="Of this workflow.")
@click.option("--user", "user_id", metavar="USER", help="Started by this user.")
@click.option("-n", "--limit", type=int, default=10, show_default=True, help="How many at most.")
@options.namespace
@options.own_write
@options.database_url
@options.data_dir
@options.as_json
def command(
    *,
    limit: int,
    at_least: Any,  # noqa: ANN401 - handed on to the reader
    timeout: float,
    database_url: str | None,
    data_dir: Path | None,
    as_json: bool,
    **given: Any,  # noqa: ANN401 - handed on to the filter, which checks them
) -> None:
    """Count the errors of what ended in the last day, by type and message; numbers and ids in messages do not count."""
    settings = options.load_settings(database_url=database_url, data_dir=data_dir)
    wanted = filters.filter_of(**given)
    asked = {"limit": limit, "at_least": at_least, "timeout": timeout}
    found = options.ask(settings.database, lambda reader: reader.top_errors(wanted, **asked))
    if as_json:
        rest = {"considered": found.considered, "complete": found.complete}
        output.print_json(output.items(found.errors) | rest)
    elif found.errors:
        _print(found)
    else:
        click.echo("no error in that time")


def _print(found: TopErrors) -> None:
    rows = [
        (str(each.executions), str(each.workflows), output.relative(each.last_at), each.type or "-", each.message)
        for each in found.errors
    ]
    output.print_table(("EXECUTIONS", "WORKFLOWS", "LAST", "TYPE", "ERROR"), rows)
    if not found.complete:
        click.echo(f"of the latest {found.considered}; narrow the time to see all", err=True)
