"""Which dead letters a command means: the options that narrow them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from consumer.commands import options
from consumer.errors import ExitCode, WexError

if TYPE_CHECKING:
    from store.dead_letters import DeadLetterFilter

Command = TypeVar("Command", bound=Callable[..., Any])


def filters(command: Command) -> Command:
    """Add the options that narrow which dead letters are meant."""
    for option in (
        click.option("--until", type=options.Time(), help="Only those first seen before this time."),
        click.option("--since", type=options.Time(), help="Only those first seen at this time or later."),
        click.option("--type", "type_", metavar="TYPE", help="Only those whose bytes name this type of event."),
        click.option("--topic", help="Only those of this topic."),
        click.option("--reason", help="Only those with this reason."),
    ):
        command = option(command)
    return command


def filter_of(ids: tuple[int, ...], options: dict[str, Any], *, closed: bool) -> DeadLetterFilter:
    """Return the filter that a command's options make."""
    from store.dead_letters import DeadLetterFilter

    return DeadLetterFilter(
        ids=ids or None,
        reason=options["reason"],
        topic=options["topic"],
        type=options["type_"],
        since=options["since"],
        until=options["until"],
        closed=closed,
    )


def meant(ids: tuple[int, ...], options: dict[str, Any], *, every: bool, closed: bool) -> DeadLetterFilter:
    """Return the filter of a command that changes something, which must be said in so many words."""
    if not ids and not every and not any(value is not None for value in options.values()):
        raise WexError("which dead letters?", "Name them by ID, by a filter, or say --all.", ExitCode.USAGE)
    return filter_of(ids, options, closed=closed)
