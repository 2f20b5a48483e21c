"""Accepting a loss: where a halted partition goes on, and what its operator must be told before. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from consumer.errors import ExitCode, WexError
from consumer.incident_kinds import GoOn, Kind, kind

if TYPE_CHECKING:
    from store.incidents import Resolution, Standing

LogRange = tuple[int, int]  # start and end


class Decision(NamedTuple):
    """What becomes of a position, and what that means, line by line."""

    shown: Standing
    resolution: Resolution
    next_offset: int
    lines: tuple[str, ...] = ()


def without_moving(shown: Standing, to: int | None) -> Decision | None:
    """Close the incidents of a partition that is not halted; None where there is something to move.

    Raises:
        WexError: there is nothing to accept.
    """
    if not shown.incidents:
        remedy = f"`wex incidents resume {shown.partition}` reads on." if shown.halted else ""
        raise WexError(f"{shown.partition} has no open incident to accept", remedy, ExitCode.REFUSED)
    if shown.halted:
        return None
    where = f"{shown.partition} is live at {shown.next_offset}"
    if to is not None:
        raise WexError(f"{where}: what is not halted is not moved", exit_code=ExitCode.REFUSED)
    return Decision(shown, "noted", shown.next_offset, (f"{where}; its incidents are closed, and nothing moves",))


def by_moving(shown: Standing, to: int | None, log: LogRange | None) -> Decision:
    """Go on at an offset, or where the kind of incident leads to; `log` is None where Kafka does not answer.

    Raises:
        WexError: the offset is missing, or the log does not hold it.
    """
    at = shown.next_offset
    name, of_kind = _halting(shown)
    if to is None:
        if log is None or of_kind.go_on is not GoOn.LOG_START:
            where = f"; the log goes from {log[0]} to {log[1]}" if log else ""
            message = f"where the damage of {shown.partition} ends is not known: {name} at {at}{where}"
            raise WexError(message, "Name the first offset after it: --to OFFSET.", ExitCode.USAGE)
        to = log[0]
    if log is not None and not log[0] <= to <= log[1]:
        message = f"the log of {shown.partition} goes from {log[0]} to {log[1]} and does not hold {to}"
        raise WexError(message, exit_code=ExitCode.REFUSED)
    head = f"{shown.partition} is halted at {at} ({name}: {of_kind.meaning})"
    unchecked = () if log else ("Kafka does not answer: whether the log holds that offset is not known",)
    return Decision(shown, "accepted", to, (head, *_losses(of_kind, at, to, log), *unchecked))


def _halting(shown: Standing) -> tuple[str, Kind]:
    """Return the kind of the newest incident that can have led to the halt."""
    names = [name for _, name in shown.incidents if kind(name).go_on is not GoOn.SAME]
    return (names[-1], kind(names[-1])) if names else ("halted by hand", kind(""))


def _losses(of_kind: Kind, at: int, to: int, log: LogRange | None) -> list[str]:
    """Say what is given up by going on at an offset instead of where the table stands."""
    if of_kind.another_log:
        lines = [
            f"the log that is there now is read from {to}; what the table has already stays",
            f"what another log held from {at} on is given up",
        ]
        if to > (log[0] if log else 0):
            lines.append(f"records of the log that is there now are passed over: {log[0] if log else 0} to {to - 1}")
        return lines
    if to > at:
        offsets = f"1 offset is given up, {at}" if to - at == 1 else f"{to - at} offsets are given up, {at} to {to - 1}"
        return [f"{offsets}: what was there never reaches the table"]
    return [f"the log is read again from {to}: nothing is passed over, and what the table has already stays"]
