"""`wex verify`: the log is folded once more and compared with the table."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import click

from consumer.commands import options, verdicts
from consumer.errors import ExitCode

if TYPE_CHECKING:
    from consumer.replay.verify import Question


@click.command("verify")
@options.scope
@options.jobs
@options.kafka
@options.database_url
@options.data_dir
@options.as_json
def command(
    *,
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
    """Fold the log up to the table's own positions once more, and compare every column of every row with the table.

    Works beside running consumers, in a scratch schema of the same database that takes as much room as the table.
    Rows whose events are no longer in the log cannot be verified; they are counted and named apart. Exit codes: 0 the
    table equals the log, 4 it differs, 5 a server does not answer, 8 the table belongs to another version.
    """
    settings = options.load_settings(
        kafka_bootstrap_servers=kafka_bootstrap_servers, database_url=database_url, data_dir=data_dir
    )
    question: Question = verdicts.question(sample, seed, execution, workflow, since, limit, jobs)
    verdict = verdicts.run(settings, question, quiet=as_json)
    verdicts.report(verdict, as_json=as_json)
    if verdict.different:
        raise click.exceptions.Exit(ExitCode.DIFFERENT)
