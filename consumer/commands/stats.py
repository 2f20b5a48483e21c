"""`wex stats`: counts and durations of a workflow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from consumer.commands import options, output

if TYPE_CHECKING:
    from store.execution import ExecutionStats


@click.command("stats")
@click.argument("workflow_id")
@options.namespace
@options.own_write
@options.database_url
@options.data_dir
@options.as_json
def command(
    *,
    workflow_id: str,
    namespace: str,
    database_url: str | None,
    data_dir: Path | None,
    as_json: bool,
    **wait: Any,  # noqa: ANN401 - handed on to the reader
) -> None:
    """Count and time the executions of a workflow; deleted ones count nowhere."""
    settings = options.load_settings(database_url=database_url, data_dir=data_dir)
    stats = options.run(_stats(settings.database, workflow_id, namespace=namespace, **wait))
    if as_json:
        output.print_json(stats)
    else:
        print_stats(stats)


async def _stats(url: str, workflow_id: str, **asked: Any) -> ExecutionStats:  # noqa: ANN401 - handed on to the reader
    from store.reader import ExecutionReader

    async with ExecutionReader.connect(url) as reader:
        return await reader.stats(workflow_id, **asked)


def print_stats(stats: ExecutionStats) -> None:
    """Print the counts, the durations and the success rate with its denominator."""
    rated = sum(stats.by_status[status] for status in ("completed", "failed", "cancelled", "terminated", "timed_out"))
    rate = "-" if stats.success_rate is None else f"{stats.success_rate:.1f} % of {rated} that ended"
    shown: list[tuple[str, object]] = [("executions", stats.total), ("success rate", rate)]
    shown += [(f"  {status}", count) for status, count in stats.by_status.most_common()]
    shown += [
        ("average duration", output.duration(stats.avg_duration_ms)),
        ("shortest", output.duration(stats.min_duration_ms)),
        ("longest", output.duration(stats.max_duration_ms)),
    ]
    output.print_card(shown)
