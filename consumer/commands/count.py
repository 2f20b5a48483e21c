"""`wex count`: how many executions there are, in groups."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from consumer.commands import filters, options, output

if TYPE_CHECKING:
    from store.counting import Count


def _by(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part for value in values for part in value.split(","))


@click.command("count")
@click.argument("workflow_id", required=False)
@filters.filters
@click.option(
    "--by",
    multiple=True,
    callback=_by,
    metavar="GROUP,…",
    help="In groups by up to three of status, workflow, user, day (of the start, in UTC), error_type, label:NAME.",
)
@click.option("--bound", type=int, default=50_000, show_default=True, help="Look at the newest so many, no more.")
@click.option("--exact", is_flag=True, help="Look at all; it is given up after 8 seconds.")
@click.option("-n", "--limit", type=int, default=100, show_default=True, help="How many groups at most.")
@options.namespace
@options.own_write
@options.database_url
@options.data_dir
@options.as_json
def command(
    *,
    workflow_id: str | None,
    namespace: str,
    by: tuple[str, ...],
    bound: int,
    exact: bool,
    limit: int,
    at_least: Any,  # noqa: ANN401 - handed on to the reader
    timeout: float,
    database_url: str | None,
    data_dir: Path | None,
    as_json: bool,
    **given: Any,  # noqa: ANN401 - handed on to the filter, which checks them
) -> None:
    """Count executions: all of them, of a workflow, or those for which every option holds.

    What is more than --bound is told as "at least", and its groups are those of the newest that were looked at.
    """
    settings = options.load_settings(database_url=database_url, data_dir=data_dir)
    wanted = filters.filter_of(workflow_id=workflow_id, namespace=namespace, **given)
    asked = {"by": by, "bound": None if exact else bound, "limit": limit, "at_least": at_least, "timeout": timeout}
    found = options.ask(settings.database, lambda reader: reader.count(wanted, **asked))
    if as_json:
        output.print_json(plain(found))
    else:
        _print(found)


def plain(found: Count) -> dict[str, object]:
    """Return a count as programs get it."""
    groups = [dict(zip(found.by, each.values, strict=True)) | {"executions": each.executions} for each in found.groups]
    told = {"total": found.total, "exact": found.exact, "newest": found.newest, "by": found.by}
    return told | output.items(groups) | {"other_groups": found.other_groups, "freshness": found.freshness.partitions}


def _print(found: Count) -> None:
    total = str(found.total) if found.exact else f"at least {found.total}"
    if found.by:
        rows = [(str(each.executions), *(value or "-" for value in each.values)) for each in found.groups]
        titles = [by.removeprefix("label:").upper().replace("_", " ") for by in found.by]
        output.print_table(("EXECUTIONS", *titles), [*rows, *_others(found)])
    click.echo(f"{total} in all" if found.by else total)
    if not found.exact:
        what = "the total and the groups are" if found.by else "that is"
        click.echo(f"{what} of the newest {found.newest}, which were looked at; --exact counts all", err=True)


def _others(found: Count) -> list[tuple[str, ...]]:
    if not found.other_groups:
        return []
    rest = found.total - sum(each.executions for each in found.groups)
    groups = f"in {found.other_groups} other group{'' if found.other_groups == 1 else 's'}"
    return [(str(rest), groups, *("" for _ in found.by[1:]))]
