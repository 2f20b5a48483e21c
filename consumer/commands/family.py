"""Trees and chains for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from consumer.commands import output
from consumer.errors import ExitCode, WexError

if TYPE_CHECKING:
    from store.neighbours import Family, Relative


def show(found: Family | None, id_: str, namespace: str, *, as_json: bool, indent: str) -> None:
    """Print relatives, one a line.

    Raises:
        WexError: there are none.
    """
    if found is None:
        message = f"no execution {id_!r} in namespace {namespace!r}"
        raise WexError(message, "`wex list` shows what there is.", ExitCode.NOT_FOUND)
    if as_json:
        output.print_json(output.items(found.relatives) | {"complete": found.complete})
        return
    places = [_place(each, indent) for each in found.relatives]
    output.print_executions([each.execution for each in found.relatives], places, "EXECUTION" if indent else "PLACE")
    if not found.complete:
        click.echo("there are more: raise --limit or --depth", err=True)


def _place(relative: Relative, indent: str) -> str:
    """A number for a chain; for a tree, as many signs as generations."""
    return indent * relative.depth + str(relative.execution.id) if indent else f"{relative.depth:+d}"
