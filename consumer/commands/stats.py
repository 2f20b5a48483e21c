"""`wex stats`: how many, how well and how long; of all time or a window, of each workflow, and step by step."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from consumer.commands import filters, options, output
from consumer.errors import ExitCode, WexError

if TYPE_CHECKING:
    from store.execution_stats import ExecutionStats, Timing

DURATIONS = ("avg_duration_ms", "min_duration_ms", "max_duration_ms")
PERCENTILES = ("p50_ms", "p90_ms", "p95_ms", "p99_ms")


@click.command("stats")
@click.argument("workflow_id", required=False)
@click.option("--since", type=filters.When(), help="From then on; 2d is two days ago.")
@click.option("--until", type=filters.When(), help="Before then.")
@click.option("--by", type=click.Choice(["workflow"]), help="Of each workflow, those with most executions first.")
@click.option(
    "--every", type=filters.Duration(), help="Of each step, of the last day unless told: 5m, 1h, 1d and so on."
)
@click.option("--percentiles", is_flag=True, help="With percentiles of the duration, within 1 %.")
@click.option("--include-deleted", is_flag=True, help="With deleted ones; looks at each execution of a workflow.")
@options.namespace
@options.own_write
@options.database_url
@options.data_dir
@options.as_json
def command(
    *,
    by: str | None,
    every: timedelta | None,
    percentiles: bool,
    include_deleted: bool,
    database_url: str | None,
    data_dir: Path | None,
    as_json: bool,
    **asked: Any,  # noqa: ANN401 - handed on to the reader
) -> None:
    """Count, rate and time the executions of a workflow, or of all; deleted ones count nowhere.

    What starts is counted by the time of its start; what ends, with its success rate and duration, by that of its end.
    A window is widened to whole five minutes, a series to whole steps; days are those of UTC.
    """
    if sum((bool(by), bool(every), include_deleted)) > 1:
        msg = "--by, --every and --include-deleted exclude each other"
        raise WexError(msg, "Ask one after the other.", ExitCode.USAGE)
    settings = options.load_settings(database_url=database_url, data_dir=data_dir)
    url = settings.database
    if every:
        step, given = every, {name: value for name, value in asked.items() if value is not None}
        _show_series(
            options.ask(url, lambda reader: reader.series(step=step, percentiles=percentiles, **given)), as_json
        )
    elif by:
        _show_workflows(
            options.ask(url, lambda reader: reader.stats_by_workflow(percentiles=percentiles, **asked)), as_json
        )
    else:
        stats = options.ask(url, lambda reader: reader.stats(include_deleted=include_deleted, **asked))
        if as_json:
            output.print_json(as_object(stats))
        else:
            print_stats(stats, percentiles=percentiles)


def as_object(stats: ExecutionStats) -> dict[str, object]:
    """Return statistics as programs get them."""
    told: dict[str, object] = {each.name: getattr(stats, each.name) for each in fields(stats)}
    told |= {name: getattr(stats, name) for name in (*DURATIONS, "failed")}
    return told | {"freshness": stats.freshness.partitions}


def print_stats(stats: ExecutionStats, *, percentiles: bool = False) -> None:
    """Print the counts, the rates with their denominators, and the durations."""
    shown: list[tuple[str, object]] = [("executions", stats.total)]
    shown += [("success rate", _rate(stats.success_rate, stats.rated, "that ended"))]
    if stats.chains != stats.rated:
        shown += [("  by chain", _rate(stats.chain_success_rate, stats.chains, "chains that ended"))]
    shown += [(f"  {status}", count) for status, count in stats.by_status.most_common()]
    if stats.since or stats.until:
        shown += [("window", f"{_moment(stats.since)} to {_moment(stats.until)}")]
        shown += [("ended in it", stats.ended.total())]
        shown += [(f"  {status}", count) for status, count in stats.ended.most_common()]
    shown += [
        ("average duration", output.duration(stats.duration.avg_ms)),
        ("shortest", output.duration(stats.duration.min_ms)),
        ("longest", output.duration(stats.duration.max_ms)),
    ]
    if percentiles:
        shown += [
            (f"  {name[:-3]}", value) for name, value in zip(PERCENTILES, _percentiles(stats.duration), strict=True)
        ]
    if stats.queue_delay.count:
        delays = dict(zip(PERCENTILES, _percentiles(stats.queue_delay), strict=True))
        shown += [("queue delay", f"{delays['p50_ms']} (p50), {delays['p99_ms']} (p99), of {stats.queue_delay.count}")]
    output.print_card(shown)


def _show_workflows(found: dict[str, ExecutionStats], as_json: bool) -> None:
    if as_json:
        output.print_json(output.items({"workflow_id": name} | as_object(stats) for name, stats in found.items()))
    elif found:
        _print_table("WORKFLOW", list(found.items()))
    else:
        click.echo("no execution in that time")


def _show_series(found: list[ExecutionStats], as_json: bool) -> None:
    if as_json:
        output.print_json(output.items(as_object(stats) for stats in found))
    else:
        _print_table("FROM", [(_moment(stats.since), stats) for stats in found])


def _print_table(title: str, rows: list[tuple[str, ExecutionStats]]) -> None:
    with_percentiles = any(stats.duration.p50_ms is not None for _, stats in rows)
    titles = [title, "STARTED", "ENDED", "FAILED", "SUCCESS", "AVERAGE"]
    titles += [name[:-3].upper() for name in PERCENTILES] if with_percentiles else []
    output.print_table(
        titles,
        (
            [
                name,
                str(stats.total),
                str(stats.ended.total()),
                str(stats.failed),
                "-" if stats.success_rate is None else f"{stats.success_rate:.1f} %",
                output.duration(stats.duration.avg_ms),
                *(_percentiles(stats.duration) if with_percentiles else ()),
            ]
            for name, stats in rows
        ),
    )


def _percentiles(timing: Timing) -> list[str]:
    return [output.duration(getattr(timing, name)) for name in PERCENTILES]


def _rate(rate: float | None, of: int, what: str) -> str:
    return "-" if rate is None else f"{rate:.1f} % of {of} {what}"


def _moment(moment: datetime | None) -> str:
    return "…" if moment is None else f"{moment:%Y-%m-%d %H:%M}Z"
