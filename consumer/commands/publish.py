"""`wex publish`: one lifecycle event by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import click
import orjson

from consumer.commands import options, output
from consumer.errors import ExitCode, WexError
from events import InvalidEvent, Verb
from events.codec import validate
from events.models import Event
from events.position import Position

if TYPE_CHECKING:
    from consumer.kafka_address import KafkaAddress

SOURCE = "/wex"


@click.command("publish")
@click.argument("verb", type=click.Choice([str(verb) for verb in Verb]), metavar="VERB")
@click.option("--workflow-id", required=True, help="The workflow definition.")
@click.option("--temporal-workflow-id", required=True, help="The orchestrator's id of the workflow.")
@click.option("--temporal-run-id", required=True, help="The orchestrator's id of the run.")
@options.namespace
@click.option("--data", metavar="JSON|@FILE", help='More fields of the contract: {"output": {"total": 42}}.')
@click.option("--time", metavar="RFC3339", help="When it happened.  [default: now]")
@click.option("--event-id", help="Id of the event within its source.  [default: a new one]")
@click.option("--source", default=SOURCE, show_default=True, help="Who says so.")
@click.option("--topic", help="Topic to publish to.  [default: the first of WEX_TOPICS]")
@options.kafka
@options.data_dir
@options.as_json
def command(
    *,
    verb: str,
    namespace: str,
    data: str | None,
    time: str | None,
    event_id: str | None,
    source: str,
    topic: str | None,
    kafka_bootstrap_servers: str | None,
    data_dir: Path | None,
    as_json: bool,
    **names: str,
) -> None:
    """Publish one lifecycle event and print its position once Kafka has acknowledged it.

    VERB: scheduled, started, heartbeat, paused, resumed, retrying, cancel_requested, completed, failed, cancelled,
    terminated, timed_out, continued_as_new, deleted or restored.
    """
    fields = {
        "specversion": "1.0",
        "id": event_id or str(uuid4()),
        "source": source,
        "verb": verb,
        "time": time or datetime.now(UTC),
        "data": {**_fields(data), "namespace": namespace, **names},
    }
    try:
        event = validate(fields)
    except InvalidEvent as error:
        raise WexError(f"the event is refused: {error}", exit_code=ExitCode.USAGE) from error
    settings = options.load_settings(kafka_bootstrap_servers=kafka_bootstrap_servers, data_dir=data_dir)
    position = options.run(publish(settings.kafka, topic or settings.topics[0], event))
    if as_json:
        output.print_json({"execution_id": event.execution_id, "position": position._asdict()})
    else:
        click.echo(f"{verb} of {event.execution_id} is at {position}")


async def publish(kafka: KafkaAddress, topic: str, event: Event) -> Position:
    """Publish one event.

    Raises:
        WexError: Kafka did not acknowledge it.
    """
    from consumer.kafka_address import for_people
    from events.publisher import ExecutionPublisher, PublishError

    try:
        async with ExecutionPublisher(
            bootstrap_servers=kafka.servers, topic=topic, source=event.source, client_options=kafka.client_options
        ) as publisher:
            return await publisher.publish(event)
    except PublishError as error:
        raise for_people(error) from error


def _fields(data: str | None) -> dict[str, Any]:
    if data is None:
        return {}
    try:
        text = Path(data[1:]).read_bytes() if data.startswith("@") else data.encode()
        fields = orjson.loads(text)
    except (OSError, orjson.JSONDecodeError) as error:
        raise WexError(f"--data cannot be read: {error}", exit_code=ExitCode.USAGE) from error
    if not isinstance(fields, dict):
        raise WexError("--data must be a JSON object", exit_code=ExitCode.USAGE)
    return fields
