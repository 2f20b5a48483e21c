"""`wex migrate`: bring the database schema up to date."""

from __future__ import annotations

from pathlib import Path

import click

from consumer.commands import options, output


@click.command("migrate")
@options.database_url
@options.data_dir
@click.option("--check", is_flag=True, help="Change nothing; exit 4 if a migration is missing.")
@options.as_json
def command(*, database_url: str | None, data_dir: Path | None, check: bool, as_json: bool) -> None:
    """Bring the database schema up to date, under a lock, and say what was applied."""
    from consumer.errors import ExitCode
    from store.migrate import migrate, pending

    settings = options.load_settings(database_url=database_url, data_dir=data_dir)
    url = settings.database
    found = options.run(pending(url) if check else migrate(url))
    names = [f"{migration.version}_{migration.name}" for migration in found]
    if as_json:
        output.print_json({"pending" if check else "applied": names})
    else:
        verb = "missing" if check else "applied"
        click.echo("\n".join(f"{verb} {name}" for name in names) or "the schema is up to date")
    if check and names:
        raise click.exceptions.Exit(ExitCode.DIFFERENT)
