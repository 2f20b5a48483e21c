"""`make bench-core`: what decoding, validating and folding cost, in microseconds of processor time per event.

Every way is measured over the same records in the same process, in rounds that take turns, so that the ratios hold
whatever else the machine does. The records are the lives of many executions: 650 bytes each on average, a few
workflows and users, ids that never come again.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import orjson

from consumer.batch import prepare
from consumer.chunk import Chunk, Span
from consumer.record import Record
from events import Event, State, Verb, decode, encode, merge
from events.codec import validate
from events.fold import state_of
from events.position import TopicPartition
from events.versions import Versions
from store.postgres import incoming

HEADERS = (("content-type", b"application/cloudevents+json"),)
NO_VERSIONS = Versions()  # the short way knows only the contract's own

BEGIN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def events(executions: int) -> Iterator[Event]:
    """Yield the events of so many executions: a start, now and then a sign of life, and an end."""
    for number in range(executions):
        run = {
            "workflow_id": f"workflow-{number % 20}",
            "temporal_workflow_id": f"order-{number:08}",
            "temporal_run_id": str(UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128, version=4)),
        }
        begin = BEGIN + timedelta(milliseconds=number * 7)
        end = begin + timedelta(seconds=5, microseconds=number)
        asked = {"order": number, "amount": f"{number % 900}.90", "lines": [1, 2, 3], "note": "x" * 90}
        yield _event(
            number, Verb.STARTED, begin, run, user_id=f"user-{number % 200}", workflow_name="Order", input=asked
        )
        if number % 5 == 0:
            done = {"done": 2, "total": 4, "message": "packing"}
            yield _event(number, Verb.HEARTBEAT, begin + timedelta(seconds=1), run, progress=done)
        if number % 20 == 0:
            wrong = {"message": "the card was declined", "type": "CardDeclined", "retryable": False}
            yield _event(number, Verb.FAILED, end, run, error=wrong, duration_ms=5_000)
        else:
            given = {"delivered": True, "parcels": ["p-1", "p-2"], "note": "y" * 120}
            yield _event(number, Verb.COMPLETED, end, run, output=given, duration_ms=5_000, activities_executed=4)


def _event(number: int, verb: Verb, at: datetime, run: dict[str, Any], **said: Any) -> Event:  # noqa: ANN401 - any field
    key = str(UUID(int=number * 0xD1342543DE82EF95 % 2**128, version=4))
    envelope = {"id": f"{key}-{verb}", "source": "/shop", "subject": key, "partitionkey": key, "time": at}
    data = {**run, "orchestrator": "temporal", **said}
    return validate({"specversion": "1.0", "verb": verb, **envelope, "data": data})


def ways(values: Sequence[bytes]) -> dict[str, Callable[[], object]]:
    """Return what is measured: each goes over all records once."""
    decoded = [_decoded(value) for value in values]
    partition = TopicPartition("benchmark", 0)
    records = tuple(Record(offset, 0, b"key", value, HEADERS) for offset, value in enumerate(values))
    chunk = Chunk(0, {partition: records}, {partition: Span(0, len(records))})
    states = list(_folded(decoded).values())

    def everything() -> None:
        for _ in prepare(chunk):
            pass

    return {
        "orjson.loads": lambda: [orjson.loads(value) for value in values],
        "msgspec.json.decode": lambda: [msgspec.json.decode(value) for value in values],
        "decode and validate, the long way": lambda: [decode(value, HEADERS, versions=NO_VERSIONS) for value in values],
        "decode and validate": lambda: [decode(value, HEADERS) for value in values],
        "fold": lambda: _folded(decoded),
        "states as rows for SQL": lambda: [incoming(state) for state in states],
        "decode, validate and fold": lambda: _folded(decode(value, HEADERS) for value in values),
        "all the consumer does between Kafka and SQL": everything,
    }


def _decoded(value: bytes) -> Event:
    event = decode(value)
    assert isinstance(event, Event), "the benchmark's records are events"
    return event


def _folded(decoded: Any) -> dict[Any, State]:  # noqa: ANN401 - what decode gives
    states: dict[Any, State] = {}
    for event in decoded:
        state = state_of(event)
        held = states.get(state.run)
        states[state.run] = state if held is None else merge(held, state)
    return states


def measure(over: dict[str, Callable[[], object]], count: int, rounds: int) -> dict[str, list[float]]:
    """Return for each way its microseconds per event, one figure a round; the ways take turns."""
    figures: dict[str, list[float]] = {name: [] for name in over}
    for _ in range(rounds):
        for name, way in over.items():
            began = time.process_time()
            way()
            figures[name].append((time.process_time() - began) / count * 1e6)
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Microseconds per event of decode, validate and fold.")
    parser.add_argument("--executions", type=int, default=1_000, help="executions in the records (default 1,000)")
    parser.add_argument("--rounds", type=int, default=30, help="rounds over all records (default 30)")
    parser.add_argument("--profile", action="store_true", help="print where the time of decode and fold goes, too")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    values = [encode(event) for event in events(arguments.executions)]
    over = ways(values)
    figures = measure(over, len(values), arguments.rounds)
    base = min(figures["orjson.loads"])
    rows = [
        {"way": name, "best_us": min(all_), "median_us": statistics.median(all_), "ratio_to_orjson": min(all_) / base}
        for name, all_ in figures.items()
    ]
    mean = sum(map(len, values)) / len(values)
    if arguments.json:
        sys.stdout.write(json.dumps({"events": len(values), "bytes_on_average": mean, "items": rows}) + "\n")
        return
    sys.stdout.write(f"{len(values)} events of {mean:.0f} bytes, {arguments.rounds} rounds; microseconds per event\n\n")
    sys.stdout.write(f"{'':45}{'best':>8}{'median':>8}{'of orjson':>10}\n")
    for row in rows:
        ratio = f"{row['ratio_to_orjson']:.1f}"
        sys.stdout.write(f"{row['way']:45}{row['best_us']:8.2f}{row['median_us']:8.2f}{ratio:>10}\n")
    if arguments.profile:
        _profile(over["decode, validate and fold"])


def _profile(way: Callable[[], object]) -> None:
    profile = cProfile.Profile()
    profile.runcall(lambda: [way() for _ in range(5)])
    sys.stdout.write("\nWhere it goes (under the profiler, which makes calls of Python dearer than they are):\n")
    pstats.Stats(profile, stream=sys.stdout).strip_dirs().sort_stats("tottime").print_stats(20)


if __name__ == "__main__":
    main()
