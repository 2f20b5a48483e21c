"""`wex list`: executions of a workflow or a user."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from consumer.commands import options, output

if TYPE_CHECKING:
    from store.execution import Execution


@click.command("list")
@click.argument("workflow_id", required=False)
@click.option("--user", "user_id", metavar="USER", help="Those that a user started.")
@click.option("--status", metavar="STATUS", help="Only those with this status.")
@click.option("-n", "--limit", type=int, default=20, show_default=True, help="How many at most.")
@click.option("--offset", type=int, default=0, help="How many to pass over.")
@click.option("--order-by", default="started_at", show_default=True, help="Column to order by.")
@click.option("--order-direction", default="desc", show_default=True, help="asc or desc.")
@options.namespace
@click.option("--include-deleted", is_flag=True, help="Show deleted ones too.")
@click.option("--payloads", "include_payloads", is_flag=True, help="With --json: input, output and error detail too.")
@options.database_url
@options.data_dir
@options.as_json
def command(
    *,
    workflow_id: str | None,
    user_id: str | None,
    namespace: str,
    database_url: str | None,
    data_dir: Path | None,
    as_json: bool,
    **page: Any,  # noqa: ANN401 - handed on to the reader, which checks them
) -> None:
    """List executions, the latest first: of a workflow, of a user, or of all."""
    if workflow_id is not None and user_id is not None:
        raise click.UsageError("name a workflow or a user, not both")
    settings = options.load_settings(database_url=database_url, data_dir=data_dir)
    url = settings.database
    found, any_exists = options.run(_list(url, workflow_id, user_id, {"namespace": namespace, **page}))
    if as_json:
        output.print_json(output.items(found))
    elif found:
        output.print_executions(found)
    elif any_exists:
        click.echo("no execution matches")
    else:
        click.echo(f"there is no execution in namespace {namespace!r} yet; `wex consume` applies what is published")


async def _list(
    url: str, workflow_id: str | None, user_id: str | None, page: dict[str, Any]
) -> tuple[list[Execution], bool]:
    from store.reader import ExecutionReader

    async with ExecutionReader.connect(url) as reader:
        if user_id is not None:
            found = await reader.list_by_user(user_id, **page)
        else:
            found = await reader.list(workflow_id, **page)
        return found, bool(found) or await reader.any_exists(namespace=page["namespace"])
