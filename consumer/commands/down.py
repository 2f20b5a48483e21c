"""`wex down`: stop the local servers."""

from __future__ import annotations

import json
from pathlib import Path

import click

from consumer import settings


@click.command("down")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder of the stack's data.  [default: .wex]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(*, data_dir: Path | None, as_json: bool) -> None:
    """Stop the servers that `wex up` started in this data folder; the data stays.

    Stopping what does not run is no error.
    """
    from consumer.local.shutdown import end_stack

    folder = settings.load(data_dir=data_dir).data_dir
    stopped = end_stack(folder, lambda line: click.echo(line, err=True))
    if as_json:
        click.echo(json.dumps({"data_dir": str(folder.absolute()), "stopped": stopped}))
    else:
        click.echo(f"stopped; the data stays in {folder}" if stopped else f"nothing runs in {folder}")
