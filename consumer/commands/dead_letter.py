"""`wex dead-letter`: the records that were set aside, and what became of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from consumer.commands import dead_letter_filters, options, output
from consumer.commands.dead_letter_changes import purge_command, redrive_command
from consumer.errors import ExitCode, WexError

if TYPE_CHECKING:
    from store.dead_letters import DeadLetterFilter, DeadLetterSummary, KeptDeadLetter

BYTES_SHOWN = 4_096  # of a value; a record of a megabyte tells people nothing that its beginning does not


@click.group("dead-letter")
def command() -> None:
    """List and show the records that were set aside, byte for byte; redrive them, or drop their bytes."""


command.add_command(redrive_command)
command.add_command(purge_command)


@command.command("list")
@dead_letter_filters.filters
@click.option("--open/--all", "open_only", default=True, help="Only open ones, or closed ones too.  [default: open]")
@click.option("-n", "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many at most.")
@options.database_url
@options.data_dir
@options.as_json
def list_command(
    *,
    open_only: bool,
    limit: int,
    database_url: str | None,
    data_dir: Path | None,
    as_json: bool,
    **filters: Any,  # noqa: ANN401 - the options say what they are
) -> None:
    """List dead letters, the newest first: those that nobody has redriven or purged."""
    settings = options.load_settings(database_url=database_url, data_dir=data_dir)
    wanted = dead_letter_filters.filter_of((), filters, closed=not open_only)
    found = options.run(_list(settings.database, wanted, limit))
    if as_json:
        output.print_json(output.items(found))
    elif found:
        _print_list(found)
    elif any(value is not None for value in filters.values()):
        click.echo("no dead letter matches")
    else:
        click.echo("there are no open dead letters" if open_only else "there are no dead letters")


@command.command("show")
@click.argument("id", type=click.IntRange(0, 2**63 - 1))
@options.database_url
@options.data_dir
@options.as_json
def show_command(*, id: int, database_url: str | None, data_dir: Path | None, as_json: bool) -> None:  # noqa: A002 - the argument's name
    """Show one dead letter with its bytes (in JSON as base64)."""
    settings = options.load_settings(database_url=database_url, data_dir=data_dir)
    found = options.run(_get(settings.database, id))
    if found is None:
        raise WexError(f"no dead letter {id}", "`wex dead-letter list --all` names them.", ExitCode.NOT_FOUND)
    if as_json:
        output.print_json(found)
    else:
        _print_one(found)


async def _list(url: str, wanted: DeadLetterFilter, limit: int) -> list[DeadLetterSummary]:
    from store.dead_letters import DeadLetterReader

    async with DeadLetterReader(url) as reader:
        return await reader.list(wanted, limit=limit)


async def _get(url: str, id_: int) -> KeptDeadLetter | None:
    from store.dead_letters import DeadLetterReader

    async with DeadLetterReader(url) as reader:
        return await reader.get(id_)


def _print_list(letters: list[DeadLetterSummary]) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("ID", "REASON", "FIELD", "RECORD", "BYTES", "SEEN", "STATE"):
        table.add_column(title, no_wrap=True)
    for letter in letters:
        record = f"{letter.topic}/{letter.partition}@{letter.offset}"
        size = "-" if letter.value_bytes is None else str(letter.value_bytes)
        seen = output.relative(letter.first_seen_at)
        cells = (escape(letter.reason), escape(letter.field or "-"), escape(record), size, seen, letter.state)
        table.add_row(str(letter.id), *cells)
    output.console().print(table)


def _print_one(letter: KeptDeadLetter) -> None:
    shown: list[tuple[str, object]] = [
        ("id", letter.id),
        ("state", letter.state),
        ("reason", letter.reason),
        ("field", letter.field or None),
        ("detail", letter.detail or None),
        ("record", f"{letter.topic}/{letter.partition}@{letter.offset}"),
        ("group", letter.consumer_group),
        ("first seen", letter.first_seen_at),
        ("redrives", letter.redrives or None),
        ("last redrive", letter.redrive_at),
        ("by", letter.redrive_by),
        ("outcome", letter.redrive_outcome),
        ("purged", letter.purged_at),
        ("purged by", letter.purged_by),
        ("purged because", letter.purge_reason),
        ("key", None if letter.key is None else repr(letter.key)),
        ("headers", ", ".join(f"{name}={value!r}" for name, value in letter.headers) or None),
        ("value", None if letter.value is None else _shortened(letter.value)),
    ]
    output.print_card(shown)


def _shortened(value: bytes) -> str:
    rest = len(value) - BYTES_SHOWN
    return repr(value[:BYTES_SHOWN]) + (f" … and {rest:,} bytes more; --json has all" if rest > 0 else "")
