"""`wex replay`: the table is rebuilt from the log beside the old one, looked at, swapped in, and taken back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import click

from consumer.commands import options, output
from consumer.commands.progress import Progress
from consumer.commands.verdicts import by_relation, print_fields
from consumer.errors import ExitCode, WexError

if TYPE_CHECKING:
    from consumer.replay.rebuild import Preview, Rebuild, Report
    from consumer.settings import Settings
    from store.differences import Count
    from store.replay_scope import ReplayScope

Result = TypeVar("Result")
REASONS = ("gone", "compacted", "fewer-rows", "dependents")


def _servers(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of every command."""
    return options.servers(options.as_json(command))


def _run(
    work: Callable[[Rebuild], Coroutine[Any, Any, Result]],
    settings: Settings,
    *,
    quiet: bool,
    archive: Path | None = None,
    jobs: int = 1,
) -> Result:
    from consumer.replay.rebuild import Rebuild

    progress = Progress("folded", quiet=quiet)

    async def run() -> Result:
        rebuild = Rebuild(
            settings.kafka,
            settings.database,
            settings.consumer_group,
            archive=archive,
            jobs=jobs,
            told=lambda folded, total: progress(folded.records, total),
            reached=lambda step: None if quiet else click.echo(f"step: {step}", err=True),
        )
        return await work(rebuild)

    with options.errors_for_people(), options.errors_of_the_log():
        done = asyncio.run(run())
    progress.end()
    return done


@click.group("replay")
def command() -> None:
    """Rebuild the table from the log in a shadow, see what would change, swap it in, and take it back."""


def _scope(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which executions are rebuilt, and pass the scope that they make."""

    @click.option("--execution", type=click.UUID, metavar="ID", multiple=True, help="This one; can be repeated.")
    @click.option("--workflow", metavar="ID", multiple=True, help="Those of this workflow; can be repeated.")
    @click.option("--topic", metavar="NAME", multiple=True, help="Those with events in this topic; can be repeated.")
    @click.option("--since", type=options.Time(), help="Those that began then or later.")
    @click.option("--until", type=options.Time(), help="Those that began before.")
    @wraps(command)
    def scoped(
        *,
        execution: tuple[UUID, ...],
        workflow: tuple[str, ...],
        topic: tuple[str, ...],
        since: datetime | None,
        until: datetime | None,
        **others: object,
    ) -> None:
        from store.replay_scope import ReplayScope

        if since is not None and until is not None and since >= until:
            raise WexError("no execution began in that time", "--since comes before --until.", ExitCode.USAGE)
        scope = ReplayScope(executions=execution, workflows=workflow, topics=topic, since=since, until=until)
        command(scope=scope, **others)

    return scoped


@command.command("start", short_help="Build the shadow, or go on building it.")
@_scope
@options.jobs
@options.archive
@_servers
def start_command(*, settings: Settings, scope: ReplayScope, jobs: int, archive: Path | None, as_json: bool) -> None:
    """Fold the log into a shadow, up to where the table stands, beside consumers and readers.

    A start that was interrupted goes on where it was. Running it again folds what was applied meanwhile.

    With --execution, --workflow, --topic, --since or --until only the executions that meet all of them are rebuilt,
    each from all of its events; the others are carried over from the table as they are. All of the log is read all
    the same. Refuses (8) where a replay of another scope is under way, or the table is of another version of the fold.
    """
    report = _run(lambda r: r.start(scope), settings, quiet=as_json, archive=archive, jobs=jobs)
    _print_report(report, as_json=as_json)
    if not as_json:
        click.echo("`wex replay diff` shows what a swap would change, `wex replay swap` does it")


@command.command("status", short_help="Say where the replay stands.")
@_servers
def status_command(*, settings: Settings, as_json: bool) -> None:
    """Say where the replay stands, and how far it is behind the table."""
    report = _run(lambda r: r.status(), settings, quiet=True)
    _print_report(report, as_json=as_json)


@command.command("diff", short_help="Show what a swap would change.")
@click.option(
    "-n", "--limit", type=click.IntRange(0, 100_000), default=20, show_default=True, help="How many are described."
)
@options.archive
@_servers
def diff_command(*, settings: Settings, limit: int, archive: Path | None, as_json: bool) -> None:
    """Count what a swap would change, by kind, and describe the first of it. Exit code: 4 if there is anything."""
    preview = _run(lambda r: r.diff(limit), settings, quiet=as_json, archive=archive)
    if as_json:
        output.print_json(_preview_for_programs(preview))
    else:
        _print_preview(preview)
    if preview.counts or preview.due:
        raise click.exceptions.Exit(ExitCode.DIFFERENT)


@command.command("swap", short_help="Put the shadow in the table's place.")
@click.option(
    "--accept", "accepted", type=click.Choice(REASONS), multiple=True, help="Go on in spite of this; can be repeated."
)
@options.archive
@_servers
def swap_command(*, settings: Settings, accepted: tuple[str, ...], archive: Path | None, as_json: bool) -> None:
    """Exchange table and shadow in one transaction; consumers go on at once, on the new table.

    Refuses (8) where a part of the log is gone, a topic is compacted, the shadow has fewer executions than the table,
    or others have hung views and the like on the table: --accept names what to go on with all the same.
    """
    done = _run(lambda r: r.swap(accepted), settings, quiet=as_json, archive=archive)
    if as_json:
        output.print_json({"step": "swapped", "folded": done.folded, "stopped_seconds": done.stopped_seconds})
        return
    stopped = output.duration(done.stopped_seconds * 1000)
    click.echo(f"swapped; consumers were stopped for {stopped}, in which {done.folded} records were folded")
    click.echo("`wex replay rollback` takes it back, `wex replay drop` drops the old table")


@command.command("rollback", short_help="Put the old table back.")
@click.option("--accept", "accepted", type=click.Choice(["dependents"]), multiple=True, help="Go on in spite of this.")
@_servers
def rollback_command(*, settings: Settings, accepted: tuple[str, ...], as_json: bool) -> None:
    """Exchange the tables back, as they were at the swap; consumers apply what came after it once more.

    Refuses (8) where others have hung views and the like on the new table, unless --accept dependents is given; and
    where the old table lacks what cannot be read again.
    """
    _run(lambda r: r.rollback(accepted), settings, quiet=as_json)
    _say("ready", "the old table is back, as it was at the swap; consumers go on from there", as_json=as_json)


@command.command("abort", short_help="Drop a shadow that was not swapped in.")
@_servers
def abort_command(*, settings: Settings, as_json: bool) -> None:
    """Drop a shadow that was not swapped in, wherever it stands."""
    _run(lambda r: r.abort(), settings, quiet=as_json)
    _say("none", "there is no replay any more; the table is as it was", as_json=as_json)


@command.command("drop", short_help="Drop the old table after a swap.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_servers
def drop_command(*, settings: Settings, yes: bool, as_json: bool) -> None:
    """Drop the old table after a swap; then there is no way back."""
    if not yes and not click.confirm("Drop the old table? There is no rollback after that.", err=as_json):
        raise WexError("nothing was dropped")
    _run(lambda r: r.drop(), settings, quiet=as_json)
    _say("none", "the old table is gone", as_json=as_json)


def _say(step: str, text: str, *, as_json: bool) -> None:
    if as_json:
        output.print_json({"step": step})
    else:
        click.echo(text)


def _print_report(report: Report, *, as_json: bool) -> None:
    state = report.state
    if as_json:
        found = {
            "step": state.step,
            "fold_version": state.fold_version,
            "scope": state.scope.for_programs(),
            "within": state.within if state.scope and not state.bulk else None,
            "started_at": state.started_at,
            "behind": report.behind,
            "carried": state.carried,
            "positions": [
                {**name._asdict(), "next_offset": offset} for name, offset in sorted(state.next_offsets.items())
            ],
        }
        output.print_json(found)
        return
    output.print_card(
        [
            ("step", str(state.step)),
            ("rebuilds", str(state.scope) if state.scope else None),
            ("executions", f"{state.within:,}" if state.scope and not state.bulk else None),
            ("fold version", state.fold_version),
            ("started", state.started_at),
            ("records folded", f"{sum(state.next_offsets.values()):,}"),
            ("behind", f"{report.behind:,} records"),
            ("carried over", f"{state.carried:,} executions" if state.carried else None),
        ]
    )


# What a row that the shadow has and the table lacks is, once the shadow is the table.
WILL_BE = {"missing": "new", "extra": "gone", "changed": "changed"}


def _transitions(counts: Sequence[Count]) -> dict[tuple[str, str], int]:
    moves: dict[tuple[str, str], int] = {}
    for each in counts:
        if each.kind == "changed" and each.status_in_table != each.status_in_log:
            key = (str(each.status_in_table), str(each.status_in_log))
            moves[key] = moves.get(key, 0) + each.rows
    return moves


def _print_preview(preview: Preview) -> None:
    for each in preview.described:
        click.echo(f"{WILL_BE[each.kind]} {each.relation} {' '.join(each.key)}")
        print_fields(each, "shadow")
    described = len(preview.described)
    if (total := sum(each.rows for each in preview.counts)) > described:
        click.echo(f"… and {total - described} more")
    for (before, after), rows in _transitions(preview.counts).items():
        click.echo(f"status {before} → {after}: {rows}")
    renamed = [each._replace(kind=WILL_BE[each.kind]) for each in preview.counts]  # type: ignore[arg-type] # shown only
    click.echo(f"a swap would change: {by_relation(renamed)}" if renamed else "a swap would change nothing")
    if preview.due:
        click.echo(f"purged, for a purge covers them: {preview.due} executions more")
    if preview.carried:
        click.echo(f"carried over, for the log has lost their events: {preview.carried} executions")
        for id_ in preview.carried_ids:
            click.echo(f"carried {id_}")


def _preview_for_programs(preview: Preview) -> dict[str, Any]:
    return {
        "different": sum(each.rows for each in preview.counts),
        "counts": [each._asdict() | {"kind": WILL_BE[each.kind]} for each in preview.counts],
        "statuses": [
            {"from": before, "to": after, "rows": rows}
            for (before, after), rows in _transitions(preview.counts).items()
        ],
        "due": preview.due,
        "carried": preview.carried,
        "carried_ids": list(preview.carried_ids),
        "items": [
            {
                "relation": each.relation,
                "key": list(each.key),
                "kind": WILL_BE[each.kind],
                "fields": [
                    {"field": field, "table": in_table, "shadow": in_shadow}
                    for field, (in_table, in_shadow) in each.fields.items()
                ],
            }
            for each in preview.described
        ],
    }
