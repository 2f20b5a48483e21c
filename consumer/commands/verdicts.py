"""What `wex verify` and `wex repair` share: their options, the run, and how the verdict is shown."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from consumer.commands import options, output
from consumer.commands.progress import Progress

if TYPE_CHECKING:
    from consumer.replay.folding import Folded
    from consumer.replay.verify import Question, Verdict
    from consumer.settings import Settings
    from store.differences import Count, Difference

TEXT_SHOWN = 60  # characters of a value, in a table for people


def asks(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say what is compared and where, and pass the settings and the question that they make."""

    @options.scope
    @options.jobs
    @options.archive
    @options.servers
    @options.as_json
    @wraps(command)
    def asking(
        *,
        sample: int | None,
        seed: int | None,
        execution: UUID | None,
        workflow: str | None,
        since: datetime | None,
        limit: int,
        jobs: int,
        archive: Path | None,
        **others: object,
    ) -> None:
        from consumer.replay.verify import Question

        drawn = random.SystemRandom().randrange(2**32) if seed is None else seed
        asked = Question(
            sample=sample,
            seed=drawn,
            execution_id=execution,
            workflow_id=workflow,
            since=since,
            limit=limit,
            jobs=jobs,
            archive=archive,
        )
        command(asked=asked, **others)

    return asking


def run(settings: Settings, asked: Question, *, quiet: bool, repair: bool = False) -> Verdict:
    """Verify, with progress, and with errors in words for people."""
    from consumer.replay.verify import verify

    progress = Progress("folded", quiet=quiet)

    def told(folded: Folded, total: int) -> None:
        progress(folded.records, total)

    with options.errors_for_people(), options.errors_of_the_log():
        verdict = asyncio.run(
            verify(
                settings.kafka,
                settings.database,
                settings.consumer_group,
                asked,
                told,
                repair=repair,
            )
        )
    progress.end()
    if asked.sample is not None and not quiet:
        click.echo(f"a sample, drawn with --seed {asked.seed}")
    return verdict


def report(verdict: Verdict, *, as_json: bool, repair: bool = False, applied: bool = False) -> None:
    """Print a verdict."""
    if as_json:
        output.print_json(_for_programs(verdict, repair=repair, applied=applied))
        return
    for each in verdict.described:
        _print_difference(verdict, each)
    if len(verdict.described) < verdict.different:
        click.echo(f"… and {verdict.different - len(verdict.described)} more")
    if verdict.unverifiable:
        for reason in verdict.coverage.gone:
            click.echo(f"not all of the log is there: {reason}")
        for each in verdict.unverifiable_described:
            click.echo(f"unverifiable {each.relation} {' '.join(each.key)}")
        click.echo(f"unverifiable   {by_relation(verdict.unverifiable)}")
    output.print_card(_summary(verdict))
    if repair:
        statistics = ", and the statistics" if verdict.miscounted else ""
        done = f"mended: {verdict.repaired} executions{statistics}" if applied else "nothing was changed; --apply mends"
        click.echo("nothing to mend" if verdict.equal else done)


def _summary(verdict: Verdict) -> list[tuple[str, object]]:
    folded = verdict.folded
    return [
        ("records read", f"{folded.records:,}"),
        ("events folded", f"{folded.events:,}"),
        ("left out", f"{folded.left_out} with an open dead letter" if folded.left_out else None),
        ("refused", f"{folded.refused} of which the table has no dead letter" if folded.refused else None),
        ("executions", f"{verdict.executions:,}"),
        ("purged", f"{verdict.covered.purged:,} executions of the log" if verdict.covered.purged else None),
        (
            "due",
            f"{verdict.covered.due:,} that a purge covers; `wex purges resume --all`" if verdict.covered.due else None,
        ),
        ("different", by_relation(verdict.counts) if verdict.counts else "none: the table equals the log"),
        ("statistics", f"{verdict.miscounted} counts are wrong" if verdict.miscounted else None),
    ]


def print_fields(each: Difference, other: str) -> None:
    """Print the fields of a row with what the table and the other one hold."""
    for field, (in_table, in_other) in each.fields.items():
        click.echo(f"  {field}: table {_short(in_table)}, {other} {_short(in_other)}")


def by_relation(counts: Sequence[Count]) -> str:
    """Return how many rows of which relation are what."""
    rows: dict[tuple[str, str], int] = {}
    for each in counts:
        rows[each.relation, each.kind] = rows.get((each.relation, each.kind), 0) + each.rows
    return ", ".join(f"{count} {relation} {kind}" for (relation, kind), count in rows.items())


def _print_difference(verdict: Verdict, each: Difference) -> None:
    name = each.table.get("temporal_workflow_id") or each.log.get("temporal_workflow_id")
    click.echo(f"{each.kind} {each.relation} {' '.join(each.key)}" + (f" ({name})" if name else ""))
    for field in _fields(each):
        in_table, in_log = each.fields.get(field, (None, None))
        at = verdict.search.position(each, field)
        where = f"  decided by {at}" if at else ""
        if field in each.fields:
            click.echo(f"  {field}: table {_short(in_table)}, log {_short(in_log)}{where}")
        elif at:
            click.echo(f"  {where.strip()}")


def _fields(each: Difference) -> Sequence[str]:
    from consumer.replay.deciding import fields_of

    return fields_of(each)


def _short(value: object) -> str:
    text = "nothing" if value is None else value.hex() if isinstance(value, bytes) else str(value)
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return shown if len(shown) <= TEXT_SHOWN else f"{shown[: TEXT_SHOWN - 1]}…"


def _for_programs(verdict: Verdict, *, repair: bool, applied: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "equal": verdict.equal,
        "executions": verdict.executions,
        "records": verdict.folded.records,
        "events": verdict.folded.events,
        "left_out": verdict.folded.left_out,
        "refused": verdict.folded.refused,
        "different": verdict.different,
        "counts": [each._asdict() for each in verdict.counts],
        "miscounted": verdict.miscounted,
        "purged": verdict.covered.purged,
        "due": verdict.covered.due,
        "unverifiable": sum(each.rows for each in verdict.unverifiable),
        "gone": list(verdict.coverage.gone),
        "positions": [
            {**name._asdict(), "next_offset": standing.next_offset} for name, standing in sorted(verdict.ends.items())
        ],
        "items": [_item(verdict, each) for each in verdict.described],
        "unverifiable_items": [
            {"relation": each.relation, "key": list(each.key)} for each in verdict.unverifiable_described
        ],
    }
    return found | ({"applied": applied, "repaired": verdict.repaired} if repair else {})


def _item(verdict: Verdict, each: Difference) -> dict[str, Any]:
    return {
        "relation": each.relation,
        "key": list(each.key),
        "kind": each.kind,
        "fields": [_field(verdict, each, field) for field in _fields(each)],
    }


def _field(verdict: Verdict, each: Difference, field: str) -> Mapping[str, Any]:
    in_table, in_log = each.fields.get(field, (each.table.get(field), each.log.get(field)))
    at = verdict.search.position(each, field)
    return {"field": field, "table": in_table, "log": in_log, "decided_by": at and at._asdict()}
