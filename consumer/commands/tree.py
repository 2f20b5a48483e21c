"""`wex tree`: an execution with its descendants."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from consumer.commands import family, options
from consumer.commands.get import find

if TYPE_CHECKING:
    from store.neighbours import Family


@click.command("tree")
@click.argument("id", metavar="ID")
@click.option("--run-id", metavar="RUN", help="One run of a Temporal workflow id; the latest where absent.")
@click.option("--depth", type=int, default=10, show_default=True, help="How many generations at most.")
@click.option("-n", "--limit", type=int, default=100, show_default=True, help="How many executions at most.")
@options.namespace
@click.option("--include-deleted", is_flag=True, help="Deleted ones too.")
@options.own_write
@options.database_url
@options.data_dir
@options.as_json
def command(
    *,
    id: str,  # noqa: A002 - the argument's name
    run_id: str | None,
    database_url: str | None,
    data_dir: Path | None,
    as_json: bool,
    **asked: Any,  # noqa: ANN401 - handed on to the reader, which checks them
) -> None:
    """Show an execution with its children, their children and so on.

    ID is the execution's id (a UUID) or the workflow id in Temporal, which means its latest run. Exit code 3: there
    is none.
    """
    settings = options.load_settings(database_url=database_url, data_dir=data_dir)
    found = options.run(_tree(settings.database, id, run_id, asked))
    family.show(found, id, asked["namespace"], as_json=as_json, indent="  ")


async def _tree(url: str, id_: str, run_id: str | None, asked: dict[str, Any]) -> Family | None:
    from store.reader import ExecutionReader

    known = {name: asked[name] for name in ("namespace", "include_deleted", "at_least", "timeout")}
    execution = await find(url, id_, run_id, **known)
    async with ExecutionReader.connect(url) as reader:
        return await reader.tree(execution.id, **asked)
