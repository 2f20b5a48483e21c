"""`wex schema`: the contract for programs and for people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from consumer.errors import ExitCode, WexError
from events import Verb

if TYPE_CHECKING:
    from events.schema import Side


@click.group("schema")
def command() -> None:
    """Print the contract of events: as JSON Schema, as AsyncAPI, as an example or as a page."""


@command.command("json")
@click.option("--closed", "side", flag_value="publisher", default="publisher", help="For publishers.  [default]")
@click.option("--open", "side", flag_value="consumer", help="For consumers: what v1 may add is allowed.")
def json_(side: Side) -> None:
    """Print the JSON Schema (2020-12) of an event."""
    from consumer.contract.texts import json_text
    from events.schema import event_schema

    click.echo(json_text(event_schema(side)), nl=False)


@command.command("asyncapi")
def asyncapi_() -> None:
    """Print the AsyncAPI 3 document; it refers to publisher.schema.json beside it."""
    from consumer.contract.asyncapi import asyncapi
    from consumer.contract.texts import json_text

    click.echo(json_text(asyncapi()), nl=False)


@command.command("example")
@click.argument("verb", type=click.Choice([str(verb) for verb in Verb]), metavar="VERB")
def example_(verb: str) -> None:
    """Print an example of a verb's event."""
    from consumer.contract.texts import example_text

    click.echo(example_text(Verb(verb)), nl=False)


@command.command("page")
def page_() -> None:
    """Print the page for people, in Markdown."""
    from consumer.contract.page import page

    click.echo(page(), nl=False)


@command.command("write")
@click.argument("docs", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER")
def write_(docs: Path) -> None:
    """Write all of it below a folder, unless a schema there would do anything but grow."""
    from consumer.contract import artefacts

    try:
        refused = list(artefacts.refused_changes(docs))
        if refused:
            raise WexError("\n     ".join(refused), "v1 only grows: make the change another way.", ExitCode.REFUSED)
        for path in artefacts.write(docs):
            click.echo(path)
    except (OSError, ValueError) as error:
        raise WexError(f"{docs}: {error}") from error
