"""`wex dead-letter redrive` and `purge`: what changes dead letters."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from consumer.commands import dead_letter_filters, options, output
from consumer.errors import ExitCode, WexError

if TYPE_CHECKING:
    from consumer.redrive import Redriven
    from store.dead_letters import DeadLetterFilter

PURGE_PAGE = 500  # letters in a transaction
REASONS_SHOWN = 10

which_ids = click.argument("ids", type=click.IntRange(0, 2**63 - 1), nargs=-1, metavar="[ID]…")
every_one = click.option("--all", "every", is_flag=True, help="All that the filters leave, if no ID is given.")
dry_run_flag = click.option("--dry-run", is_flag=True, help="Change nothing; say what would be done.")
who = click.option("--actor", help="Who does this; kept with the letters.  [default: you]")


@click.command("redrive")
@which_ids
@dead_letter_filters.filters
@every_one
@click.option("--again", is_flag=True, help="Try also those that were still wrong three times.")
@dry_run_flag
@who
@options.database_url
@options.data_dir
@options.as_json
def redrive_command(
    *,
    ids: tuple[int, ...],
    every: bool,
    again: bool,
    dry_run: bool,
    actor: str | None,
    database_url: str | None,
    data_dir: Path | None,
    as_json: bool,
    **filters: Any,  # noqa: ANN401 - the options say what they are
) -> None:
    """Decode dead letters once more and apply those that are events now, beside consumers that run.

    For after a release that reads what an older one did not, or after the database's constraint is mended. What is
    redriven is noted with who and when, and is not taken again: interrupt this and start it anew at any time. What is
    still wrong stays a dead letter; after three tries it is passed over, until --again. Exit codes: 1 some are still
    wrong, 3 no open letter is meant.
    """
    settings = options.load_settings(database_url=database_url, data_dir=data_dir)
    wanted = dead_letter_filters.meant(ids, filters, every=every, closed=False)
    url = settings.database
    done = options.run(_redrive(url, wanted, options.whoever(actor), again=again, dry_run=dry_run))
    if not done.seen:
        raise WexError("no open dead letter is meant", "`wex dead-letter list --all` has all.", ExitCode.NOT_FOUND)
    _report(done, as_json=as_json, dry_run=dry_run)
    if done.failed and not dry_run:
        message = f"{done.failed.total()} dead letters are still wrong"
        raise WexError(message, "`wex dead-letter show ID` says what is wrong with one of them.")


@click.command("purge")
@which_ids
@dead_letter_filters.filters
@every_one
@click.option("--redriven", is_flag=True, help="Only those that are redriven: the table has what they held.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@dry_run_flag
@who
@click.option("--why", help="Why; kept with the letters.")
@options.database_url
@options.data_dir
@options.as_json
def purge_command(
    *,
    ids: tuple[int, ...],
    every: bool,
    redriven: bool,
    yes: bool,
    dry_run: bool,
    actor: str | None,
    why: str | None,
    database_url: str | None,
    data_dir: Path | None,
    as_json: bool,
    **filters: Any,  # noqa: ANN401 - the options say what they are
) -> None:
    """Drop the bytes of dead letters: keys, headers and values; their coordinates and reasons stay.

    So that the log stays explainable. An open letter that is purged can never be redriven. Exit codes: 1 not confirmed,
    3 no letter is meant.
    """
    settings = options.load_settings(database_url=database_url, data_dir=data_dir)
    wanted = dead_letter_filters.meant(ids, filters, every=every, closed=True)
    url = settings.database
    found = options.run(_purgeable(url, wanted, redriven_only=redriven))
    if not found:
        raise WexError("no dead letter with bytes is meant", exit_code=ExitCode.NOT_FOUND)
    states = Counter(found.values())
    click.echo(f"{len(found)} dead letters lose their bytes; {states['open']} of them were never redriven", err=as_json)
    purged = 0
    if not dry_run:
        if not yes and not click.confirm("Drop them?", err=as_json):
            raise WexError("nothing was changed")
        purged = options.run(_purge(url, list(found), options.whoever(actor), why))
    if as_json:
        output.print_json({"meant": len(found), "open": states["open"], "purged": purged, "dry_run": dry_run})
    else:
        click.echo("nothing was changed" if dry_run else f"purged {purged}")


async def _redrive(url: str, wanted: DeadLetterFilter, actor: str, *, again: bool, dry_run: bool) -> Redriven:
    from consumer.redrive import Redrive
    from store.dead_letters import DeadLetterReader, DeadLetterStore

    store = DeadLetterStore(url)
    try:
        async with DeadLetterReader(url) as reader:
            redrive = Redrive(reader, None if dry_run else store, actor, again=again, progress=_progress)
            return await redrive.run(wanted)
    finally:
        await store.close()


def _progress(done: Redriven) -> None:
    if done.seen > PURGE_PAGE:
        counts = f"{done.applied} applied, {done.skipped} skipped, {done.failed.total()} still wrong"
        click.echo(f"{done.seen} looked at: {counts}", err=True)


async def _purgeable(url: str, wanted: DeadLetterFilter, *, redriven_only: bool) -> dict[int, str]:
    """Return the states of the letters that have bytes left to drop, by id."""
    from store.dead_letters import DeadLetterReader

    found: dict[int, str] = {}
    before: int | None = None
    async with DeadLetterReader(url) as reader:
        while page := await reader.list(wanted, before=before, limit=10_000):
            before = page[-1].id
            letters = [letter for letter in page if letter.purged_at is None]
            found |= {each.id: each.state for each in letters if each.state == "redriven" or not redriven_only}
    return found


async def _purge(url: str, ids: list[int], actor: str, why: str | None) -> int:
    from store.dead_letters import DeadLetterStore

    purged = 0
    store = DeadLetterStore(url)
    try:
        for start in range(0, len(ids), PURGE_PAGE):
            purged += await store.purge(ids[start : start + PURGE_PAGE], actor, why)
    finally:
        await store.close()
    return purged


def _report(done: Redriven, *, as_json: bool, dry_run: bool) -> None:
    if as_json:
        output.print_json(
            {
                "applied": done.applied,
                "skipped": done.skipped,
                "failed": done.failed,
                "passed_over": done.passed_over,
                "dry_run": dry_run,
            }
        )
        return
    would = "would be " if dry_run else ""
    click.echo(f"{would}applied: {done.applied}, {would}skipped: {done.skipped}")
    for what, reasons in (("still wrong", done.failed), ("passed over", done.passed_over)):
        for reason, count in reasons.most_common(REASONS_SHOWN):
            click.echo(f"{what}: {count} ({reason})")
