"""`wex stuck`: what is open, and gives no sign of life."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from consumer.commands import filters, options, output


@click.command("stuck")
@click.argument("duration", type=filters.Duration(), default="1h")
@click.option("--workflow", "workflow_id", metavar="ID", help="Of this workflow.")
@click.option("-n", "--limit", type=int, default=20, show_default=True, help="How many at most.")
@click.option("--cursor", metavar="CURSOR", help="Where to go on: what the page before said.")
@options.namespace
@options.own_write
@options.database_url
@options.data_dir
@options.as_json
def command(
    *,
    duration: timedelta,
    workflow_id: str | None,
    namespace: str,
    database_url: str | None,
    data_dir: Path | None,
    as_json: bool,
    **page: Any,  # noqa: ANN401 - handed on to the reader, which checks them
) -> None:
    """List open executions of which no event has come for DURATION (1h unless given), the oldest first.

    A consumer that lags makes everything look stuck: `wex doctor` tells.
    """
    settings = options.load_settings(database_url=database_url, data_dir=data_dir)
    wanted = filters.filter_of(silent_for=duration, workflow_id=workflow_id, namespace=namespace)
    found = options.ask(settings.database, lambda reader: reader.find(wanted, **page, order_direction="asc"))
    if as_json:
        output.print_page(found)
    elif found:
        output.print_executions(found, [output.relative(each.updated_at) for each in found], "LAST EVENT")
        output.print_next(found)
    else:
        click.echo("nothing is stuck")
