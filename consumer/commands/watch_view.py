"""How what is watched looks to people and to programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from consumer.commands import output
from consumer.watching import Asked, Outage, Sight
from events.vocabulary import Status

if TYPE_CHECKING:
    from rich.console import RenderableType

    from store.counting import Count
    from store.filters import When


@dataclass
class View:
    """Draws what is seen; through an outage it goes on to show what was seen last."""

    asked: Asked
    last: Sight | None = field(default=None, init=False)

    def draw(self, seen: Sight | Outage) -> RenderableType:
        """Return the screen."""
        from rich.console import Group

        if isinstance(seen, Sight):
            self.last = seen
        return Group(self.head(seen), *(self.body(self.last) if self.last else ()))

    def head(self, seen: Sight | Outage) -> RenderableType:
        """Return the line that says of when this is, and how fresh."""
        from rich.markup import escape
        from rich.text import Text

        wanted = self.asked.filter
        title = escape(output.one_line(f"{wanted.workflow_id or 'all workflows'} in {wanted.namespace}"))
        told = f"[bold]{title}[/bold]  {_clock(seen.at)}  "
        if isinstance(seen, Sight):
            return Text.from_markup(told + _freshness(seen))
        reason = escape(output.one_line(seen.reason))
        away = f"not reachable since {_clock(seen.since)}, trying again"
        return Text.from_markup(f"{told}[red]{away}[/red]: {reason}")

    def body(self, sight: Sight) -> Iterator[RenderableType]:
        """Return the counts and the two lists."""
        from rich.text import Text

        wanted, window = self.asked.filter, self.asked.window
        began, ended = _since(wanted.started_since or window), _since(wanted.completed_since or window)
        yield ""
        yield Text.from_markup(f"started {began}: {_by_status(sight.by_status)}")
        yield ""
        yield f"not ended: {_total(sight.open)}"
        if sight.running:
            yield output.executions_table(sight.running)
        yield ""
        yield f"failed {ended}: {'the latest' if sight.failed else 'none'}"
        if sight.failed:
            yield output.executions_table(
                sight.failed, [output.relative(e.completed_at) for e in sight.failed], "ENDED"
            )


def plain(seen: Sight | Outage) -> dict[str, object]:
    """Return what is seen as programs get it; there is always an `unreachable_since`."""
    if isinstance(seen, Outage):
        return {"at": seen.at, "unreachable_since": seen.since, "reason": seen.reason}
    counts = {str(group.values[0]): group.executions for group in seen.by_status.groups}
    return {
        "at": seen.at,
        "unreachable_since": None,
        "by_status": counts,
        "started": seen.by_status.total,
        "open": seen.open.total,
        "exact": seen.by_status.exact and seen.open.exact,
        "running": list(seen.running),
        "failed": list(seen.failed),
        "freshness": seen.by_status.freshness.partitions,
    }


def _total(count: Count) -> str:
    return str(count.total) if count.exact else f"at least {count.total}"


def _by_status(count: Count) -> str:
    found = {group.values[0]: group.executions for group in count.groups}
    told = [f"{found[status]} {output.status_text(status)}" for status in Status if status in found]
    newest = "" if count.exact else f" (of the newest {count.newest})"
    return (", ".join(told) or "none") + newest


def _freshness(sight: Sight) -> str:
    from rich.markup import escape

    partitions = sight.by_status.freshness.partitions
    if not partitions:
        return "nothing was applied yet"
    age = min(each.age_seconds for each in partitions)
    halted = escape(", ".join(f"{each.topic}/{each.partition}" for each in partitions if each.halted))
    applied = f"last applied {output.relative(sight.at - timedelta(seconds=age), sight.at)}"
    return applied + (f", [red]halted: {halted}[/red]" if halted else "")


def _since(when: When) -> str:
    if isinstance(when, timedelta):
        return f"in the last {output.duration(when / timedelta(milliseconds=1))}"
    return f"since {when.isoformat(sep=' ')}"


def _clock(time: datetime) -> str:
    return f"{time.astimezone(UTC):%H:%M:%S} UTC"
