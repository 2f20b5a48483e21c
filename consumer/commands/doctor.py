"""`wex doctor`: what is wrong between Kafka, PostgreSQL and this machine, and what to do about it."""

from __future__ import annotations

import platform
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from consumer.commands import options, output
from consumer.errors import ExitCode, WexError

if TYPE_CHECKING:
    from consumer.doctor.cluster import ClusterFacts
    from consumer.doctor.findings import Finding
    from consumer.settings import Settings
    from store.diagnosis import DatabaseFacts

STYLES = {"ok": "green", "warning": "yellow", "failed": "red"}


@click.command("doctor")
@options.kafka
@options.database_url
@click.option("--topics", metavar="NAME,…", help="Topics to look at.  [env: WEX_TOPICS]")
@click.option("--consumer-group", metavar="NAME", help="Consumer group.  [env: WEX_CONSUMER_GROUP]")
@options.data_dir
@options.as_json
def command(
    *,
    kafka_bootstrap_servers: str | None,
    database_url: str | None,
    topics: str | None,
    consumer_group: str | None,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Look for what is wrong: servers, topics, rights, schema, lag, clocks, TLS. Nothing is changed.

    What failed stands in the way of consuming; a warning does not yet. Exit codes: 0 nothing failed, 1 something did.
    """
    settings = options.load_settings(
        kafka_bootstrap_servers=kafka_bootstrap_servers,
        database_url=database_url,
        topics=topics,
        consumer_group=consumer_group,
        data_dir=data_dir,
    )
    found = options.run(_examine(settings))
    healthy = all(finding.level != "failed" for finding in found)
    if as_json:
        output.print_json({"healthy": healthy} | output.items(asdict(finding) for finding in found))
    else:
        _print(found)
    if not healthy:
        raise click.exceptions.Exit(ExitCode.ERROR)


async def _examine(settings: Settings) -> list[Finding]:
    from consumer.doctor import findings

    found = [_versions(), *findings.of_insecure(insecure=settings.insecure)]
    cluster = await _cluster(settings, found)
    if cluster is not None:
        found += findings.of_kafka(cluster, settings.consumer_group, settings.kafka, time.time() * 1000)
    database = await _database(settings, found)
    if database is not None:
        found += findings.of_database(database)
        found += findings.of_positions(database, cluster, settings.consumer_group)
    return found


def _versions() -> Finding:
    from importlib.metadata import version

    from consumer.doctor.findings import Finding
    from events.fold import FOLD_VERSION

    names = ("workflow-executions", "aiokafka", "asyncpg")
    packages = ", ".join(f"{name} {version(name)}" for name in names)
    return Finding("versions", "ok", f"{packages}, Python {platform.python_version()}, fold {FOLD_VERSION}")


async def _cluster(settings: Settings, found: list[Finding]) -> ClusterFacts | None:
    from consumer.doctor.cluster import look
    from consumer.doctor.findings import Finding
    from consumer.source import SourceError

    try:
        return await look(settings.kafka, settings.topics, settings.consumer_group)
    except WexError as error:
        found.append(Finding("kafka", "failed", error.message, error.remedy))
    except SourceError as error:
        remedy = "Is Kafka running? WEX_KAFKA_BOOTSTRAP_SERVERS names another; `wex up` starts one here."
        if error.denied:
            remedy = "docs/security.md says which settings these are."
        found.append(Finding("kafka", "failed", str(error), remedy))
    return None


async def _database(settings: Settings, found: list[Finding]) -> DatabaseFacts | None:
    from consumer.doctor.findings import Finding
    from store.diagnosis import diagnose
    from store.errors import MisconfiguredError, StoreError

    try:
        return await diagnose(settings.database, settings.consumer_group, lambda: datetime.now(UTC))
    except WexError as error:
        found.append(Finding("postgresql", "failed", error.message, error.remedy))
    except StoreError as error:
        wrong = isinstance(error, MisconfiguredError)
        remedy = (
            "Check the address, the database and the rights."
            if wrong
            else "Is the database running, with room on its disk?"
        )
        found.append(Finding("postgresql", "failed", str(error), f"{remedy} WEX_DATABASE_URL names another."))
    return None


def _print(found: list[Finding]) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", no_wrap=True)
    table.add_column("CHECK", no_wrap=True)
    table.add_column("FOUND", overflow="fold")
    for finding in found:
        style = STYLES[finding.level]
        remedy = f"\n[bold]{escape(finding.remedy)}[/bold]" if finding.remedy else ""
        table.add_row(f"[{style}]{finding.level}[/{style}]", finding.check, escape(finding.found) + remedy)
    output.console().print(table)
