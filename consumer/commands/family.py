"""Trees and chains for people and for programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from consumer.commands import options, output
from consumer.commands.get import find
from consumer.errors import ExitCode, WexError

if TYPE_CHECKING:
    from store.neighbours import Family, Relative

Question = Literal["tree", "chain"]


def asking(command: options.Command) -> options.Command:
    """Add the options of both, but for their limits."""
    for option in (
        options.as_json,
        options.data_dir,
        options.database_url,
        options.own_write,
        click.option("--include-deleted", is_flag=True, help="Deleted ones too."),
        options.namespace,
    ):
        command = option(command)
    return command


def answer(
    question: Question,
    *,
    id: str,  # noqa: A002 - the argument's name
    run_id: str | None,
    database_url: str | None,
    data_dir: Path | None,
    as_json: bool,
    **asked: Any,  # noqa: ANN401 - handed on to the reader, which checks them
) -> None:
    """Ask for a tree or a chain, and print it.

    Raises:
        WexError: there is no such execution.
    """
    settings = options.load_settings(database_url=database_url, data_dir=data_dir)
    found = options.run(_ask(settings.database, question, id, run_id, asked))
    if found is None:
        message = f"no execution {id!r} in namespace {asked['namespace']!r}"
        raise WexError(message, "`wex list` shows what there is.", ExitCode.NOT_FOUND)
    _show(found, as_json=as_json, indent="  " if question == "tree" else "")


async def _ask(url: str, question: Question, id_: str, run_id: str | None, asked: dict[str, Any]) -> Family | None:
    from store.reader import ExecutionReader

    known = {name: asked[name] for name in ("namespace", "include_deleted", "at_least", "timeout")}
    execution = await find(url, id_, run_id, **known)
    async with ExecutionReader.connect(url) as reader:
        ask = reader.tree if question == "tree" else reader.chain
        return await ask(execution.id, **asked)


def _show(found: Family, *, as_json: bool, indent: str) -> None:
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
