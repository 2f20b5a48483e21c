"""`wex incidents`: why partitions are halted, what to do about it, and letting them go on."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from consumer.acceptance import Decision, LogRange, by_moving, without_moving
from consumer.commands import options, output
from consumer.errors import ExitCode, WexError
from consumer.incident_kinds import kind

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from consumer.settings import Settings
    from events.position import TopicPartition
    from store.incidents import KeptIncident, Standing

OFFSET_MAX = 2**63 - 1


def _partition(ctx: click.Context, param: click.Parameter, value: str) -> TopicPartition:
    """Read a partition as it is written everywhere."""
    from events.position import TopicPartition

    topic, _, number = value.rpartition("/")
    if not (topic and re.fullmatch("[0-9]{1,10}", number) and int(number) < 2**31):
        message = f"{value!r} is not TOPIC/PARTITION, as in workflow-executions/0"
        raise click.BadParameter(message, ctx, param)
    return TopicPartition(topic, int(number))


halted_partition = click.argument("partition", metavar="TOPIC/PARTITION", callback=_partition)
consumer_group = click.option("--consumer-group", metavar="NAME", help="Consumer group.  [env: WEX_CONSUMER_GROUP]")
who = click.option("--actor", help="Who decides this.  [default: you]")
why = click.option("--reason", help="Why; kept with the incident.")


@click.group("incidents")
def command() -> None:
    """Show why partitions are halted, and let them go on once their cause is mended or their loss accepted."""


@command.command("list", short_help="List what is wrong, since when, and what to do.")
@click.option("--topic", help="Only those of this topic.")
@click.option("--partition", type=click.IntRange(0, 2**31 - 1), help="Only those of this partition.")
@click.option("--kind", "kind_", metavar="KIND", help="Only those of this kind.")
@click.option("--open/--all", "open_only", default=True, help="Only open ones, or resolved ones too.  [default: open]")
@click.option("-n", "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many at most.")
@options.database_url
@options.data_dir
@options.as_json
def list_command(
    *,
    topic: str | None,
    partition: int | None,
    kind_: str | None,
    open_only: bool,
    limit: int,
    database_url: str | None,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """List incidents, the newest first: what is wrong, since when, and what to do."""
    settings = options.load_settings(database_url=database_url, data_dir=data_dir)
    filters: dict[str, Any] = {"topic": topic, "partition": partition, "kind": kind_}
    url = settings.database
    found = options.run(_list(url, **filters, resolved=not open_only, limit=limit))
    if as_json:
        output.print_json(output.items(_for_programs(incident) for incident in found))
    elif found:
        _print_list(found)
    elif any(value is not None for value in filters.values()):
        click.echo("no incident matches")
    else:
        click.echo("there is no open incident" if open_only else "there are no incidents")


@command.command("show", short_help="Show one incident with what to do about it.")
@click.argument("id", type=click.IntRange(0, OFFSET_MAX))
@options.database_url
@options.data_dir
@options.as_json
def show_command(*, id: int, database_url: str | None, data_dir: Path | None, as_json: bool) -> None:  # noqa: A002 - the argument's name
    """Show one incident with what to do about it, or with what was done."""
    settings = options.load_settings(database_url=database_url, data_dir=data_dir)
    found = options.run(_get(settings.database, id))
    if found is None:
        raise WexError(f"no incident {id}", "`wex incidents list --all` names them.", ExitCode.NOT_FOUND)
    if as_json:
        output.print_json(_for_programs(found, settings.consumer_group))
    else:
        _print_one(found, settings.consumer_group)


@command.command("resume", short_help="Let a partition go on where it stands.")
@halted_partition
@who
@why
@consumer_group
@options.database_url
@options.data_dir
@options.as_json
def resume_command(
    *,
    partition: TopicPartition,
    actor: str | None,
    reason: str | None,
    consumer_group: str | None,
    database_url: str | None,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Let a halted partition go on at the same offset, once what halted it is mended.

    A running consumer takes it up within seconds. If nothing was mended, it is halted again. Exit codes: 3 there is no
    such partition, 8 it is not halted.
    """
    from store.incidents import resume

    settings = options.load_settings(consumer_group=consumer_group, database_url=database_url, data_dir=data_dir)
    url = settings.database
    shown = _standing(settings, partition)
    if not shown.halted:
        raise WexError(f"{partition} is not halted: it is live at {shown.next_offset}", exit_code=ExitCode.REFUSED)
    _change(resume(url, shown, actor=options.whoever(actor), reason=reason))
    _report(Decision(shown, "resumed", shown.next_offset), as_json=as_json)


@command.command("accept-gap", short_help="Accept a loss, and let a partition go on elsewhere.")
@halted_partition
@click.option("--to", type=click.IntRange(0, OFFSET_MAX), metavar="OFFSET", help="Where to go on.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Change nothing; say what would be lost.")
@who
@why
@consumer_group
@options.kafka
@options.database_url
@options.data_dir
@options.as_json
def accept_command(
    *,
    partition: TopicPartition,
    to: int | None,
    yes: bool,
    dry_run: bool,
    actor: str | None,
    reason: str | None,
    consumer_group: str | None,
    kafka_bootstrap_servers: str | None,
    database_url: str | None,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Accept what a halted partition has lost, and let it go on elsewhere.

    Without --to it goes on at the start of the log that is there now; where a log is damaged (corrupt, unreadable),
    only --to can say where the damage ends. The range is kept with the incident. Where nothing is halted, open
    incidents are closed and nothing moves. Exit codes: 2 --to is missing, 3 there is no such partition, 5 Kafka does
    not answer and --to is missing, 8 there is nothing to accept, or the log does not hold the offset.
    """
    settings = options.load_settings(
        consumer_group=consumer_group,
        kafka_bootstrap_servers=kafka_bootstrap_servers,
        database_url=database_url,
        data_dir=data_dir,
    )
    shown = _standing(settings, partition)
    decision = without_moving(shown, to)
    if decision is None:
        decision = by_moving(shown, to, _log_range(settings, partition, needed=to is None))
    for line in decision.lines:
        click.echo(line, err=as_json)
    if not dry_run:
        if not yes and not click.confirm("Accept that?", err=as_json):
            raise WexError("nothing was changed")
        _change(_accept(settings, decision, options.whoever(actor), reason))
    _report(decision, as_json=as_json, dry_run=dry_run)


def _log_range(settings: Settings, partition: TopicPartition, *, needed: bool) -> LogRange | None:
    """Ask Kafka for start and end of the log; without an answer None, if it can be done without."""
    import asyncio

    from consumer.kafka_address import for_people
    from consumer.log_ranges import log_range
    from consumer.source import SourceError

    try:
        found = asyncio.run(log_range(settings.kafka, partition))
    except SourceError as error:
        if not needed:
            return None
        remedy = "Is Kafka running? --kafka-bootstrap-servers names another; with --to OFFSET it is not needed."
        raise for_people(error, remedy) from error
    if found is None:
        remedy = "Make the topic first (`wex consume` does), or correct the address."
        raise WexError(f"Kafka has no partition {partition}", remedy, ExitCode.NOT_FOUND)
    return found


def _standing(settings: Settings, partition: TopicPartition) -> Standing:
    found = options.run(_read_standing(settings, partition))
    if found is None:
        message = f"group {settings.consumer_group!r} has no position in {partition}"
        raise WexError(message, "`wex incidents list` names the partitions.", ExitCode.NOT_FOUND)
    return found


async def _accept(settings: Settings, decision: Decision, actor: str, reason: str | None) -> None:
    from store.incidents import accept, note

    url = settings.database
    if decision.resolution == "noted":
        await note(url, decision.shown, actor=actor, reason=reason)
    else:
        await accept(url, decision.shown, decision.next_offset, actor=actor, reason=reason)


def _change(change: Coroutine[Any, Any, None]) -> None:
    from store.incidents import NotAsShownError

    try:
        options.run(change)
    except WexError as error:
        if isinstance(error.__cause__, NotAsShownError):
            raise WexError(error.message, "Nothing was changed. Look again.", ExitCode.REFUSED) from error
        raise


async def _list(url: str, **filters: Any) -> list[KeptIncident]:  # noqa: ANN401 - the reader names and checks them
    from store.incidents import IncidentReader

    async with IncidentReader(url) as reader:
        return await reader.list(**filters)


async def _get(url: str, id_: int) -> KeptIncident | None:
    from store.incidents import IncidentReader

    async with IncidentReader(url) as reader:
        return await reader.get(id_)


async def _read_standing(settings: Settings, partition: TopicPartition) -> Standing | None:
    from store.incidents import IncidentReader

    async with IncidentReader(settings.database) as reader:
        return await reader.standing(settings.consumer_group, partition)


def _report(decision: Decision, *, as_json: bool, dry_run: bool = False) -> None:
    shown = decision.shown
    if as_json:
        moved = (shown.next_offset, decision.next_offset) if decision.resolution == "accepted" else (None, None)
        found = {
            "consumer_group": shown.consumer_group,
            **shown.partition._asdict(),
            "resolution": decision.resolution,
            "next_offset": decision.next_offset,
            "accepted_from": moved[0],
            "accepted_to": moved[1],
            "incidents": [id_ for id_, _ in shown.incidents],
            "dry_run": dry_run,
        }
        output.print_json(found)
        return
    closed = ", ".join(str(id_) for id_, _ in shown.incidents) or "none"
    if dry_run:
        click.echo(f"nothing was changed; incidents that would be resolved: {closed}")
    elif decision.resolution == "noted":
        click.echo(f"incidents resolved: {closed}")
    else:
        click.echo(f"{shown.partition} is live again at {decision.next_offset}; incidents resolved: {closed}")
        click.echo("a consumer that runs takes it up within seconds")


def _for_programs(incident: KeptIncident, group: str | None = None) -> dict[str, Any]:
    return {**asdict(incident), "halted": incident.halts, "to_do": _to_do(incident, group)}


def _to_do(incident: KeptIncident, group: str | None) -> str | None:
    """Return what to do, spelled out where the group is known that commands speak of by themselves."""
    if not incident.open:
        return None
    known = kind(incident.kind)
    if group is None:
        return known.to_do
    partition = f"{incident.topic}/{incident.partition}"
    other = "" if incident.consumer_group == group else f" --consumer-group {incident.consumer_group}"
    return known.advice.replace("{partition}", f"{partition}{other}")


def _state(incident: KeptIncident) -> str:
    return (incident.state or "no position") if incident.open else f"{incident.resolution or 'resolved'}"


def _range(incident: KeptIncident) -> str:
    if incident.from_offset is None:
        return "-"
    if incident.to_offset is None or incident.to_offset == incident.from_offset:
        return f"from {incident.from_offset}"
    first, end = sorted((incident.from_offset, incident.to_offset))
    return f"{first} to {end - 1}"


def _print_list(incidents: list[KeptIncident]) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("ID", "KIND", "PARTITION", "OFFSETS", "SINCE", "STATE", "TO DO"):
        table.add_column(title, no_wrap=title != "TO DO")
    for incident in incidents:
        partition = f"{incident.topic}/{incident.partition}"
        cells = (incident.kind, partition, _range(incident), output.relative(incident.opened_at), _state(incident))
        table.add_row(str(incident.id), *map(escape, cells), escape(_to_do(incident, None) or "-"))
    output.console().print(table)


def _print_one(incident: KeptIncident, group: str) -> None:
    moved = None
    if incident.accepted_from is not None:
        moved = f"the position, from {incident.accepted_from} to {incident.accepted_to}"
    output.print_card(
        [
            ("id", incident.id),
            ("kind", incident.kind),
            ("meaning", kind(incident.kind).meaning),
            ("partition", f"{incident.topic}/{incident.partition}"),
            ("offsets", _range(incident)),
            ("detail", incident.detail),
            ("group", incident.consumer_group),
            ("since", incident.opened_at),
            ("state", _state(incident)),
            ("position", incident.next_offset),
            ("resolved", incident.resolved_at),
            ("resolved by", incident.resolved_by),
            ("moved", moved),
            ("reason", incident.resolution_reason),
            ("to do", _to_do(incident, group)),
        ]
    )
