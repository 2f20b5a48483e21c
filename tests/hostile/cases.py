"""Hostile input as data: what a record can do to a consumer, and what must become of it.

A case has a number and, where the same trick has several spellings, several variants. Every case speaks of an
execution of its own, so that all of them can lie in one table and none can hide behind another. NUL is refused where
it would name something and withheld where it is content; whatever is merely strange is applied as it came.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from events import limits
from events.identity import RunKey
from tests.lives import at
from tests.unit.records import record

Headers = tuple[tuple[str, bytes | None], ...]


class Outcome(StrEnum):
    """What becomes of a record."""

    APPLY = "apply"
    WITHHELD = "withheld"  # applied, but for a payload that PostgreSQL cannot hold
    DEAD_LETTER = "dead letter"
    SKIP = "skip"


class Sent(NamedTuple):
    """A record as a producer sends it; without a timestamp the producer's clock gives one."""

    value: bytes | None
    key: bytes | None = b"k"
    headers: Headers = ()
    timestamp_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One trick.

    Attributes:
        number: the same for all variants of one trick.
        reason: of the dead letter, the payload withheld, or the skip.
        field: what the dead letter blames, or which payload is withheld.
        run: the execution that the records speak of, if they are applied.
        shows: columns of its row.
    """

    number: int
    name: str
    outcome: Outcome
    sent: tuple[Sent, ...]
    reason: str = ""
    field: str = ""
    run: RunKey
    shows: Mapping[str, Any]

    @property
    def has_row(self) -> bool:
        """Whether the execution is in the table."""
        return self.outcome in (Outcome.APPLY, Outcome.WITHHELD)

    def __str__(self) -> str:
        return f"{self.number:02}-{self.name.replace(' ', '-')}"


def hostile(
    run: str, data: Mapping[str, Any] | None = None, *, raw: dict[str, str | bytes] | None = None, **envelope: Any
) -> bytes:
    """A value that speaks of a run of the workflow `hostile`; see `tests.unit.records.record`."""
    names = {"workflow_id": "hostile", "temporal_workflow_id": "hostile", "temporal_run_id": run}
    return record({**names, **(data or {})}, raw=raw, **envelope)


def dead(
    number: int,
    name: str,
    reason: str,
    at_fault: str = "",
    *,
    value: bytes | None = None,
    sent: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
    raw: dict[str, str | bytes] | None = None,
    **envelope: Any,
) -> Case:
    """A record that is set aside: its value, or how it differs from a good one."""
    run = f"{number} {name}"
    made = hostile(run, data, raw=raw, **envelope) if value is None else value
    return Case(
        number=number,
        name=name,
        outcome=Outcome.DEAD_LETTER,
        sent=(Sent(made, **(sent or {})),),
        reason=reason,
        field=at_fault,
        run=_run(run),
        shows={},
    )


def applied(
    number: int,
    name: str,
    shows: Mapping[str, Any] | None = None,
    *,
    sent: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
    raw: dict[str, str | bytes] | None = None,
    **envelope: Any,
) -> Case:
    """A record that is applied: how it differs from a good one, and what the row must show besides its end."""
    run = f"{number} {name}"
    value = hostile(run, data, raw=raw, **envelope)
    names = {"namespace": "default", "temporal_run_id": run, **(data or {})}
    return Case(
        number=number,
        name=name,
        outcome=Outcome.APPLY,
        sent=(Sent(value, **(sent or {})),),
        run=_run(names["temporal_run_id"], names["namespace"]),
        shows={"status": "completed", **(shows or {})},
    )


def kept(number: int, name: str, text: str) -> Case:
    """A payload that is stored and read back with the value that it stands for."""
    return applied(number, name, {"input": json.loads(text)}, raw={"input": text})


def withheld(number: int, name: str, code: str, text: str, at_fault: str = "input") -> Case:
    """A payload that PostgreSQL cannot hold."""
    run = f"{number} {name}"
    marker: Any = {"$withheld": code, "bytes": len(text.encode()), "sha256": hashlib.sha256(text.encode()).hexdigest()}
    if at_fault == "reason":
        marker = json.dumps(marker, separators=(",", ":"))
    verb = "failed" if at_fault == "error" else "completed"
    return Case(
        number=number,
        name=name,
        outcome=Outcome.WITHHELD,
        sent=(Sent(hostile(run, raw={at_fault: text}, type=f"workflow.execution.{verb}.v1")),),
        reason=code,
        field=at_fault,
        run=_run(run),
        shows={"status": verb, at_fault: marker},
    )


def story(number: int, name: str, shows: Mapping[str, Any], *told: tuple[str, float, dict[str, Any]]) -> Case:
    """Several records of one run with one event id, as (verb, seconds, data), and what their row must show."""
    run = f"{number} {name}"
    sent = []
    for verb, seconds, data in told:
        envelope: dict[str, Any] = {"type": f"workflow.execution.{verb}.v1", "time": at(seconds).isoformat()}
        sent.append(Sent(hostile(run, data, **envelope)))
    return Case(number=number, name=name, outcome=Outcome.APPLY, sent=tuple(sent), run=_run(run), shows=shows)


def skipped(number: int, name: str, reason: str, value: bytes | None) -> Case:
    """A record that says nothing to this version."""
    run = _run(f"{number} {name}")
    return Case(number=number, name=name, outcome=Outcome.SKIP, sent=(Sent(value),), reason=reason, run=run, shows={})


def _run(temporal_run_id: str, namespace: str = "default") -> RunKey:
    return RunKey(namespace, "hostile", temporal_run_id)


def _nested(depth: int) -> str:
    return "[" * depth + "]" * depth


GOOD = hostile("never applied")
NAMELESS = {"temporal_run_id": ...}


def twice(name: str, first: str, value: bytes = GOOD) -> bytes:
    """A value that holds one of its names a second time, in front of where it stands."""
    there = b'"%s":' % name.encode()
    assert value.count(there) == 1, name
    return value.replace(there, there + first.encode() + b"," + there)


BYTES = [
    skipped(1, "no value", "tombstone", None),
    dead(2, "no bytes", "empty", value=b""),
    dead(3, "only space", "empty", value=b" \t\r\n"),
    dead(4, "a word", "not_json", value=b"hello"),
    dead(4, "bytes that repeat", "not_json", value=b"\x01" * 1000),
    *(dead(5, f"cut off at {n}", "not_json", value=GOOD[:n]) for n in (1, 20, len(GOOD) // 2, len(GOOD) - 1)),
    dead(6, "a word behind it", "not_json", value=GOOD + b" x"),
    dead(6, "an event behind it", "not_json", value=GOOD * 2),
    dead(6, "an object behind it", "not_json", value=b"{}{}"),
    dead(7, "NUL behind it", "not_json", value=GOOD + b"\x00"),
    dead(7, "NUL in front of it", "not_json", value=b"\x00" + GOOD),
    dead(8, "a byte order mark", "not_json", value=b"\xef\xbb\xbf" + GOOD),
    dead(9, "UTF-16 with a mark", "not_utf8", value=GOOD.decode().encode("utf-16")),
    dead(9, "UTF-16 without one", "not_json", value=GOOD.decode().encode("utf-16-le")),
    dead(9, "UTF-32", "not_json", value=GOOD.decode().encode("utf-32-be")),
    dead(10, "ff in a payload", "not_utf8", raw={"input": b'"\xff"'}),
    dead(10, "latin 1 in an id", "not_utf8", data=NAMELESS, raw={"temporal_run_id": b'"\xe9"'}),
    dead(10, "a character cut off", "not_utf8", raw={"input": b'"\xf0\x9f\x98"'}),
    dead(11, "an overlong NUL", "not_utf8", raw={"input": b'"\xc0\x80"'}),
    dead(11, "an overlong slash", "not_utf8", raw={"input": b'"\xe0\x80\xaf"'}),
    dead(12, "a surrogate in bytes", "not_utf8", raw={"input": b'"\xed\xa0\x80"'}),
    dead(12, "a pair in bytes", "not_utf8", raw={"input": b'"\xed\xa0\xbd\xed\xb8\x80"'}),
    dead(42, "Confluent's magic byte", "not_json", value=b"\x00\x00\x00\x00\x01" + GOOD),
    dead(42, "Avro", "not_json", value=b"Obj\x01\x04\x16avro.schema"),
    dead(42, "Protobuf", "not_utf8", value=b"\x0a\x05hello\x10\x96\x01"),
    dead(
        42,
        "CloudEvents in headers",
        "missing",
        "type",
        value=b'{"workflow_id": "x"}',
        sent={"headers": (("ce_type", b"x"),)},
    ),
    dead(43, "gzip", "not_utf8", value=gzip.compress(GOOD, mtime=0)),
]

CHARACTERS = [
    *(
        case
        for name, text in {
            "high": r"\ud800",
            "low": r"\udc00",
            "reversed": r"\ude00\ud83d",
            "in two": r"\ud83dx\ude00",
        }.items()
        for case in (
            dead(13, f"{name} half in a user", "lone_surrogate", "data.user_id", raw={"user_id": f'"{text}"'}),
            dead(
                13, f"{name} half in an id", "lone_surrogate", "id", value=GOOD.replace(b'"e1"', f'"{text}"'.encode())
            ),
            withheld(13, f"{name} half in a payload", "lone_surrogate", f'["{text}"]'),
            withheld(13, f"{name} half in a sentence", "lone_surrogate", f'"{text}"', "reason"),
            withheld(14, f"{name} half in a key", "lone_surrogate", f'{{"{text}": 1}}', "output"),
        )
    ),
    kept(13, "a whole pair", r'"\ud83d\ude00"'),
    applied(14, "half in an unknown name", raw={"\ud800": "1"}),
    withheld(15, "NUL in a value", "nul_character", r'{"a": "b\u0000c"}'),
    withheld(15, "NUL in a sentence", "nul_character", r'"\u0000"', "reason"),
    withheld(15, "NUL in a message", "nul_character", r'{"message": "\u0000"}', "error"),
    withheld(15, "NUL in a label", "nul_character", r'{"team": "\u0000"}', "labels"),
    withheld(16, "NUL in a key", "nul_character", r'{"a\u0000": 1}', "output"),
    withheld(16, "NUL in a deep key", "nul_character", r'[{"a": {"\u0000": 1}}]'),
    withheld(16, "NUL in a label's name", "nul_character", r'{"\u0000": "x"}', "labels"),
    dead(17, "NUL in the id", "nul_character", "id", id="e\x00"),
    dead(17, "NUL in the source", "nul_character", "source", source="\x00"),
    dead(17, "NUL in the type", "unknown_type", "type", type="workflow.execution.completed.v1\x00"),
    dead(17, "NUL in the user", "nul_character", "data.user_id", data={"user_id": "\x00"}),
    dead(17, "NUL in the run", "nul_character", "data.temporal_run_id", data={"temporal_run_id": "a\x00b"}),
    dead(17, "NUL in the namespace", "nul_character", "data.namespace", data={"namespace": "\x00"}),
    dead(
        17,
        "NUL in the parent",
        "nul_character",
        "data.parent.temporal_run_id",
        data={"parent": {"temporal_workflow_id": "p", "temporal_run_id": "\x00"}},
    ),
    kept(18, "NUL that is spelled out", r'{"\\u0000": "\\u0000 \\\\u0000 \\ud800"}'),
    *(dead(19, f"control character {code}", "not_json", raw={"input": b'"%c"' % code}) for code in (0, 1, 9, 10, 31)),
    kept(19, "control characters that may stand", '{"a\x7f": "\x80\x9b31m\u2028\u202e\ufeff"}'),
]

NUMBERS = [
    *(
        case
        for name in ("NaN", "Infinity", "-Infinity")
        for case in (
            dead(20, f"{name} as the time", "not_finite", "time", time=float(name)),
            dead(20, f"{name} as the attempt", "not_finite", "data.attempt", raw={"attempt": name}),
            withheld(20, f"{name} as a payload", "not_finite", name),
            withheld(20, f"{name} in a payload", "not_finite", f'{{"a": [{name}]}}', "output"),
        )
    ),
    withheld(20, "NaN as progress", "not_finite", '{"done": NaN}', "progress"),
    withheld(21, "beyond floats", "number_too_long", "1e400"),
    withheld(21, "below floats", "number_too_long", "[-1e400]", "output"),
    withheld(22, "a number bomb", "number_too_long", "[" + ",".join(["1e131071"] * 10_000) + "]"),
    withheld(22, "41 digits", "number_too_long", "1" * 41),
    kept(22, "40 digits", "1" * 40),
    withheld(23, "too near to nothing", "number_too_long", "1e-16390"),
    withheld(23, "an exponent of many digits", "number_too_long", "1e" + "9" * 1000),
    kept(24, "an integer of 65 bits", '{"n": 18446744073709551616}'),
    dead(24, "an attempt of 65 bits", "less_than_equal", "data.attempt", raw={"attempt": "18446744073709551616"}),
    withheld(25, "an integer of 5,000 digits", "number_too_long", "9" * 5_000),
    withheld(25, "an integer of 140,000 digits", "number_too_long", "9" * 140_000, "output"),
    dead(25, "an attempt of 5,000 digits", "number_too_long", "data.attempt", raw={"attempt": "9" * 5_000}),
    applied(25, "5,000 digits in an unknown name", raw={"new": "9" * 5_000}),
    kept(26, "a decimal of 30 digits", "1.23456789012345678901234567890"),
    applied(
        27,
        "spellings",
        {"input": [0, 0.0, 1.0, 1.1, 100_000, 1e-05, 10**23]},
        raw={"input": "[-0, 0.0, 1.0, 1.10, 1E5, 1e-5, 1e23]"},
    ),
    *(
        dead(28, f"{text} is no number", "not_json", raw={"input": text})
        for text in ("01", "-01", "+1", "1.", ".5", "-", "1e", "0x10", "1_000")
    ),
]

_NO_OBJECTS: tuple[Any, ...] = ([], "x", 1, True)

MEMBERS = [
    dead(29, "two ids", "duplicate_name", "id", value=twice("id", '"e0"')),
    dead(29, "the same id again", "duplicate_name", "id", value=twice("id", '"e1"')),
    dead(
        29, "an id spelled otherwise", "duplicate_name", "id", value=GOOD.replace(b'{"spec', rb'{"\u0069d":"e0","spec')
    ),
    dead(29, "two types", "duplicate_name", "type", value=twice("type", '"workflow.execution.failed.v1"')),
    dead(29, "two times", "duplicate_name", "time", value=twice("time", '"2026-02-01T00:00:00Z"')),
    dead(29, "data twice", "duplicate_name", "data", value=twice("data", "{}")),
    dead(29, "two runs", "duplicate_name", "data.temporal_run_id", value=twice("temporal_run_id", '"another"')),
    dead(
        29,
        "two attempts",
        "duplicate_name",
        "data.attempt",
        value=twice("attempt", "2", hostile("twice", {"attempt": 1})),
    ),
    dead(
        29, "two outputs", "duplicate_name", "data.output", value=twice("output", "1", hostile("twice", {"output": 2}))
    ),
    dead(
        29,
        "two ids beside NaN",
        "duplicate_name",
        "id",
        value=twice("id", '"e0"', hostile("twice", raw={"input": "NaN"})),
    ),
    dead(
        29,
        "two attempts beside NaN",
        "duplicate_name",
        "data.attempt",
        value=twice("attempt", "NaN", hostile("twice", {"attempt": 1})),
    ),
    kept(30, "a key twice in a payload", '{"a": 1, "b": {"c": 1, "c": 2}, "a": 3}'),
    applied(
        30,
        "a message twice",
        {"error_message": "b", "status": "failed"},
        raw={"error": '{"message": "a", "message": "b"}'},
        type="workflow.execution.failed.v1",
    ),
    kept(31, "names that mean something elsewhere", '{"": 1, "__proto__": {"a": 1}, "constructor": 2, "$withheld": 3}'),
    withheld(32, "a key of 70 kB", "key_too_long", json.dumps({"k" * 70_000: 1})),
    withheld(32, "a key of 1,025 bytes", "key_too_long", json.dumps([{"k" * 1_025: 1}]), "output"),
    kept(32, "a key of 1,024 bytes", json.dumps({"k" * 1_024: 1})),
    dead(33, "a comma too many", "not_json", raw={"input": "[1,]"}),
    dead(33, "a comma too many in the end", "not_json", value=GOOD[:-1] + b",}"),
    dead(33, "a comment", "not_json", raw={"input": "/* x */ 1"}),
    dead(33, "a comment in a line", "not_json", value=b"// x\n" + GOOD),
    dead(33, "single quotes", "not_json", value=b"{'id': 'e1'}"),
    dead(33, "a name without quotes", "not_json", value=b"{id: 1}"),
    dead(33, "an escape of other languages", "not_json", raw={"input": r'"\x41"'}),
    dead(33, "half an escape", "not_json", raw={"input": r'"\u00"'}),
    *(
        dead(34, f"{name} for an event", "not_an_object", value=value)
        for name, value in {
            "an array": b"[%s]" % GOOD,
            "a string": json.dumps(GOOD.decode()).encode(),
            "a number": b"1",
            "null": b"null",
            "true": b"true",
        }.items()
    ),
    *(
        dead(
            34,
            f"{shape} for data",
            "not_an_object",
            "data",
            value=json.dumps({**json.loads(GOOD), "data": shape}).encode(),
        )
        for shape in _NO_OBJECTS
    ),
]

SIZES = [
    kept(35, "100 deep", _nested(100)),
    kept(35, "100 deep in objects", '{"a":' * 100 + "1" + "}" * 100),
    *(withheld(35, f"{n} deep", "too_deep", _nested(n)) for n in (101, 200, 202)),
    withheld(36, "255 deep", "too_deep", _nested(255), "output"),
    withheld(36, "255 deep in objects", "too_deep", '{"a":' * 255 + "1" + "}" * 255),
    withheld(37, "498 deep", "too_deep", _nested(498)),
    *(dead(37, f"{n} deep", "too_deep", raw={"input": _nested(n)}) for n in (499, 1_025, 100_000)),
    dead(37, "100,000 deep in objects", "too_deep", raw={"input": '{"a":' * 100_000 + "1" + "}" * 100_000}),
    dead(37, "100,000 brackets", "too_deep", value=b"[" * 100_000),
    dead(37, "100,000 deep in an unknown name", "too_deep", raw={"new": _nested(100_000)}),
    kept(38, "130,000 elements", "[" + "0," * 129_999 + "0]"),
    withheld(38, "150,000 elements", "too_large", "[" + "0," * 149_999 + "0]"),
    dead(38, "five million elements", "too_large", raw={"input": "[" + "0," * 4_999_999 + "0]"}),
    kept(39, "256 kB", json.dumps("x" * (limits.PAYLOAD_BYTES_MAX - 2))),
    withheld(39, "256 kB and one", "too_large", json.dumps("x" * (limits.PAYLOAD_BYTES_MAX - 1))),
    withheld(39, "nearly 1 MB", "too_large", json.dumps("x" * 1_046_000), "output"),
    dead(40, "a string beyond the record", "too_large", raw={"input": json.dumps("x" * limits.RECORD_BYTES_MAX)}),
    dead(41, "a parameter beyond the record", "too_large", data={"reason": "x" * 2 * limits.RECORD_BYTES_MAX}),
    dead(58, "3 MB", "too_large", raw={"output": json.dumps("x" * 3_000_000)}),
    dead(58, "3 MB of space", "too_large", value=GOOD + b" " * 3_000_000),
]

ODD_HEADERS = (("h", None), ("h", b""), ("h", b"\x00\xff"), ("", b""), ("a\x00\n\u202e", b"x"))

RECORDS = [
    applied(45, "a header without a value", sent={"headers": ODD_HEADERS}),
    applied(45, "1,000 headers", sent={"headers": (("h", b"x"),) * 1_000}),
    applied(45, "a header of 900 kB", sent={"headers": (("h", b"\xff" * 900_000),)}),
    dead(46, "1,001 headers", "too_many_headers", sent={"headers": (("h", b"x"),) * 1_001}),
    dead(46, "10,000 headers", "too_many_headers", sent={"headers": tuple((str(n), None) for n in range(10_000))}),
    applied(47, "a content type that is none", sent={"headers": (("content-type", b"\xff\x00;;charset="),)}),
    applied(47, "no content type in its header", sent={"headers": (("content-type", None),)}),
    applied(47, "a content type that lies", sent={"headers": (("content-type", b"application/avro"),)}),
    applied(47, "a trace that is none", traceparent="00-x", sent={"headers": (("traceparent", b"\xff"),)}),
    applied(48, "no key", sent={"key": None}),
    applied(49, "a key that is no text", sent={"key": b"\xff\xfe\x00"}),
    applied(49, "an empty key", sent={"key": b""}),
    applied(
        50, "the key of another execution", sent={"key": b"another execution"}, subject="a third", partitionkey="x"
    ),
    *(applied(56, f"timestamp {time}", {"created_at": at(0)}, sent={"timestamp_ms": time}) for time in (-5, -1, 0, 1)),
    dead(56, "nothing at no time", "not_json", value=b"at no time", sent={"timestamp_ms": 0, "key": None}),
    dead(49, "nothing under no text", "not_json", value=b"under no text", sent={"key": b"\xff\xfe\x00"}),
    dead(45, "nothing with odd headers", "not_json", value=b"odd", sent={"headers": ODD_HEADERS}),
]

# Fields that hold any text, and the columns that show them.
NAMED = (
    *((name, name) for name in ("namespace", "workflow_id", "temporal_run_id", "workflow_name", "actor", "reason")),
    ("user_id", "created_by"),
    ("next_run_id", "next_run_id"),
)

FIELDS = [
    *(
        dead(60, f"no {name}", "missing", name, value=hostile(f"60 no {name}", None, raw=None, **{name: ...}))
        for name in ("specversion", "id", "source", "type", "time")
    ),
    *(
        dead(60, f"{name} is {value}", "missing", f"data.{name}", data={name: value})
        for name in ("workflow_id", "temporal_workflow_id", "temporal_run_id")
        for value in (..., None)
    ),
    dead(60, "no data", "missing", "data", value=GOOD.replace(b'"data"', b'"dota"')),
    dead(60, "nothing", "missing", "type", value=b"{}"),
    applied(61, "unknown names", {"input": 1}, data={"input": 1, "new": {"id": 2}, "Input": 3}, comnew=[1], ID="x"),
    applied(61, "unknown names with NUL", raw={"new": r'"\u0000"', "a\x00": "1"}, comnew="\x00"),
    dead(62, "a type of somebody else", "unknown_type", "type", type="com.example.order.placed.v1"),
    dead(62, "a type in capitals", "unknown_type", "type", type="workflow.execution.Completed.v1"),
    dead(62, "a type without version", "unknown_type", "type", type="workflow.execution.completed"),
    dead(62, "a prefix of a type", "unknown_type", "type", type="workflow.execution."),
    dead(62, "a type that is a number", "unknown_type", "type", type=1),
    skipped(62, "a verb of a later publisher", "unknown_verb", hostile("x", type="workflow.execution.teleported.v1")),
    *(
        dead(63, f"major version {n}", "unsupported_version", "type", type=f"workflow.execution.completed.v{n}")
        for n in (0, 2, 10, 10**8)
    ),
    dead(63, "a major version of 31 digits", "unknown_type", "type", type=f"workflow.execution.completed.v{10**30}"),
    dead(63, "another CloudEvents", "literal_error", "specversion", specversion="2.0"),
    dead(64, "an empty id", "empty", "id", id=""),
    dead(64, "an empty run", "empty", "data.temporal_run_id", data={"temporal_run_id": ""}),
    dead(64, "a run of 513 bytes", "too_long", "data.temporal_run_id", data={"temporal_run_id": "x" * 513}),
    dead(64, "a run of 513 bytes in UTF-8", "too_long", "data.temporal_run_id", data={"temporal_run_id": "é" * 257}),
    dead(64, "a namespace of 2,700 characters", "too_long", "data.namespace", data={"namespace": "x" * 2_700}),
    *(
        applied(
            64,
            f"a run of 512 bytes of {character!a}",
            data={"temporal_run_id": character * (512 // len(character.encode()))},
        )
        for character in "xé😀"
    ),
    *(
        applied(65, name, {column: text for _, column in NAMED}, data={field: text for field, _ in NAMED})
        for name, text in {
            "lines": "a\nb\r\n\tc",
            "bidi": "\u202eabc\u2066",
            "zero width": "a\u200bb\ufeff\u00ad",
            "a path": "../../etc/passwd",
            "quotes": 'it\'s "quoted" `so` $1 %s {0}',
            "SQL": "'; DROP TABLE users; --",
            "an escape sequence": "\x1b[2J\x9b31m\x07",
            "markup": "[red]<script>alert(1)</script>[/red]",
            "an option": "--help",
            "a backslash": "\\x00 \\u0000 \\",
            "beyond characters": "\uffff\ue000\U0010ffff",
            "space": " ",
        }.items()
    ),
    applied(66, "a run composed", {"temporal_run_id": "\u00e9"}, data={"temporal_run_id": "\u00e9"}),
    applied(66, "a run decomposed", {"temporal_run_id": "e\u0301"}, data={"temporal_run_id": "e\u0301"}),
    dead(67, "an id that is a number", "not_a_string", "id", id=1),
    dead(67, "a run that is a number", "not_a_string", "data.temporal_run_id", data={"temporal_run_id": 1}),
    dead(67, "a user that is a list", "not_a_string", "data.user_id", data={"user_id": ["u"]}),
    *(
        dead(79, f"a duration of {text}", reason, "data.duration_ms", raw={"duration_ms": text})
        for text, reason in {
            "1.5": "not_an_integer",
            "1.0": "not_an_integer",
            '"12"': "not_an_integer",
            "true": "not_an_integer",
            "-1": "greater_than_equal",
            "9007199254740992": "less_than_equal",
            "9223372036854775808": "less_than_equal",
            "1e400": "number_too_long",
        }.items()
    ),
    applied(79, "the longest duration", {"duration_ms": 2**53 - 1}, data={"duration_ms": 2**53 - 1}),
    applied(79, "a duration of null", {"duration_ms": None}, data={"duration_ms": None}),
    applied(80, "a cost that nobody asked for", raw={"cost": "1e131072", "price": "5e131075"}),
    withheld(80, "a cost in a payload", "number_too_long", '{"cost": 5e131075}', "output"),
    withheld(80, "progress beyond numbers", "number_too_long", '{"done": 1e131072}', "progress"),
    withheld(81, "a cost of NaN", "not_finite", '{"cost": NaN}', "output"),
    applied(81, "a cost of words", {"output": {"cost": "NaN"}}, data={"output": {"cost": "NaN"}}),
    dead(81, "progress in words", "float_type", "data.progress.done", data={"progress": {"done": "Infinity"}}),
]

# Case, name, the JSON text of the time, and the reason.
_NOT_TIMES = [
    (69, "seconds", "1700000000", "not_a_time"),
    (69, "milliseconds", "1700000000000", "not_a_time"),
    (69, "a fraction", "1700000000.5", "not_a_time"),
    (70, "digits", '"1700000000"', "not_a_time"),
    (71, "naive", '"2026-01-01T00:00:00"', "naive_time"),
    (71, "a day", '"2026-01-01"', "not_a_time"),
    (71, "a week", '"2026-W01-1"', "not_a_time"),
    (73, "hour 24", '"2026-01-01T24:00:00Z"', "not_a_time"),
    (73, "a leap second", '"2016-12-31T23:59:60Z"', "not_a_time"),
    (73, "30 February", '"2026-02-30T00:00:00Z"', "not_a_time"),
    (73, "an offset of 99", '"2026-01-01T00:00:00+99:99"', "not_a_time"),
    (73, "year 0", '"0000-01-01T00:00:00Z"', "not_a_time"),
    (73, "year 10000", '"10000-01-01T00:00:00Z"', "not_a_time"),
    (74, "after the last", '"9999-12-31T23:59:59.999999-12:00"', "time_out_of_range"),
    (74, "before the first", '"0001-01-01T00:00:00+14:00"', "time_out_of_range"),
    (75, "the last", '"9999-12-31T23:59:59.999999Z"', "time_out_of_range"),
    (75, "infinity", '"infinity"', "not_a_time"),
    (76, "1970", '"1970-01-01T00:00:00Z"', "time_out_of_range"),
    (76, "1999", '"1999-12-31T23:59:59.999999Z"', "time_out_of_range"),
    (76, "2100", '"2100-01-01T00:00:00Z"', "time_out_of_range"),
    (77, "before Christ", "-62135596801", "not_a_time"),
]
_YEAR_2046 = datetime(2046, 1, 1, tzinfo=UTC)
_TO_THE_MICROSECOND = datetime(2026, 1, 1, 0, 0, 0, 123_456, tzinfo=UTC)

TIMES = [
    *(dead(n, name, reason, "time", time=json.loads(text)) for n, name, text, reason in _NOT_TIMES),
    *(
        dead(n, f"{name} as an end", reason, "data.completed_at", raw={"completed_at": text})
        for n, name, text, reason in _NOT_TIMES
        if n in (69, 70, 71, 74, 76)
    ),
    applied(72, "nanoseconds", {"completed_at": _TO_THE_MICROSECOND}, time="2026-01-01T00:00:00.123456789Z"),
    applied(
        72,
        "nanoseconds of an end",
        {"completed_at": _TO_THE_MICROSECOND},
        data={"completed_at": "2026-01-01T00:00:00.1234569Z"},
    ),
    applied(76, "20 years ahead", {"completed_at": _YEAR_2046}, time="2046-01-01T00:00:00Z"),
    applied(
        76,
        "an end 20 years ahead",
        {"completed_at": _YEAR_2046, "updated_at": at(0)},
        data={"completed_at": "2046-01-01T00:00:00Z"},
    ),
]

STORIES = [
    story(
        68,
        "two users",
        {"created_by": "first user"},
        ("started", 1, {"user_id": "first user"}),
        ("completed", 2, {"user_id": "second user"}),
    ),
    story(
        78,
        "an end before its start",
        {"duration_ms": 0, "started_at": at(9), "completed_at": at(3)},
        ("completed", 9, {"started_at": at(9).isoformat(), "completed_at": at(3).isoformat()}),
    ),
    story(
        83,
        "the end first",
        {"status": "completed", "started_at": at(1), "duration_ms": 4_000, "input": 1},
        ("completed", 5, {}),
        ("started", 1, {"input": 1}),
    ),
    story(
        84,
        "two ends",
        {"status": "completed", "completed_at": at(1), "contested": True},
        ("failed", 2, {}),
        ("completed", 1, {}),
    ),
    story(84, "two ends at once", {"status": "failed", "contested": True}, ("failed", 1, {}), ("completed", 1, {})),
    story(
        85,
        "an event id twice",
        {"output": "first", "completed_at": at(1)},
        ("completed", 1, {"output": "first"}),
        ("completed", 1.5, {"output": "second"}),
    ),
    story(86, "a record twice", {"status": "completed", "output": 1}, *[("completed", 1, {"output": 1})] * 2),
    story(
        86,
        "a life in one batch",
        {"status": "completed", "activities_executed": 2, "input": 1, "duration_ms": 3_000},
        ("scheduled", 0, {}),
        ("started", 1, {"input": 1}),
        ("heartbeat", 2, {"activities_executed": 2}),
        ("completed", 4, {"activities_executed": 2}),
    ),
    story(
        87,
        "a word after the deletion",
        {"status": "completed", "deleted_at": at(2)},
        ("started", 1, {}),
        ("deleted", 2, {}),
        ("completed", 3, {}),
    ),
    story(
        88,
        "a thousand heartbeats",
        {"status": "completed", "activities_executed": 999, "updated_at": at(2_000)},
        *(("heartbeat", n, {"activities_executed": n}) for n in range(1_000)),
        ("completed", 2_000, {}),
    ),
]

CASES: tuple[Case, ...] = (*BYTES, *CHARACTERS, *NUMBERS, *MEMBERS, *SIZES, *RECORDS, *FIELDS, *TIMES, *STORIES)

# What cannot be said by a few records, and where it is looked at.
ELSEWHERE = {
    44: "a header's key that is not UTF-8 breaks the client before there is a record; see the tests of the source",
    51: "a decompression bomb is a batch, not a record; see the tests of the source",
    52: "an unknown codec is a batch, not a record; see the tests of the source",
    53: "a wrong checksum is a batch, not a record; see the tests of the source",
    54: "an aborted transaction needs a broker: test_kafka",
    55: "an open transaction needs a broker: test_kafka",
    57: "the broker refuses a timestamp of 2^62: test_kafka",
    59: "another log under the same name is told by its anchor; see the tests of the consumer on Kafka",
    82: "a sum beyond 64 bits takes more than a thousand executions: test_reading",
}
