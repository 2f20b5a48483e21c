"""Golden records: one per verb and version, kept for ever with what they fold to.

A file is never changed, only added: the records stand for those that lie in logs already. `python -m
tests.contract.golden` writes the files that are missing.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from events import Event, Verb, decode, encode, fold, row
from events.fold import FOLD_VERSION
from events.vocabulary import VERBS
from tests.lives import at, event

FOLDER = Path(__file__).parents[1] / "golden" / "v1"


def folded(record: bytes) -> dict[str, Any]:
    """What a record alone folds to: the row, and the order and values of every register, all as plain JSON."""
    found = decode(record)
    assert isinstance(found, Event)
    state = fold([found])
    return {
        "fold_version": FOLD_VERSION,
        "row": {name: _plain(value) for name, value in asdict(row(state)).items()},
        "registers": {
            name: {"order": cell.order.hex(), "values": [_plain(value) for value in cell.values]}
            for name, cell in sorted(state.registers.items())
        },
    }


def full(verb: Verb) -> Event:
    """An event of a verb that carries every field of the contract."""
    other = {"namespace": "elsewhere", "temporal_workflow_id": "parent-1", "temporal_run_id": "run-0"}
    return event(
        verb,
        5.000001,
        event_id=f"golden-{verb}",
        attempt=2,
        authority="server",
        revises=VERBS[verb].terminal,
        namespace="billing",
        orchestrator="airflow",
        user_id="ada",
        workflow_name='Invoice "é" 😀',
        next_run_id="run-2",
        parent=other,
        root=other,
        labels={"team": "a", "tier": "1"},
        scheduled_for=at(-60),
        queue="default",
        started_at=at(1),
        completed_at=at(4.5),
        input={"n": 18446744073709551615, "text": "two\nlines"},
        output=[1.0, None, True],
        error={"message": "E", "type": "T", "code": "C", "stack_trace": "at 1", "retryable": True},
        duration_ms=3_500,
        activities_executed=7,
        progress={"done": 3, "total": 4.5, "message": "half"},
        reason="because",
        actor="bob",
        timeout_kind="start_to_close",
        timeout_ms=60_000,
    )


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))


def write_missing() -> None:
    """Write the files of verbs that have none yet."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for verb in Verb:
        path = FOLDER / f"{verb}.json"
        if not path.exists():
            path.write_bytes(encode(full(verb)))
            expected = json.dumps(folded(path.read_bytes()), indent=1, ensure_ascii=False)
            (FOLDER / f"{verb}.folded.json").write_text(expected + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_missing()
