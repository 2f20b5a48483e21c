"""What the consumer would make of records: refused, skipped, or an event, with what it would lose."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from events import Event, ExecutionRow, InvalidEvent, Skipped, decode, fold, row
from events.identity import RunKey
from events.schema import Schema, event_schema


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the consumer would make of one record.

    Attributes:
        line: where the record begins in its file, counted from 1.
        outcome: the event, or why there is none.
        ignored: paths of the fields that the contract does not know.
    """

    line: int
    outcome: Event | Skipped | InvalidEvent
    ignored: tuple[str, ...] = field(default=())

    @property
    def good(self) -> bool:
        """Whether the record is an event that loses nothing."""
        return isinstance(self.outcome, Event) and not self.outcome.withheld and not self.ignored

    def lines(self) -> Iterator[str]:
        """Say it to people, one line for each thing."""
        where = f"line {self.line}"
        match self.outcome:
            case Event() as event:
                yield f"{where}: {event.verb} of {event.execution_id}"
                for name, marker in event.withheld.items():
                    yield f"{where}: withheld: data.{name}: {marker.code} ({marker.size:,} bytes)"
            case Skipped(reason=reason):
                yield f"{where}: skipped: {reason} in type"
            case InvalidEvent() as error:
                yield f"{where}: refused: {error}"
        for path in self.ignored:
            yield f"{where}: ignored: {path} is no field of the contract"

    def plain(self) -> dict[str, Any]:
        """Say it to programs."""
        said: dict[str, Any] = {"line": self.line, "good": self.good}
        match self.outcome:
            case Event() as event:
                withheld = {f"data.{name}": marker.code for name, marker in event.withheld.items()}
                names = {"type": event.type, "execution_id": str(event.execution_id)}
                return {**said, "verdict": "event", **names, "withheld": withheld, "ignored": self.ignored}
            case Skipped(reason=reason):
                return {**said, "verdict": "skipped", "reason": reason, "field": "type"}
            case InvalidEvent() as error:
                return {
                    **said,
                    "verdict": "refused",
                    "reason": error.reason,
                    "field": error.field,
                    "detail": error.detail,
                }


def records(text: bytes) -> list[tuple[int, bytes]]:
    """Return the records of a file with the lines they begin on: one for each line, or a single one over many.

    There is one on each line if the first is whole by itself, or if another begins where a line does.
    """
    lines = [(number, line.strip()) for number, line in enumerate(text.split(b"\n"), start=1) if line.strip()]
    if not lines:
        return []
    beginnings = sum(line.startswith(b"{") for line in text.split(b"\n"))
    if beginnings > 1 or _whole(lines[0][1]):
        return lines
    return [(lines[0][0], text)]


def _whole(line: bytes) -> bool:
    try:
        json.loads(line, parse_int=str)  # Python converts no integer of more than 4,300 digits
    except (ValueError, RecursionError):
        return False
    return True


def judge(line: int, record: bytes) -> Verdict:
    """Return what the consumer would make of a record."""
    try:
        outcome = decode(record)
    except InvalidEvent as error:
        return Verdict(line, error)
    if isinstance(outcome, Skipped):
        return Verdict(line, outcome)
    schema = event_schema("publisher")
    unknown = _unknown(json.loads(record, parse_int=str), schema, schema["$defs"])
    return Verdict(line, outcome, tuple(path.encode(errors="backslashreplace").decode() for path in unknown))


def rows(judged: Sequence[Verdict]) -> list[ExecutionRow]:
    """Return the row of every execution that the events speak of."""
    by_run: dict[RunKey, list[Event]] = {}
    for verdict in judged:
        if isinstance(verdict.outcome, Event):
            by_run.setdefault(verdict.outcome.data.run, []).append(verdict.outcome)
    return [row(fold(events)) for events in by_run.values()]


def _unknown(value: Any, schema: Schema, parts: dict[str, Schema], path: str = "") -> Iterator[str]:  # noqa: ANN401 - JSON
    """Yield the paths of fields for which a closed schema has no place."""
    known = _object(schema, parts).get("properties")
    if known is None or not isinstance(value, dict):
        return
    for name, item in value.items():
        if name in known:
            yield from _unknown(item, known[name], parts, f"{path}{name}.")
        else:
            yield f"{path}{name}"


def _object(schema: Schema, parts: dict[str, Schema]) -> Schema:
    """Return the alternative of a schema that describes an object with known fields, or an empty one."""
    if reference := schema.get("$ref"):
        return parts[reference.rpartition("/")[2]]
    return next((_object(option, parts) for option in schema.get("anyOf", ()) if "$ref" in option), schema)
