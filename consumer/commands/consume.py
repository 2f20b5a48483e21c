"""`wex consume`: the service."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from consumer.commands import options
from consumer.errors import ExitCode, WexError

if TYPE_CHECKING:
    from consumer.monitoring.metrics import Metrics
    from consumer.service import Service
    from consumer.settings import Settings


@click.command("consume")
@options.kafka
@options.database_url
@click.option("--topics", metavar="NAME,…", help="Topics to consume.  [env: WEX_TOPICS]")
@click.option("--consumer-group", metavar="NAME", help="Kafka consumer group.  [env: WEX_CONSUMER_GROUP]")
@options.data_dir
@click.option("--http-host", metavar="ADDRESS", help="Where to serve health and metrics.  [env: WEX_HTTP_HOST]")
@click.option("--http-port", metavar="PORT", help="Port of that; 0 is any, off is none.  [env: WEX_HTTP_PORT]")
@click.option("--migrate", is_flag=True, help="Bring the schema up to date first.")
@click.option("--until-caught-up", is_flag=True, help="End once everything that is in the log now is applied.")
@click.option("--log-json", is_flag=True, help="Log as JSON lines.")
@click.option("--verbose", is_flag=True, help="Log more.")
def command(
    *,
    kafka_bootstrap_servers: str | None,
    database_url: str | None,
    topics: str | None,
    consumer_group: str | None,
    data_dir: Path | None,
    http_host: str | None,
    http_port: str | None,
    migrate: bool,
    until_caught_up: bool,
    log_json: bool,
    verbose: bool,
) -> None:
    """Apply events from Kafka to PostgreSQL until stopped.

    SIGTERM or Ctrl-C applies what was accepted, releases the partitions and ends; a second one ends at once. Topics
    that are missing are made. Exit codes: 0 stopped, 5 a server does not answer at the start, 6 too many records would
    become dead letters, or a partition is halted (with --until-caught-up), 7 the loop was stuck, 8 the table belongs
    to another version.
    """
    from consumer import logs
    from consumer.ending import taking_signals

    logs.configure(as_json=log_json, verbose=verbose)
    settings = options.load_settings(
        kafka_bootstrap_servers=kafka_bootstrap_servers,
        database_url=database_url,
        topics=topics,
        consumer_group=consumer_group,
        data_dir=data_dir,
        http_host=http_host,
        http_port=http_port,
    )
    with taking_signals(), options.errors_for_people():
        problem = _run(settings, migrate_first=migrate, until_caught_up=until_caught_up)
    if problem:
        if problem.startswith("too many dead letters"):
            remedy = "Mend what publishes them, or raise WEX_DEAD_LETTERS_… to set them aside (docs/settings.md)."
            raise WexError(problem, remedy, ExitCode.HALTED)
        if problem.startswith("halted"):
            raise WexError(problem, "`wex incidents list` says why, and what to do.", ExitCode.HALTED)
        raise WexError(problem, "Run the version that made the table.", ExitCode.REFUSED)


def _run(settings: Settings, *, migrate_first: bool, until_caught_up: bool) -> str:
    import uvloop

    from consumer import garbage

    garbage.search_seldom()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            return runner.run(_consume(settings, migrate_first=migrate_first, until_caught_up=until_caught_up))
        except asyncio.CancelledError:
            return ""  # it was asked to end before there was anything to drain


async def _consume(settings: Settings, *, migrate_first: bool, until_caught_up: bool) -> str:
    from consumer.ending import Ending

    starting = asyncio.current_task()
    assert starting is not None, "a coroutine runs in a task"
    ending = Ending(settings.drain_timeout_seconds, starting.cancel)
    ending.listen()
    from consumer.kafka_address import for_people
    from consumer.monitoring.metrics import Metrics
    from consumer.source import SourceError
    from consumer.watchdog import Watchdog
    from events.publisher import TopicError, ensure_topics
    from store.migrate import migrate, pending

    url = settings.database
    if migrate_first:
        await migrate(url)
    elif missing := await pending(url):
        message = f"the database lacks migration {missing[0].version}_{missing[0].name}"
        raise WexError(message, "Run `wex migrate` first, or `wex consume --migrate`.", ExitCode.REFUSED)
    try:
        await ensure_topics(settings.kafka.servers, settings.topics, client_options=settings.kafka.client_options)
        with Watchdog() as watchdog:
            metrics = Metrics(time.time, watchdog.silent_seconds)
            with _serving(settings, metrics):
                service = make_service(settings, until_caught_up=until_caught_up, beat=watchdog.beat, metrics=metrics)
                ending.ask = service.stop
                return await service.run()
    except (SourceError, TopicError) as error:
        raise for_people(error) from error


def _serving(settings: Settings, metrics: Metrics) -> AbstractContextManager[object]:
    """Serve health and metrics, unless that is off; only a port that was asked for must be free."""
    from consumer.monitoring.server import MonitoringServer

    if settings.http_port == "off":
        return nullcontext()
    asked_for = "http_port" in settings.model_fields_set
    return MonitoringServer(metrics, settings.http_host, settings.http_port, or_any_port=not asked_for)


def make_service(
    settings: Settings,
    *,
    until_caught_up: bool = False,
    beat: Callable[[], None] = lambda: None,
    metrics: Metrics | None = None,
) -> Service:
    """Return the service that these settings describe."""
    from consumer.dead_letter_limit import DeadLetterLimit
    from consumer.service import Service
    from consumer.source import Source
    from store.merging import StatisticsMerger
    from store.postgres import PostgresStore

    return Service(
        PostgresStore(settings.database),
        lambda assigned, revoked: Source(
            bootstrap_servers=settings.kafka,
            topics=settings.topics,
            group=settings.consumer_group,
            session_timeout_ms=settings.kafka_session_timeout_ms,
            assigned=assigned,
            revoked=revoked,
        ),
        consumer_group=settings.consumer_group,
        owner=f"{socket.gethostname()}:{os.getpid()}",
        until_caught_up=until_caught_up,
        beat=beat,
        metrics=metrics,
        limit=DeadLetterLimit(settings.dead_letters_in_a_row_max, settings.dead_letters_percent_max),
        merger=StatisticsMerger(settings.database),
    )
