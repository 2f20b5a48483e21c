"""`wex watch`: what runs, what just failed, and how many of each, again and again."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from consumer.commands import filters, options, output
from consumer.commands.interrupts import signals_as_interrupts

if TYPE_CHECKING:
    from consumer.watching import Asked, Outage, Sight

    Show = Callable[[Sight | Outage], None]


@click.command("watch")
@click.argument("workflow_id", required=False)
@filters.filters
@click.option("--window", type=filters.Duration(), default="1h", show_default=True, help="Count so far back.")
@click.option("-n", "--limit", type=int, default=10, show_default=True, help="How many executions at most, of each.")
@click.option(
    "--interval", type=click.FloatRange(0.1, 3600), default=2.0, show_default=True, help="Seconds between two looks."
)
@click.option("--once", is_flag=True, help="Look once.")
@options.namespace
@options.database_url
@options.data_dir
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each look.")
def command(
    *,
    workflow_id: str | None,
    namespace: str,
    window: timedelta,
    limit: int,
    interval: float,
    once: bool,
    database_url: str | None,
    data_dir: Path | None,
    as_json: bool,
    **given: Any,  # noqa: ANN401 - handed on to the filter, which checks them
) -> None:
    """Show what runs, what just failed and how many of each, until Ctrl-C; the options are those of `wex list`.

    On a terminal one screen is drawn over and over; elsewhere each look is printed below the other. When the database
    does not answer, that is shown, and tried again.
    """
    from consumer.watching import Asked

    settings = options.load_settings(database_url=database_url, data_dir=data_dir)
    wanted = filters.filter_of(workflow_id=workflow_id, namespace=namespace, **given)
    asked = Asked(filter=wanted, window=window, limit=limit)
    with _showing(asked, as_json=as_json, once=once) as show:
        _watch(settings.database, asked, show, None if once else interval)


def _watch(url: str, asked: Asked, show: Show, interval: float | None) -> None:
    """Look once, or until somebody ends it, which is the ordinary end."""
    from consumer.watching import watch

    if interval is None:
        options.run(_once(url, asked, show))
        return
    with signals_as_interrupts(), contextlib.suppress(KeyboardInterrupt):
        options.run(watch(url, asked, show, interval))


async def _once(url: str, asked: Asked, show: Show) -> None:
    from consumer.watching import look
    from store.reader import ExecutionReader

    async with ExecutionReader.connect(url) as reader:
        show(await look(reader, asked))


@contextlib.contextmanager
def _showing(asked: Asked, *, as_json: bool, once: bool) -> Iterator[Show]:
    """Lend what shows: a line of JSON, a snapshot below the other, or on a terminal a screen that is given back."""
    from consumer.commands.watch_view import View, plain

    if as_json:
        yield lambda seen: output.print_json(plain(seen), indent=False)
        return
    view, console = View(asked), output.console()
    if once or console.is_dumb_terminal or not sys.stdout.isatty():
        yield lambda seen: console.print(View(asked).draw(seen), "")
        return
    from rich.live import Live

    with Live(console=console, screen=True, auto_refresh=False) as live:
        yield lambda seen: live.update(view.draw(seen), refresh=True)
