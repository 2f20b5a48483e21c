"""How results look: tables and cards for people, one JSON object for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
import orjson

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from store.execution import Execution
    from store.page import Page

PIPE_COLUMNS = 1000

_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))
_STYLES = {
    "completed": "green",
    "failed": "red",
    "timed_out": "red",
    "terminated": "magenta",
    "cancelled": "yellow",
    "running": "cyan",
    "retrying": "yellow",
    "paused": "yellow",
}


def print_json(value: object, *, indent: bool = True) -> None:
    """Print one JSON object; dataclasses become objects, times RFC 3339 in UTC, bytes base64."""
    option = orjson.OPT_UTC_Z | (orjson.OPT_INDENT_2 if indent else 0)
    click.echo(orjson.dumps(_plain(value), option=option).decode())


def items(values: Iterable[object]) -> dict[str, object]:
    """Return a list as programs get it."""
    return {"items": list(values)}


def print_page(page: Page) -> None:
    """Print a page as programs get it: its items, the cursors of the pages beside it, and how fresh it is."""
    cursors = {"next_cursor": page.next_cursor, "previous_cursor": page.previous_cursor}
    print_json(items(page) | cursors | {"freshness": page.freshness.partitions})


def console() -> Console:
    """Return a console on standard output: colours only on a terminal, NO_COLOR is obeyed."""
    from rich.console import Console

    # Into a pipe or a file nothing is cut: a table is as wide as what stands in it.
    return Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_COLUMNS)


def relative(time: datetime | None, now: datetime | None = None) -> str:
    """Return a time as people say it: `38 seconds ago`, `in 5 minutes`."""
    if time is None:
        return "-"
    seconds = ((now or datetime.now(UTC)) - time).total_seconds()
    unit, size = next((pair for pair in _UNITS if abs(seconds) >= pair[1]), ("", 0))
    if not size:
        return "just now"
    count = int(abs(seconds) // size)
    words = f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{words} ago" if seconds > 0 else f"in {words}"


def duration(milliseconds: float | None) -> str:
    """Return a duration as people say it: `840 ms`, `12.3 s`, `7m 43s`, `3h 12m`."""
    if milliseconds is None:
        return "-"
    if round(milliseconds) < 1000:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1000
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m {rest:02}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02}m" if hours < 48 else f"{hours // 24}d {hours % 24}h"


def elapsed(execution: Execution, now: datetime | None = None) -> str:
    """Return how long an execution took, or has taken so far."""
    if execution.duration_ms is not None or execution.status.terminal or not execution.start_reported:
        return duration(execution.duration_ms)
    so_far = ((now or datetime.now(UTC)) - execution.started_at).total_seconds() * 1000
    return f"{duration(max(0, so_far))} so far"


def status_text(status: str) -> str:
    """Return a status with the colour that it has everywhere."""
    style = _STYLES.get(status)
    return f"[{style}]{status}[/{style}]" if style else status


def print_next(page: Page) -> None:
    """Say on standard error how to go on where a page is not the last."""
    if page.next_cursor:
        click.echo(f"there are more: add --cursor {page.next_cursor}", err=True)


def print_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a plain table; the last column may go over several lines."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        table.add_column(escape(one_line(title)), no_wrap=title != titles[-1], overflow="fold")
    for row in rows:
        table.add_row(*(escape(one_line(cell)) for cell in row))
    console().print(table)


def print_executions(executions: Sequence[Execution], beside: Sequence[str] = (), heading: str = "") -> None:
    """Print executions as a table."""
    console().print(executions_table(executions, beside, heading))


def executions_table(executions: Sequence[Execution], beside: Sequence[str] = (), heading: str = "") -> Table:
    """Return executions as a table, with a text beside each; the error stands with the failed ones."""
    from rich.markup import escape
    from rich.table import Table

    with_errors = any(execution.error_message for execution in executions)
    table = Table(box=None, pad_edge=False, header_style="bold")
    if beside:
        table.add_column(heading, no_wrap=True)
    for title in ("STATUS", "WORKFLOW", "TEMPORAL WORKFLOW ID", "STARTED", "TOOK", "BY"):
        table.add_column(title, no_wrap=title != "TEMPORAL WORKFLOW ID")
    if with_errors:
        table.add_column("ERROR", overflow="fold")
    for number, execution in enumerate(executions):
        cells = [
            *beside[number : number + 1],
            status_text(execution.status),
            escape(one_line(execution.workflow_id)),
            escape(one_line(execution.temporal_workflow_id)),
            relative(
                execution.started_at if execution.start_reported else execution.scheduled_for or execution.created_at
            ),
            elapsed(execution),
            escape(one_line(execution.created_by or "-")),
        ]
        table.add_row(*cells, *([escape(one_line(execution.error_message or ""))] if with_errors else []))
    return table


def print_card(shown: Iterable[tuple[str, object]]) -> None:
    """Print names and values below each other; what is absent is left out."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in shown:
        if value is not None:
            table.add_row(name, str(value) if name == "status" else escape(_show(value)))
    console().print(table)


def _show(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value.isoformat(sep=' ', timespec='milliseconds')} ({relative(value)})"
    text = json.dumps(value, indent=2, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
    return "\n".join(map(one_line, text.split("\n")))


def one_line(text: str | None) -> str:
    """Return text that cannot move the cursor: whatever is not printable is shown as an escape."""
    line = (text or "").split("\n", 1)[0]
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def _plain(value: Any) -> Any:  # noqa: ANN401 - any result
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {_plain(str(name)): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return _plain_scalar(value)


def _plain_scalar(value: Any) -> Any:  # noqa: ANN401 - any value that is no container
    if isinstance(value, str) and not value.isascii():
        return value.encode(errors="surrogateescape").decode(errors="backslashreplace")  # a header's name is any bytes
    if isinstance(value, bytes):
        import base64

        return base64.b64encode(value).decode()
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return float(value)  # orjson ends at 64 bits; a payload may hold more
    return value
