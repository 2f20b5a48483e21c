"""Whatever the codec lets through, PostgreSQL takes: no record can poison the batch it lies in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import asyncpg
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from events import Event, InvalidEvent, decode, fold, row
from events.payload import JsonText
from store.execution import execution
from tests.conformance.stores import Writer, row_of
from tests.strategies import NASTY_JSON, json_texts
from tests.unit.records import decoded, record
from tests.unit.test_payload import ACCEPTED

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

WORDS = r"""
    \u0000 \ud800 \udc00 \ud83d\ude00 \\u0000 \" \\ \/ \x41 NaN Infinity -Infinity null true 1e 1e39 1e40 1e-39
    1E+5 -0 01 1. .5 0.10 18446744073709551616 1e131071 1e999999999 5e-324 [ ] { } , : "
"""
PIECES = (
    *WORDS.split(),
    '"a":',
    '"\\ud83d"',
    "\x00",
    "\x7f",
    "\u2028",
    "\ufeff",
    "é",
    "9" * 31,
    "[" * 99,
    "]" * 99,
)
broken_texts = st.lists(st.sampled_from(PIECES), max_size=7).map("".join)


@st.composite
def damaged_texts(draw: st.DrawFn) -> str:
    """JSON with pieces put into it anywhere."""
    text: str = draw(json_texts)
    for piece in draw(st.lists(st.sampled_from(PIECES), max_size=3)):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + piece + text[at:]
    return text


@settings(max_examples=1_500, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=broken_texts | damaged_texts() | st.sampled_from(NASTY_JSON))
@example(text="[" + "1e39," * 30_000 + "1]")
async def test_what_the_codec_accepts_postgresql_stores(connection: Connection, text: str) -> None:
    """Any text as a payload is refused, withheld, or stored and read back with the value that it stands for."""
    try:
        found = decode(record(raw={"input": text.encode()}))
    except InvalidEvent:
        return
    assert isinstance(found, Event)
    if not isinstance(found.data.input, JsonText):
        return
    stored = await connection.fetchval("SELECT $1::text::jsonb::text", found.data.input)
    assert json.loads(stored) == found.data.input.value()


async def test_accepted_payloads_are_in_the_row(connection: Connection, writer: Writer) -> None:
    """Every payload on the safe side of a limit is in the row as the fold shows it."""
    made = {
        name: decoded(record({"temporal_run_id": name}, raw={"input": text, "output": text}))
        for name, text in ACCEPTED.items()
    }
    await writer.write(list(made.values()))
    stored = map(execution, await connection.fetch("SELECT * FROM execution_rows"))
    assert {e.temporal_run_id: row_of(e) for e in stored} == {name: row(fold([e])) for name, e in made.items()}
