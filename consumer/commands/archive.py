"""`wex archive`: what topics hold is kept in files, for longer than Kafka keeps it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from consumer.chunk import Span
from consumer.commands import options, output
from consumer.commands.progress import Progress
from consumer.errors import ExitCode, WexError
from events.position import TopicPartition

if TYPE_CHECKING:
    from consumer.archive.layout import Archived
    from consumer.archive.writing import Outcome
    from consumer.settings import Settings

NOTHING: Mapping[TopicPartition, Span] = {}
GAP = re.compile(r"(.+)/(\d+)@(\d+)")


@click.command("archive")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--topics", metavar="TOPIC,…", help="Topics to archive.  [env: WEX_TOPICS]")
@click.option("--list", "only_list", is_flag=True, help="Only say what the folder covers.")
@click.option("--check", is_flag=True, help="Only read everything, and compare checksums, ranges and counts.")
@click.option(
    "--accept-gap",
    "gaps",
    multiple=True,
    metavar="TOPIC/PARTITION@OFFSET",
    help="Go on at this offset though the archive ends before it; can be repeated.",
)
@options.kafka
@options.data_dir
@options.as_json
def command(
    *,
    folder: Path,
    topics: str | None,
    only_list: bool,
    check: bool,
    gaps: tuple[str, ...],
    kafka_bootstrap_servers: str | None,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Write the raw records of topics into FOLDER, from where it ends up to where the logs end now.

    `wex verify`, `repair` and `replay` read it before the log with --archive FOLDER. It can be stopped and run again at
    any time; consumers do not notice it. Exit codes: 0 everything is archived; 4 --check found something wrong; 8 a
    part of a log is neither in the folder nor in Kafka, it is another log, or another run is at work.
    """
    if (only_list and check) or (gaps and (only_list or check)):
        raise click.UsageError("--list, --check and --accept-gap exclude each other.")
    if only_list or check:
        _show(folder, None if topics is None else _split(topics), check=check, as_json=as_json)
        return
    accepted = dict(map(_gap, gaps))
    settings = options.load_settings(kafka_bootstrap_servers=kafka_bootstrap_servers, topics=topics, data_dir=data_dir)
    outcome = _write(settings, folder, accepted, quiet=as_json)
    _report(folder, settings.topics, outcome, as_json=as_json)


def _split(topics: str) -> tuple[str, ...]:
    return tuple(topic.strip() for topic in topics.split(",") if topic.strip())


def _gap(text: str) -> tuple[TopicPartition, int]:
    match = GAP.fullmatch(text)
    if match is None:
        raise click.BadParameter(f"{text!r} is not TOPIC/PARTITION@OFFSET", param_hint="--accept-gap")
    return TopicPartition(match[1], int(match[2])), int(match[3])


def _write(settings: Settings, folder: Path, accepted: Mapping[TopicPartition, int], *, quiet: bool) -> Outcome:
    from consumer.archive.writing import archive
    from consumer.replay.log_source import LogSource

    progress = Progress("archived", quiet=quiet)

    async def run() -> Outcome:
        async with LogSource(settings.kafka) as source:
            return await archive(source, folder, settings.topics, accepted=accepted, told=progress)

    with options.errors_of_the_log():
        outcome = asyncio.run(run())
    progress.end()
    return outcome


def _report(folder: Path, topics: Sequence[str], outcome: Outcome, *, as_json: bool) -> None:
    from consumer.archive.folder import survey

    refused = {str(error.message): error for error in outcome.refused}
    found = survey(folder, topics)
    _print(found.archived, list(refused), written=outcome.written, as_json=as_json)
    if refused:
        remedies = dict.fromkeys(error.remedy for error in refused.values())
        raise WexError("not everything is archived: " + "; ".join(refused), " ".join(remedies), ExitCode.REFUSED)


def _show(folder: Path, topics: Sequence[str] | None, *, check: bool, as_json: bool) -> None:
    from consumer.archive.folder import survey

    progress = Progress("checked", quiet=as_json)
    found = survey(folder, topics, records=check, told=progress)
    progress.end()
    _print(found.archived, [error.message for error in found.problems], as_json=as_json)
    if found.problems:
        what = "; ".join(error.message for error in found.problems)
        remedies = dict.fromkeys(error.remedy for error in found.problems)
        raise WexError(what, " ".join(remedies), ExitCode.DIFFERENT)
    if check and not as_json:
        click.echo("every file is whole")


def _print(
    archived: Sequence[Archived],
    problems: Sequence[str],
    *,
    written: Mapping[TopicPartition, Span] = NOTHING,
    as_json: bool,
) -> None:
    if as_json:
        output.print_json({**output.items(_for_programs(each, written) for each in archived), "problems": problems})
        return
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("PARTITION", "OFFSETS", "RECORDS", "FILES", "SIZE", "MISSING", *(["NEW"] if written else [])):
        table.add_column(title, no_wrap=True)
    for each in archived:
        cells = [str(each.partition), _range(each.span), *_amounts(each), ", ".join(map(_range, each.gaps)) or "-"]
        if written:
            new = written.get(each.partition, Span(0, 0))
            cells.append(f"{new.next_offset - new.from_offset:,}")
        table.add_row(*map(escape, cells))
    output.console().print(table)


def _range(span: Span) -> str:
    return f"{span.from_offset} to {span.next_offset - 1}"


def _amounts(archived: Archived) -> tuple[str, str, str]:
    records = sum(facts.records for facts in archived.facts)
    size = sum(part.size for part in archived.parts)
    shown = f"{size / 1_048_576:,.1f} MiB" if size >= 1_048_576 else f"{size / 1024:.1f} KiB"
    return f"{records:,}", str(len(archived.facts)), shown


def _for_programs(archived: Archived, written: Mapping[TopicPartition, Span]) -> dict[str, Any]:
    new = written.get(archived.partition, Span(0, 0))
    return {
        **archived.partition._asdict(),
        "topic_id": archived.topic_id,
        **archived.span._asdict(),
        "records": sum(facts.records for facts in archived.facts),
        "value_bytes": sum(facts.value_bytes for facts in archived.facts),
        "files": len(archived.facts),
        "file_bytes": sum(part.size for part in archived.parts),
        "gaps": [gap._asdict() for gap in archived.gaps],
        "new": new.next_offset - new.from_offset,
    }
