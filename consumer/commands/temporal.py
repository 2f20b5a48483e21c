"""`wex temporal sync`: publish what a Temporal server decided."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from consumer.commands import options, output
from consumer.errors import WexError

if TYPE_CHECKING:
    from consumer.settings import Settings
    from consumer.temporal_sync import Pass, SyncService
    from events.adapters.temporal import SyncReport

INTERVAL_SECONDS = 10.0


@click.group("temporal")
def command() -> None:
    """Publish what the Temporal server decided: the ends that no worker sees, and the exact times of all others."""


@command.command("sync")
@click.option("--address", metavar="HOST:PORT", help="Temporal.  [env: WEX_TEMPORAL_ADDRESS]")
@click.option("--namespace", metavar="NAME", help="Temporal namespace.  [env: WEX_TEMPORAL_NAMESPACE]")
@options.kafka
@options.database_url
@options.data_dir
@click.option("--once/--follow", "once", default=True, help="One pass, or passes until stopped.  [default: one]")
@click.option(
    "--interval",
    type=click.FloatRange(min=0.1),
    default=INTERVAL_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="Time between passes with --follow.",
)
@click.option("--payloads/--no-payloads", default=True, help="Publish inputs and outputs, or leave them out.")
@options.as_json
def sync(
    *,
    address: str | None,
    namespace: str | None,
    kafka_bootstrap_servers: str | None,
    database_url: str | None,
    data_dir: Path | None,
    once: bool,
    interval: float,
    payloads: bool,
    as_json: bool,
) -> None:
    """Read the runs that are open or have closed since the last pass, and publish what the server decided.

    Passes overlap and repeat themselves, which changes nothing. Events go to the first topic of WEX_TOPICS; the place
    is kept in the database. With --follow an outage after the first pass is reported and outlived; with --json every
    pass prints one object.
    """
    settings = options.load_settings(
        temporal_address=address,
        temporal_namespace=namespace,
        kafka_bootstrap_servers=kafka_bootstrap_servers,
        database_url=database_url,
        data_dir=data_dir,
    )
    service = _service(settings, payloads=payloads, as_json=as_json)
    if once:
        options.run(service.once())
    else:
        options.run(_follow(service, interval))


def _service(settings: Settings, *, payloads: bool, as_json: bool) -> SyncService:
    try:
        import temporalio
    except ImportError as error:
        message = "the Temporal adapter needs the package temporalio"
        raise WexError(message, "pip install 'workflow-executions[temporal]'") from error
    del temporalio
    from consumer.temporal_sync import SyncService

    return SyncService(
        settings,
        payloads=payloads,
        passed=output.print_json if as_json else _print,
        troubled=_print_trouble,
        progress=_print_progress,
    )


async def _follow(service: SyncService, interval: float) -> None:
    """Follow until a signal; a pass that it interrupts is made again by the next sync."""
    following = asyncio.ensure_future(service.follow(interval))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, following.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await following


def _print(done: Pass) -> None:
    refused = f", {done.refused} refused" if done.refused else ""
    place = done.place.isoformat(timespec="milliseconds") if done.place else "nothing seen yet"
    click.echo(f"{done.source}: {done.runs} runs read, {done.events} events published{refused}; place {place}")


def _print_trouble(trouble: WexError) -> None:
    click.secho(f"wex: {trouble.message}; trying again", fg="yellow", err=True)


def _print_progress(report: SyncReport) -> None:
    """Show a counter on a terminal, where a first pass over a large namespace takes minutes."""
    if sys.stderr.isatty() and report.runs % 100 == 0:
        click.echo(f"\r{report.runs} runs, {report.events} events", nl=False, err=True)
