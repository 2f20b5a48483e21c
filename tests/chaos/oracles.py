"""The oracles: what must be true of the log, the ledger and the tables when everything has healed and is applied."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from random import Random
from typing import Any
from uuid import UUID

import asyncpg

from events import Event, ExecutionRow, decode, fold, row
from events.catalogue import Catalogue
from tests import oracle
from tests.chaos.lives_told import POISON_KEY, POISONS
from tests.chaos.segments import LogRecord, PartitionLog
from tests.consuming import fetch, rows

NAMED_MAX = 5  # examples in a verdict
SAMPLE_ROWS = 3_000  # held against the second oracle, which is slow

Log = Mapping[int, PartitionLog]
Step = tuple[int, int]  # from offset, next offset


@dataclass(frozen=True)
class Finding:
    """What one oracle found.

    Attributes:
        counts: what was counted, whether right or wrong.
        wrong: what must not be, with examples; empty if the oracle is content.
    """

    counts: Mapping[str, Any]
    wrong: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As it stands in the verdict."""
        return {"passed": not self.wrong, **self.counts, "wrong": list(self.wrong)}


def _finding(counts: Mapping[str, Any], wrong: Mapping[str, Sequence[object]]) -> Finding:
    """Everything in `wrong` is counted; what there is of it is named."""
    named = tuple(
        f"{len(found)} {what}: " + ", ".join(map(str, found[:NAMED_MAX])) for what, found in wrong.items() if found
    )
    return Finding({**counts, **{what: len(found) for what, found in wrong.items()}}, named)


async def judge_ledger(url: str, log: Log) -> Finding:
    """O1: the ledger holds each committed record of the log below the position exactly once, and nothing else.

    The records of the log are what a reader of committed records sees, poison and null values included. Transaction
    markers and aborted records have an offset and are no records: positions go over them, the ledger must not hold
    them. So that none is jumped over unseen, the steps of a position must join without a gap or an overlap, from the
    log's start to the position.
    """
    positions = {r["partition"]: r["next_offset"] for r in await fetch(url, "SELECT * FROM positions")}
    entered = Counter((r[0], r[1]) for r in await fetch(url, 'SELECT partition, "offset" FROM ledger'))
    steps: dict[int, list[Step]] = defaultdict(list)
    for r in await fetch(url, "SELECT partition, from_offset, next_offset FROM steps ORDER BY 1, 2, 3"):
        steps[r["partition"]].append((r["from_offset"], r["next_offset"]))
    due = {(n, offset) for n, each in log.items() for offset in each.records if offset < positions.get(n, 0)}
    wrong: dict[str, Sequence[object]] = {
        "missing": sorted(due - set(entered)),
        "duplicate": sorted(place for place, times in entered.items() if times > 1),
        "extra": sorted(set(entered) - due),
        "gaps": [
            f"partition {n}: {gap}" for n, taken in sorted(steps.items()) for gap in gaps(taken, positions.get(n, 0))
        ],
        "behind": [n for n, each in log.items() if positions.get(n, 0) != each.end],
        "unfinished": [n for n, each in log.items() if each.open],
    }
    counts = {
        "records": sum(len(each.records) for each in log.values()),
        "aborted": sum(len(each.aborted) for each in log.values()),
        "markers": sum(len(each.markers) for each in log.values()),
        "entered": sum(entered.values()),
    }
    return _finding(counts, wrong)


def gaps(steps: Sequence[Step], end: int) -> list[str]:
    """Where sorted steps do not join from 0 to an end."""
    joined = [(0, 0), *steps, (end, end)]
    return [f"{before} then {after}" for before, after in pairwise(joined) if before[1] != after[0]]


async def judge_tables(url: str, log: Log, chance: Random) -> Finding:
    """O2: each column of each row is the fold of the log, and what a second, independent oracle allows."""
    values: dict[UUID, list[bytes]] = defaultdict(list)
    folded: dict[UUID, list[Event]] = defaultdict(list)
    catalogue = Catalogue()
    for record in _records(log):
        event = None if _is_poison(record) else decode(record.value)
        if isinstance(event, Event):
            catalogue.add(event)
            folded[event.execution_id].append(event)
            values[event.execution_id].append(record.value or b"")
    found = await rows(url)
    expected = {id_: row(fold(events)) for id_, events in folded.items()}
    workflows = await fetch(url, "SELECT namespace, id, created_at, name_order, name FROM workflows")
    users = await fetch(url, "SELECT id, created_at FROM users")
    sample = chance.sample(sorted(values), min(SAMPLE_ROWS, len(values)))
    wrong: dict[str, Sequence[object]] = {
        "rows missing": sorted(set(expected) - set(found)),
        "rows extra": sorted(set(found) - set(expected)),
        "rows wrong": [
            f"{id_} {differences(expected[id_], found[id_])}"
            for id_ in sorted(set(expected) & set(found))
            if expected[id_] != found[id_]
        ],
        "rows the oracle forbids": [id_ for id_ in sample if id_ in found and not _allowed(found[id_], values[id_])],
        "catalogue": [
            name
            for name, shown, due in (
                ("workflows", {(r["namespace"], r["id"]): tuple(r)[2:] for r in workflows}, catalogue.workflows),
                ("users", {r["id"]: r["created_at"] for r in users}, catalogue.users),
            )
            if shown != due
        ],
    }
    return _finding({"rows": len(found), "held against the oracle": len(sample)}, wrong)


def differences(expected: ExecutionRow, found: ExecutionRow) -> str:
    """The columns in which two rows differ, with both values."""
    pairs = [(f.name, getattr(expected, f.name), getattr(found, f.name)) for f in fields(ExecutionRow)]
    return ", ".join(
        f"{name}: {due!r} in the log, {shown!r} in the table" for name, due, shown in pairs if due != shown
    )


def _allowed(found: ExecutionRow, values: Iterable[bytes]) -> bool:
    allowed = oracle.rows_for([oracle.read(value) for value in values])
    return all(getattr(found, column) in each for column, each in allowed.items())


async def judge_order(url: str) -> Finding:
    """O3: in each partition, transactions committed in the order of the offsets they applied."""
    found = await fetch(
        url,
        "SELECT partition, from_offset, pg_xact_commit_timestamp(xact::text::xid) AS committed_at, xact FROM steps"
        " ORDER BY partition, committed_at, xact",
    )
    inversions = [
        f"partition {before['partition']}: {after['from_offset']} after {before['from_offset']}"
        for before, after in pairwise(found)
        if before["partition"] == after["partition"] and after["from_offset"] <= before["from_offset"]
    ]
    undated = [r["xact"] for r in found if r["committed_at"] is None]
    return _finding({"steps": len(found)}, {"inversions": inversions, "without a commit time": undated})


async def judge_dead_letters(url: str, log: Log) -> Finding:
    """O4: the dead letters are the poison that was sent, byte for byte, each once, and nothing else."""
    poison = {(r.partition, r.offset): r for r in _records(log) if _is_poison(r)}
    kept: dict[tuple[int, int], list[asyncpg.Record]] = defaultdict(list)
    for letter in await fetch(url, "SELECT * FROM dead_letters"):
        kept[letter["partition"], letter["offset"]].append(letter)
    wrong = {
        "missing": sorted(set(poison) - set(kept)),
        "extra": sorted(set(kept) - set(poison)),
        "duplicate": sorted(place for place, letters in kept.items() if len(letters) > 1),
        "changed": sorted(p for p in set(poison) & set(kept) if _kept(kept[p][0]) != poison[p][2:]),
        "not as sent": sorted(p for p, r in poison.items() if r.value != _sent(r)),
    }
    return _finding({"poison": len(poison), "dead letters": sum(map(len, kept.values()))}, wrong)


def _is_poison(record: LogRecord) -> bool:
    return record.key is not None and record.key.startswith(POISON_KEY)


def _kept(letter: asyncpg.Record) -> tuple[object, ...]:
    headers = tuple(zip(letter["header_keys"], letter["header_values"], strict=True))
    return letter["record_timestamp_ms"], letter["key"], letter["value"], headers


def _sent(record: LogRecord) -> bytes | None:
    assert record.key is not None, "poison has one"
    return POISONS[int(record.key.removeprefix(POISON_KEY).partition(b"-")[0])].value


async def judge_incidents(url: str) -> Finding:
    """O8: no partition is halted, for nothing happened to the log that would be a reason."""
    found = await fetch(url, "SELECT kind, partition, detail FROM incidents")
    halted = await fetch(url, "SELECT partition FROM positions WHERE state <> 'live'")
    incidents = [f"{r['kind']} of partition {r['partition']}: {r['detail']}" for r in found]
    return _finding({}, {"incidents": incidents, "halted": [r["partition"] for r in halted]})


def _records(log: Log) -> Iterable[LogRecord]:
    return (record for each in log.values() for record in each.records.values())
