"""`wex repair`: rows that differ from the log are folded anew from it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from uuid import UUID

import click

from consumer.commands import options, verdicts
from consumer.errors import ExitCode


@click.command("repair")
@click.option("--apply", is_flag=True, help="Mend what differs; without it, only say what would be mended.")
@options.scope
@options.jobs
@options.kafka
@options.database_url
@options.data_dir
@options.as_json
def command(
    *,
    apply: bool,
    sample: int | None,
    seed: int | None,
    execution: UUID | None,
    workflow: str | None,
    since: datetime | None,
    limit: int,
    jobs: int,
    kafka_bootstrap_servers: str | None,
    database_url: str | None,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Compare the table with the log as `wex verify` does, and give the rows that differ what the log says.

    Nothing is changed without --apply. Running consumers wait for moments only. Rows that cannot be verified stay as
    they are. Exit codes: 0 nothing differs, or it was mended; 4 something differs, and --apply was not given.
    """
    settings = options.load_settings(
        kafka_bootstrap_servers=kafka_bootstrap_servers, database_url=database_url, data_dir=data_dir
    )
    question = verdicts.question(sample, seed, execution, workflow, since, limit, jobs)
    verdict = verdicts.run(settings, question, quiet=as_json, repair=apply)
    verdicts.report(verdict, as_json=as_json, repair=True, applied=apply)
    if verdict.different and not apply:
        raise click.exceptions.Exit(ExitCode.DIFFERENT)
