"""`wex list`: executions, page by page, narrowed by filters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from consumer.commands import filters, options, output

if TYPE_CHECKING:
    from store.filters import Filter
    from store.page import Page

PAGE = ("limit", "offset", "order_by", "order_direction", "cursor", "include_payloads", "at_least", "timeout")


@click.command("list")
@click.argument("workflow_id", required=False)
@filters.filters
@click.option("-n", "--limit", type=int, default=20, show_default=True, help="How many at most.")
@click.option("--cursor", metavar="CURSOR", help="Where to go on: what the page before said.")
@click.option("--offset", type=int, default=0, help="How many to pass over.")
@click.option(
    "--order-by", default="started_at", show_default=True, help="started_at or completed_at (what has ended)."
)
@click.option("--order-direction", default="desc", show_default=True, help="asc or desc.")
@options.namespace
@click.option("--payloads", "include_payloads", is_flag=True, help="With --json: input, output and error detail too.")
@options.own_write
@options.database_url
@options.data_dir
@options.as_json
def command(
    *,
    workflow_id: str | None,
    namespace: str,
    database_url: str | None,
    data_dir: Path | None,
    as_json: bool,
    **given: Any,  # noqa: ANN401 - handed on to the filter and to the reader, which check them
) -> None:
    """List executions, the latest first: all of them, of a workflow, or those for which every option holds."""
    page = {name: given.pop(name) for name in PAGE}
    wanted = filters.filter_of(workflow_id=workflow_id, namespace=namespace, **given)
    settings = options.load_settings(database_url=database_url, data_dir=data_dir)
    found, any_exists = options.run(_list(settings.database, wanted, page))
    if as_json:
        output.print_page(found)
    elif found:
        output.print_executions(found)
        output.print_next(found)
    elif any_exists:
        click.echo("no execution matches")
    else:
        click.echo(f"there is no execution in namespace {namespace!r} yet; `wex consume` applies what is published")


async def _list(url: str, wanted: Filter, page: dict[str, Any]) -> tuple[Page, bool]:
    from store.reader import ExecutionReader

    async with ExecutionReader.connect(url) as reader:
        found = await reader.find(wanted, **page)
        return found, bool(found) or await reader.any_exists(namespace=wanted.namespace)
