"""`wex delete`: hide an execution."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import click

from consumer.commands import options, output
from consumer.commands.get import find
from consumer.commands.publish import SOURCE, publish
from consumer.errors import ExitCode, WexError
from events import InvalidEvent
from events.codec import validate
from events.models import Event
from store.execution import Execution


@click.command("delete")
@options.one_execution
@click.option("--reason", help="Why.")
@click.option("--actor", help="Who.  [default: you]")
@click.option("--restore", is_flag=True, help="Show it again instead.")
@click.option("--dry-run", is_flag=True, help="Publish nothing; say what would be.")
@options.namespace
@click.option("--topic", help="Topic to publish to.  [default: the first of WEX_TOPICS]")
@options.kafka
@options.database_url
@options.data_dir
@options.as_json
def command(
    *,
    id: str,  # noqa: A002 - the argument's name
    run_id: str | None,
    reason: str | None,
    actor: str | None,
    restore: bool,
    dry_run: bool,
    namespace: str,
    topic: str | None,
    kafka_bootstrap_servers: str | None,
    database_url: str | None,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Hide an execution from lists and statistics by publishing `deleted`; --restore shows it again.

    ID is the execution's id or the workflow id in Temporal. The row stays, and every replay hides it again.
    """
    settings = options.load_settings(
        kafka_bootstrap_servers=kafka_bootstrap_servers, database_url=database_url, data_dir=data_dir
    )
    url = settings.database
    found = options.run(find(url, id, run_id, namespace=namespace, include_deleted=True))
    event = _event(found, "restored" if restore else "deleted", reason, options.whoever(actor))
    position = None
    if not dry_run:
        position = options.run(publish(settings.kafka, topic or settings.topics[0], event))
    if as_json:
        output.print_json({"execution_id": found.id, "position": position and position._asdict(), "dry_run": dry_run})
    else:
        where = f"is at {position}" if position else "would be published"
        click.echo(f"{event.verb} of {found.id} ({found.temporal_workflow_id}) {where}")


def _event(found: Execution, verb: str, reason: str | None, actor: str) -> Event:
    data = {
        "workflow_id": found.workflow_id,
        "temporal_workflow_id": found.temporal_workflow_id,
        "temporal_run_id": found.temporal_run_id,
        "namespace": found.namespace,
        "authority": "operator",
        "reason": reason,
        "actor": actor,
    }
    try:
        return validate(_envelope(verb, data))
    except InvalidEvent as error:
        raise WexError(f"the event is refused: {error}", exit_code=ExitCode.USAGE) from error


def _envelope(verb: str, data: dict[str, str | None]) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "id": str(uuid4()),
        "source": SOURCE,
        "verb": verb,
        "time": datetime.now(UTC),
        "data": {name: value for name, value in data.items() if value is not None},
    }
