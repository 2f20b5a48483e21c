"""Which executions a command means: the options that narrow them, and the filter that they make."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from consumer.errors import ExitCode, WexError

if TYPE_CHECKING:
    from store.filters import Filter

Command = TypeVar("Command", bound=Callable[..., Any])
_MILLISECOND = timedelta(milliseconds=1)


class Duration(click.ParamType[timedelta]):
    """How long, as people write it."""

    name = "DURATION"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:  # noqa: ANN401 - click's signature
        """Read a duration."""
        from store.filters import ago

        if isinstance(value, timedelta):
            return value
        try:
            return ago(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class When(click.ParamType[datetime | timedelta]):
    """A time as RFC 3339 has it (without an offset it is UTC), or how long ago."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime | timedelta:  # noqa: ANN401 - click's signature
        """Read a time."""
        from store.filters import ago

        try:
            return ago(value)
        except ValueError:
            pass
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time like 2026-11-24T03:00:00Z or 2d (two days ago)", param, ctx)
        return time if time.tzinfo else time.replace(tzinfo=UTC)


def _labels(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    pairs = [each.partition("=") for each in values]
    if wrong := [each for each, (name, equals, _) in zip(values, pairs, strict=True) if not (name and equals)]:
        msg = f"{wrong[0]!r} is not NAME=VALUE"
        raise click.BadParameter(msg)
    return {name: value for name, _, value in pairs}


def filters(command: Command) -> Command:
    """Add the options that narrow which executions are meant."""
    ended = "Open ones, or ended ones alone."
    for option in (
        click.option("--include-deleted", is_flag=True, help="Deleted ones too."),
        click.option("--overdue", "overdue_for", type=Duration(), help="Pending, although due so long ago."),
        click.option("--incomplete", is_flag=True, help="Ended, and nobody reported the start."),
        click.option("--contested", is_flag=True, default=None, help="Two reports claim different ends."),
        click.option("--temporal-workflow", "temporal_workflow_id", metavar="ID", help="Runs of this id in Temporal."),
        click.option("--attempt", type=int, metavar="N", help="In this attempt."),
        click.option("--orchestrator", metavar="NAME", help="Run by this orchestrator."),
        click.option("--error-type", metavar="TYPE", help="With an error of this type."),
        click.option("--error", "error_text", metavar="TEXT", help="With this in the error's message."),
        click.option("--max-duration", type=Duration(), help="Took at most so long."),
        click.option("--min-duration", type=Duration(), help="Took at least so long: 90m, 1h30m."),
        click.option(
            "--label", "labels", multiple=True, callback=_labels, metavar="NAME=VALUE", help="With this label."
        ),
        click.option("--ended-until", "completed_until", type=When(), help="Ended before then."),
        click.option("--ended-since", "completed_since", type=When(), help="Ended then or later."),
        click.option("--until", "started_until", type=When(), help="Started before then."),
        click.option("--since", "started_since", type=When(), help="Started then or later; 2d is two days ago."),
        click.option("--open/--ended", "open", default=None, help=ended),
        click.option("--status", multiple=True, metavar="STATUS", help="With this status; several: any of them."),
        click.option("--user", "user_id", metavar="USER", help="Started by this user."),
    ):
        command = option(command)
    return command


def filter_of(*, min_duration: timedelta | None = None, max_duration: timedelta | None = None, **values: Any) -> Filter:  # noqa: ANN401 - the options say what they are
    """Return the filter that the options of `filters` make, with more of its fields.

    Raises:
        WexError: a value is not usable.
    """
    from store.filters import Filter

    values["status"] = values.get("status") or None
    for name, value in (("min_duration_ms", min_duration), ("max_duration_ms", max_duration)):
        values[name] = value if value is None else value // _MILLISECOND
    try:
        return Filter(**values)
    except ValueError as error:
        raise WexError(str(error), exit_code=ExitCode.USAGE) from error
