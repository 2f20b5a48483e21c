"""`wex purges`: the purges that were made, going on with them, and revoking one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from consumer.commands import options, output
from consumer.commands.purge import carry_out, for_programs, told
from consumer.errors import ExitCode, WexError

if TYPE_CHECKING:
    from store.purges import Purge

ID_MAX = 2**63 - 1


@click.group("purges")
def command() -> None:
    """List what was purged, go on with a purge that was interrupted, or revoke one."""


@command.command("list", short_help="List the purges, the newest first.")
@click.option("-n", "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many at most.")
@options.database_url
@options.data_dir
@options.as_json
def list_command(*, limit: int, database_url: str | None, data_dir: Path | None, as_json: bool) -> None:
    """List the purges, the newest first: which rows they cover, who made them, and how far they are.

    A purge is finished, unfinished, covered (a later one covers all that it does) or revoked.
    """
    settings = options.load_settings(database_url=database_url, data_dir=data_dir)
    found = options.run(_list(settings.database, limit=limit))
    if as_json:
        output.print_json(output.items(_for_programs(each) for each in found))
        return
    rows = [
        [str(each.id), each.state, f"{each.executions:,}", output.relative(each.begun_at), each.begun_by, _policy(each)]
        for each in found
    ]
    if rows:
        output.print_table(["ID", "STATE", "DELETED", "BEGUN", "BY", "POLICY"], rows)
    else:
        click.echo("nothing was ever purged")


@command.command("resume", short_help="Go on with purges that were interrupted.")
@click.argument("ids", type=click.IntRange(1, ID_MAX), nargs=-1, metavar="[ID]…")
@click.option("--all", "every", is_flag=True, help="All that count, also finished ones.")
@options.database_url
@options.data_dir
@options.as_json
def resume_command(
    *, ids: tuple[int, ...], every: bool, database_url: str | None, data_dir: Path | None, as_json: bool
) -> None:
    """Go on with the purges that are unfinished, or do those that are named, or all, once more.

    A finished one finds what came to the table after it. Exit codes: 3 no such purge, 8 it is revoked.
    """
    settings = options.load_settings(database_url=database_url, data_dir=data_dir)
    done = options.run(_resume(settings.database, ids, every=every, quiet=as_json))
    if as_json:
        output.print_json(output.items({"id": id_, "deleted": deleted} for id_, deleted in done.items()))
        return
    for id_, deleted in done.items():
        click.echo(f"purge {id_}: deleted {deleted:,}")
    if not done:
        click.echo("no purge is unfinished")


@command.command("revoke", short_help="Let a purge cover nothing any more.")
@click.argument("id", type=click.IntRange(1, ID_MAX))
@click.option("--actor", help="Who does this; kept with the purge.  [default: you]")
@options.database_url
@options.data_dir
@options.as_json
def revoke_command(
    *,
    id: int,  # noqa: A002 - the argument's name
    actor: str | None,
    database_url: str | None,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Let a purge cover nothing any more: it ends where it runs, and rows that it deleted count as missing.

    `wex repair --apply` then brings back those of which the log, or an archive, still has the events. Exit codes: 3 no
    such purge, 8 it was revoked before.
    """
    settings = options.load_settings(database_url=database_url, data_dir=data_dir)
    options.run(_revoke(settings.database, id, options.whoever(actor)))
    if as_json:
        output.print_json({"id": id, "revoked": True})
    else:
        click.echo(f"purge {id} is revoked; `wex verify` names what the log has of it, `wex repair` brings that back")


async def _list(url: str, *, limit: int) -> list[Purge]:
    from store.purges import Purges

    async with Purges(url) as purges:
        return await purges.list(limit=limit)


async def _resume(url: str, ids: tuple[int, ...], *, every: bool, quiet: bool) -> dict[int, int]:
    from store.purges import Purges

    async with Purges(url) as purges:
        wanted = await purges.list(ids) if ids else await purges.standing()
        wanted = [each for each in wanted if ids or every or each.state == "unfinished"]
        _check(set(ids), wanted)
        done = {}
        for each in sorted(wanted, key=lambda purge: purge.id):
            total = sum(found.executions for found in await purges.count(each.policy))
            done[each.id] = await carry_out(purges, each.id, each.policy, total, quiet=quiet)
        return done


async def _revoke(url: str, id_: int, actor: str) -> None:
    from store.purges import Purges

    async with Purges(url) as purges:
        _check({id_}, await purges.list([id_]))
        await purges.revoke(id_, actor)


def _check(asked: set[int], found: list[Purge]) -> None:
    if missing := sorted(asked - {each.id for each in found}):
        raise WexError(f"no purge {missing[0]}", "`wex purges list` names them.", ExitCode.NOT_FOUND)
    if revoked := [each.id for each in found if each.state == "revoked"]:
        raise WexError(f"purge {revoked[0]} is revoked", "`wex purge` makes another one.", ExitCode.REFUSED)


def _policy(purge: Purge) -> str:
    return told(purge.policy) + (f" ({purge.reason})" if purge.reason else "")


def _for_programs(purge: Purge) -> dict[str, object]:
    names = [name for name in purge.__dataclass_fields__ if name != "policy"]
    return {name: getattr(purge, name) for name in names} | {"policy": for_programs(purge.policy)}
