"""`wex purge`: delete executions that ended, or were hidden, long ago."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from consumer.commands import options, output
from consumer.commands.filters import When
from consumer.commands.progress import Progress
from consumer.errors import ExitCode, WexError

if TYPE_CHECKING:
    from store.purge_policy import PurgePolicy
    from store.purges import Purgeable, Purges


@click.command("purge")
@click.option("--ended-before", type=When(), help="That ended before then; 90d is ninety days ago.")
@click.option("--deleted-before", type=When(), help="That have ended, and were hidden (`deleted`) before then.")
@click.option("--status", "statuses", multiple=True, metavar="STATUS", help="With this status; several: any of them.")
@click.option("--workflow", "workflows", multiple=True, metavar="ID", help="Of this workflow; several: any of them.")
@options.namespace
@click.option("--apply", is_flag=True, help="Delete them; without it, only say what would be deleted.")
@click.option("--reason", help="Why; kept with the purge.")
@click.option("--actor", help="Who does this; kept with the purge.  [default: you]")
@options.database_url
@options.data_dir
@options.as_json
def command(
    *,
    ended_before: datetime | timedelta | None,
    deleted_before: datetime | timedelta | None,
    statuses: tuple[str, ...],
    workflows: tuple[str, ...],
    namespace: str,
    apply: bool,
    reason: str | None,
    actor: str | None,
    database_url: str | None,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Delete the rows of executions that ended, or were hidden, before a time, with their payloads.

    Nothing is changed without --apply. Rows go in short batches beside running consumers. The policy is kept with its
    absolute times before the first row goes, so that neither repair nor replay brings back what it covers; `wex purges`
    lists them, goes on with one that was interrupted (Ctrl-C and kill -9 lose nothing), or revokes one. Workflows,
    users and dead letters stay, and so does what Kafka and an archive hold. Exit code 2: no time is given, or one that
    is not past.
    """
    from store.purge_policy import PurgePolicy

    times = {"ended_before": ended_before, "deleted_before": deleted_before}
    try:
        policy = PurgePolicy(namespace=namespace, workflows=workflows, statuses=statuses, **times)
    except ValueError as error:
        raise WexError(str(error), "--ended-before 90d, for example.", ExitCode.USAGE) from error
    settings = options.load_settings(database_url=database_url, data_dir=data_dir)
    who = options.whoever(actor)
    options.run(_purge(settings.database, policy, who, reason, apply=apply, as_json=as_json))


async def _purge(url: str, policy: PurgePolicy, actor: str, reason: str | None, *, apply: bool, as_json: bool) -> None:
    from store.purges import Purges

    async with Purges(url) as purges:
        try:
            policy = policy.at(await purges.now())
        except ValueError as error:
            raise WexError(str(error), exit_code=ExitCode.USAGE) from error
        found = await purges.count(policy)
        if not as_json:
            _print_found(policy, found)
        total = sum(each.executions for each in found)
        id_ = await purges.begin(policy, actor, reason) if apply and total else None
        deleted = await carry_out(purges, id_, policy, total, quiet=as_json) if id_ is not None else 0
        elsewhere = await purges.beside_a_replay()
    if as_json:
        output.print_json(
            {
                "id": id_,
                "policy": for_programs(policy),
                "by_status": [each._asdict() for each in found],
                "executions": total,
                "deleted": deleted,
                "applied": apply,
                "replay_holds_copies": elsewhere,
            }
        )
        return
    click.echo(_ending(total, deleted, id_, apply=apply))
    if elsewhere and total:
        click.echo("wex_replay has a table of its own, which goes with `wex replay drop` or abort", err=True)


def _ending(total: int, deleted: int, id_: int | None, *, apply: bool) -> str:
    if not total:
        return "nothing to purge"
    return f"purge {id_}: deleted {deleted:,}" if apply else f"{total:,} would go; nothing was changed, --apply deletes"


async def carry_out(purges: Purges, id_: int, policy: PurgePolicy, total: int, *, quiet: bool) -> int:
    """Delete what a kept policy covers, with progress; return how many that were."""
    from consumer.purging import Purging

    progress = Progress("purged", "executions", quiet=quiet)
    purging = Purging(purges, lambda deleted: progress(deleted, total))
    try:
        return await purging.run(id_, policy)
    finally:
        progress.end()
        if purging.unfinished and not quiet:
            click.echo(f"purge {id_} has deleted {purging.deleted:,}; `wex purges resume` goes on with it", err=True)


def for_programs(policy: PurgePolicy) -> dict[str, Any]:
    """Return a policy as programs get it."""
    return {name: getattr(policy, name) for name in policy.__dataclass_fields__}


def told(policy: PurgePolicy) -> str:
    """Return a policy in words."""
    words = [
        f"ended before {_time(policy.ended_before)}" if policy.ended_before else "",
        f"deleted before {_time(policy.deleted_before)}" if policy.deleted_before else "",
        f"status {', '.join(policy.statuses)}" if policy.statuses else "",
        f"workflow {', '.join(policy.workflows)}" if policy.workflows else "",
        f"namespace {policy.namespace}",
    ]
    return "; ".join(filter(None, words))


def _time(value: datetime | timedelta) -> str:
    assert isinstance(value, datetime), "it was made absolute"
    return value.isoformat(sep=" ", timespec="seconds")


def _print_found(policy: PurgePolicy, found: list[Purgeable]) -> None:
    click.echo(told(policy))
    if found:
        rows = [
            [each.status, f"{each.executions:,}", _time(each.first_ended_at), _time(each.last_ended_at)]
            for each in found
        ]
        output.print_table(["STATUS", "EXECUTIONS", "FIRST ENDED", "LAST ENDED"], rows)
