"""`wex lint`: what the consumer would make of events, before anybody publishes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from consumer.commands import options, output
from consumer.errors import ExitCode, WexError

if TYPE_CHECKING:
    from consumer.contract.verdicts import Verdict
    from events import ExecutionRow

_FILE_BYTES_MAX = 64 * 1_048_576  # sixty-four records of the largest size; a log is no file to lint


@click.command("lint")
@click.argument("file", type=click.Path(allow_dash=True), metavar="FILE")
@options.as_json
def command(*, file: str, as_json: bool) -> ExitCode:
    """Say what is wrong with events, or what rows they make.

    FILE holds one event as JSON, or one on every line; `-` is standard input. Exit code 1: an event is refused or
    skipped, loses a payload, or has fields that the contract does not know; 2: the file cannot be read.
    """
    from consumer.contract import verdicts

    judged = [verdicts.judge(number, text) for number, text in verdicts.records(_read(file))]
    if not judged:
        raise WexError(f"{file} holds no event", exit_code=ExitCode.USAGE)
    rows = verdicts.rows(judged)
    if as_json:
        output.print_json({"events": [verdict.plain() for verdict in judged], "rows": rows})
    else:
        _print(judged, rows)
    return ExitCode.OK if all(verdict.good for verdict in judged) else ExitCode.ERROR


def _read(name: str) -> bytes:
    try:
        with click.open_file(name, "rb") as file:
            text: bytes = file.read(_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise WexError(f"{name} cannot be read: {error.strerror}", exit_code=ExitCode.USAGE) from error
    if len(text) > _FILE_BYTES_MAX:
        raise WexError(f"{name} is larger than {_FILE_BYTES_MAX:,} bytes", exit_code=ExitCode.USAGE)
    return text


def _print(judged: list[Verdict], rows: list[ExecutionRow]) -> None:
    for verdict in judged:
        for line in verdict.lines():
            click.echo(_printable(line))
    for row in rows:
        click.echo()
        output.print_card(_shown(row))


def _printable(text: str) -> str:
    """Return text that cannot move the cursor; names in a file are anybody's."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _shown(row: ExecutionRow) -> list[tuple[str, object]]:
    from dataclasses import asdict

    values = {**asdict(row), "id": str(row.id), "status": output.status_text(row.status)}
    return [(name, value) for name, value in values.items() if value is not None]
