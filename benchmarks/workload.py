"""The workload of the benchmarks: the events of many executions as records, in the order of a busy log.

Lives of two events and a fifth, some of them open at a time, told in turns; a few records come twice, and a few before
their time. Payloads are small, names are few, and ids never come again. The same arguments give the same records.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import NamedTuple
from uuid import UUID

from events.identity import execution_id

BEGIN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
OPEN_AT_ONCE = 5_000  # executions
REDELIVERED = 0.02  # of all records
EARLY = 0.01  # of all records: each changes places with the one that was to come
WORKFLOWS = 20
USERS = 200
EVENTS_EACH = 2.2  # on average, what comes twice not counted


class Told(NamedTuple):
    """One record of the workload.

    Attributes:
        execution: the number of the execution that it speaks of; all its records belong into one partition.
        key: the record's key, which is the execution's id.
        value: a CloudEvent.
    """

    execution: int
    key: bytes
    value: bytes


def workload(
    executions: int, *, first: int = 0, seed: int = 0, open_at_once: int = OPEN_AT_ONCE, more_bytes: int = 0
) -> Iterator[Told]:
    """Yield the records of so many executions, numbered from the first on.

    Inputs and outputs are of 0.2 kB, and longer by as many bytes as are asked for.
    """
    random = Random(seed)  # noqa: S311 - a draw that can be repeated
    early: Told | None = None
    for told in _in_turns(range(first, first + executions), open_at_once, more_bytes):
        if early is None and random.random() < EARLY:
            early = told
            continue
        yield told
        if early is not None:
            yield early
            early = None
        if random.random() < REDELIVERED:
            yield told
    if early is not None:
        yield early


def _in_turns(executions: range, open_at_once: int, more_bytes: int) -> Iterator[Told]:
    """Yield the lives of executions: each goes on when as many others have begun as are open at once."""
    for number in range(executions.start, executions.stop + open_at_once):
        if number in executions:
            yield _started(number, more_bytes)
        halfway, over = number - open_at_once // 2, number - open_at_once
        if halfway % 5 == 0 and halfway in executions:
            yield _heartbeat(halfway)
        if over in executions:
            yield _ended(over, more_bytes)


def _started(number: int, more_bytes: int) -> Told:
    note = "x" * 90 + _noise(number, more_bytes)
    asked = f'{{"order":{number},"amount":"{number % 900}.90","lines":[1,2,3],"note":"{note}"}}'
    said = f'"user_id":"user-{number * 7 % USERS}","workflow_name":"Order {number % WORKFLOWS}","input":{asked}'
    return _told(number, "started", 0, said)


def _heartbeat(number: int) -> Told:
    return _told(number, "heartbeat", 1, '"progress":{"done":2,"total":4,"message":"packing"}')


def _ended(number: int, more_bytes: int) -> Told:
    if number % 20 == 0:
        wrong = '{"message":"the card was declined","type":"CardDeclined","retryable":false}'
        return _told(number, "failed", 5, f'"duration_ms":5000,"error":{wrong}')
    given = f'{{"delivered":true,"parcels":["p-1","p-2"],"note":"{"y" * 120}{_noise(number, more_bytes)}"}}'
    return _told(number, "completed", 5, f'"duration_ms":5000,"activities_executed":4,"output":{given}')


def _told(number: int, verb: str, seconds: int, said: str) -> Told:
    workflow, run = f"order-{number:08}", _run_id(number)
    id_ = execution_id("default", workflow, run)
    time = BEGIN + timedelta(milliseconds=number * 7, seconds=seconds)
    value = (
        f'{{"specversion":"1.0","id":"{id_}-{verb}","source":"/shop","subject":"{id_}","partitionkey":"{id_}",'
        f'"time":"{time:%Y-%m-%dT%H:%M:%S.%f}Z","type":"workflow.execution.{verb}.v1",'
        f'"datacontenttype":"application/json","data":{{"workflow_id":"workflow-{number % WORKFLOWS}",'
        f'"temporal_workflow_id":"{workflow}","temporal_run_id":"{run}","orchestrator":"temporal",{said}}}}}'
    )
    return Told(number, str(id_).encode(), value.encode())


def _noise(number: int, count: int) -> str:
    """Return characters that PostgreSQL cannot compress away, as it would a letter that is repeated."""
    return base64.b64encode(Random(number).randbytes(count * 3 // 4)).decode() if count else ""  # noqa: S311 - a draw that can be repeated


def _run_id(number: int) -> str:
    return str(UUID(bytes=hashlib.blake2b(number.to_bytes(8), digest_size=16).digest(), version=4))
