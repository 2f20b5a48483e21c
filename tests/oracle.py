"""An independent oracle: what the rows must be, decided from the whole list of an execution's events at once.

It imports nothing of the project and knows no registers and no merge: it sorts the events by the contract's rules and
decides. Where the rules leave a tie between different contents, it allows each of them; hence every column comes as
the list of its allowed values.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

Happening = dict[str, Any]
Key = Callable[[Happening], tuple[Any, ...]]

AUTHORITIES = ["inferred", "worker", "server", "operator"]
ORDER_OF_VERBS = [
    "scheduled",
    "heartbeat",
    "started",
    "paused",
    "resumed",
    "retrying",
    "completed",
    "continued_as_new",
    "timed_out",
    "cancelled",
    "failed",
    "terminated",
]
TERMINAL = set(ORDER_OF_VERBS[6:])
STATUS = {"scheduled": "pending", "started": "running", "heartbeat": "running", "resumed": "running"}
BASE_RANK = {"scheduled": 1, "heartbeat": 2}
FACTS = {
    "workflow_id": "workflow_id",
    "user_id": "created_by",
    "workflow_name": "workflow_name",
    "next_run_id": "next_run_id",
    "scheduled_for": "scheduled_for",
    "orchestrator": "orchestrator",
}


def read(record: bytes) -> Happening:
    """An event of a record that is known to be valid, flat, with its times as instants."""
    envelope = json.loads(record)
    data = {name: value for name, value in envelope["data"].items() if value is not None}
    for name in ("started_at", "completed_at", "scheduled_for"):
        if name in data:
            data[name] = datetime.fromisoformat(data[name])
    verb = envelope["type"].split(".")[2]
    return {"attempt": 1, "authority": "worker", **data, "verb": verb, "time": datetime.fromisoformat(envelope["time"])}


def level(e: Happening) -> int:
    """How strong the word of an event is."""
    return AUTHORITIES.index(e["authority"])


def is_revision(e: Happening) -> bool:
    """Any event of an operator, or of a server that revises."""
    return e["authority"] == "operator" or bool(e.get("revises"))


def is_report(e: Happening) -> bool:
    """A terminal verb of a worker or a server that does not revise."""
    return e["verb"] in TERMINAL and e["authority"] in ("worker", "server") and not is_revision(e)


def minus(time: datetime) -> float:
    """A number that is greater for an earlier time."""
    return -(time - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)


def deciding_time(e: Happening) -> tuple[bool, float]:
    """T: a revision beats a report; of reports the earlier time wins, of everything else the later."""
    return is_revision(e), minus(e["time"]) if is_report(e) else -minus(e["time"])


def fact_key(e: Happening) -> tuple[Any, ...]:
    """Authority, then a revision by the later time, else the earlier time."""
    return level(e), is_revision(e), -minus(e["time"]) if is_revision(e) else minus(e["time"])


def place(e: Happening) -> int:
    """Place of the verb in the fixed order."""
    return ORDER_OF_VERBS.index(e["verb"])


def status_key(e: Happening) -> tuple[Any, ...]:
    """Attempt, rank, then authority and T between verdicts or the later time between steps, then the verb."""
    if is_report(e) or is_revision(e):
        return e["attempt"], 4, level(e), *deciding_time(e), place(e)
    return e["attempt"], BASE_RANK.get(e["verb"], 3), 0, False, -minus(e["time"]), place(e)


def best(events: Iterable[Happening], key: Key) -> list[Happening]:
    """The events with the greatest key: more than one where the rules leave a tie."""
    events = list(events)
    top = max(map(key, events), default=None)
    return [e for e in events if key(e) == top]


def verdict_key(e: Happening) -> tuple[Any, ...]:
    """Attempt, terminal or not, authority, T, verb."""
    return e["attempt"], e["verb"] in TERMINAL, level(e), *deciding_time(e), place(e)


def rows_for(events: list[Happening]) -> dict[str, list[Any]]:
    """The allowed values of every column of one execution."""
    claims = best([e for e in events if e["verb"] in ORDER_OF_VERBS], status_key)
    first = min(e["time"] for e in events)
    shown = claims[0] if claims else None
    attempt = shown["attempt"] if shown else 1
    ended = shown is not None and shown["verb"] in TERMINAL
    ends = [e.get("completed_at", e["time"]) for e in claims] if ended else [None]
    row: dict[str, list[Any]] = {
        "status": [STATUS.get(shown["verb"], shown["verb"]) if shown else "pending"],
        "attempt": [attempt],
        "completed_at": ends,
        "reason": [e.get("reason") for e in claims] or [None],
        "actor": [e.get("actor") for e in claims] or [None],
        "created_at": [first],
        "updated_at": [max(e["time"] for e in events)],
        "contested": [_contested(events, shown)],
    }
    row |= _payloads(events, shown, attempt)
    row |= _times(events, shown, attempt, ends, first)
    for name, column in FACTS.items():
        default = "temporal" if name == "orchestrator" else None
        row[column] = [e[name] for e in best([e for e in events if name in e], fact_key)] or [default]
    labelled = best([e for e in events if "labels" in e], lambda e: (level(e), -minus(e["time"])))
    row["labels"] = [e["labels"] for e in labelled] or [None]
    seen = best(
        [e for e in events if e["verb"] in ("deleted", "restored")],
        lambda e: (-minus(e["time"]), e["verb"] == "restored"),
    )
    row["deleted_at"] = [seen[0]["time"] if seen and seen[0]["verb"] == "deleted" else None]
    return row


def _belongs(e: Happening, shown: Happening | None) -> bool:
    return shown is not None and (e["attempt"], e["verb"]) == (shown["attempt"], shown["verb"])


def _payloads(events: list[Happening], shown: Happening | None, attempt: int) -> dict[str, list[Any]]:
    outputs = best([e for e in events if e["verb"] == "completed" and "output" in e], verdict_key)
    failing = (TERMINAL | {"retrying"}) - {"completed"}
    errors = best([e for e in events if e["verb"] in failing and "error" in e], verdict_key)
    inputs = best([e for e in events if "input" in e], lambda e: (e["attempt"], *fact_key(e)))
    beats = best([e for e in events if "progress" in e], lambda e: (e["attempt"], -minus(e["time"])))
    counts = best([e for e in events if "activities_executed" in e], lambda e: (e["attempt"], e["activities_executed"]))
    return {
        "output": [e["output"] for e in outputs if _belongs(e, shown)] or [None],
        "error": [e["error"] for e in errors if _belongs(e, shown)] or [None],
        "input": [e["input"] for e in inputs] or [None],
        "progress": [e["progress"] for e in beats if e["attempt"] == attempt] or [None],
        "activities_executed": [e["activities_executed"] for e in counts if e["attempt"] == attempt] or [None],
    }


def _times(
    events: list[Happening], shown: Happening | None, attempt: int, ends: list[Any], first: datetime
) -> dict[str, list[Any]]:
    starts = [
        {**e, "at": e.get("started_at", e["time"])} for e in events if e["verb"] == "started" or "started_at" in e
    ]
    start = best(starts, lambda e: (e["attempt"], level(e), minus(e["at"])))
    timed = best(
        [e for e in events if e["verb"] in TERMINAL and "duration_ms" in e],
        lambda e: (*verdict_key(e), e["duration_ms"]),
    )
    asked = best([e for e in events if e["verb"] == "cancel_requested"], lambda e: (e["attempt"], minus(e["time"])))
    durations: list[Any] = [e["duration_ms"] for e in timed if _belongs(e, shown)]
    if not durations and start and start[0]["attempt"] == attempt and ends != [None]:
        durations = [max(0, (end - start[0]["at"]) // timedelta(milliseconds=1)) for end in ends]
    return {
        "started_at": [start[0]["at"] if start else first],
        "start_reported": [bool(start)],
        "duration_ms": durations or [None],
        "cancel_requested_at": [asked[0]["time"] if asked and asked[0]["attempt"] == attempt else None],
    }


def _contested(events: list[Happening], shown: Happening | None) -> bool:
    if shown is None or not is_report(shown):
        return False
    same = [e for e in events if is_report(e) and (e["attempt"], level(e)) == (shown["attempt"], level(shown))]
    return len({e["verb"] for e in same}) > 1
