"""Whatever was stored can be read: by every method of the readers and by the command line."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import AsyncIterator
from itertools import chain
from typing import Any, NoReturn, get_args

import pytest
import pytest_asyncio
from click.testing import CliRunner

from consumer.cli import wex
from events import ExecutionRow, encode
from events.row import row
from store import ExecutionReader, PostgresStore
from store.batch import DeadLetter
from store.dead_letters import DeadLetterFilter, DeadLetterReader
from store.listing import LIMIT_MAX, OrderBy, OrderDirection
from tests.conformance.stores import row_of
from tests.hostile.batches import GOOD, PARTITION, apply, chunk_of, expected_dead_letters, prepared
from tests.hostile.cases import CASES, Case, Outcome, Sent
from tests.lives import event

in_one_loop = pytest.mark.asyncio(loop_scope="module")  # a command brings its own

LONGEST_MS = 2**53 - 1
LONG_RUNS = 1_100  # the sum of their durations does not fit into 64 bits
LONG = [
    Sent(encode(event("completed", run=f"long-{n}", workflow_id="long", duration_ms=LONGEST_MS)))
    for n in range(LONG_RUNS)
]

# A header's key that is no UTF-8, as whoever reads it past the client would hand it on.
NO_TEXT = Sent(b"a header that is no text", headers=(("\udcff\udcfe", b"x"),))

CHUNK = chunk_of([*GOOD, *chain.from_iterable(case.sent for case in CASES), *LONG, NO_TEXT])
WORK = prepared(CHUNK)
ROWS = {state.run.id: row(state) for state in WORK.states}
SHORT_ROWS = [shown for shown in ROWS.values() if shown.workflow_id != "long"]
# Of each trick one, for a command takes its time to start; of the ids all.
ONE_ROW_EACH = list({c.name if c.number == 65 else c.number: c for c in CASES if c.has_row}.values())
ONE_LETTER_EACH = list(
    {
        c.number: c for c in CASES if c.outcome is Outcome.DEAD_LETTER and len(c.sent[0].value or b"") < 1_000_000
    }.values()
)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def url(shared_database_url: str) -> str:
    """A database with everything in it: good records, hostile ones, and what these left."""
    store = PostgresStore(shared_database_url)
    await apply(store, CHUNK, WORK)
    await store.close()
    return shared_database_url


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def reader(url: str) -> AsyncIterator[ExecutionReader]:
    """The reader of executions."""
    async with ExecutionReader.connect(url) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def letters(url: str) -> AsyncIterator[DeadLetterReader]:
    """The reader of dead letters."""
    async with DeadLetterReader(url) as opened:
        yield opened


@in_one_loop
async def test_every_row_is_got(reader: ExecutionReader) -> None:
    """Each execution is found by its names and by its id, as the fold shows it, with its workflow."""
    for shown in SHORT_ROWS:
        names = shown.temporal_workflow_id, shown.temporal_run_id
        found = await reader.get(*names, namespace=shown.namespace, include_deleted=True)
        assert found is not None
        assert row_of(found) == shown
        assert (found.workflow.namespace, found.workflow.id) == (shown.namespace, shown.workflow_id)
        assert await reader.get_by_id(str(shown.id), namespace=shown.namespace, include_deleted=True) == found


async def pages(reader: ExecutionReader, namespace: str, **options: Any) -> list[ExecutionRow]:
    """Every execution of a namespace, page by page."""
    found: list[ExecutionRow] = []
    options |= {"namespace": namespace, "include_deleted": True, "include_payloads": True}
    page = await reader.list(None, LIMIT_MAX, **options)
    while page:
        found += map(row_of, page)
        if page.next_cursor is None:
            break
        page = await reader.list(None, LIMIT_MAX, cursor=page.next_cursor, **options)
    return found


@pytest.mark.parametrize("order_by", get_args(OrderBy))
@pytest.mark.parametrize("direction", get_args(OrderDirection))
@in_one_loop
async def test_every_row_is_listed(reader: ExecutionReader, order_by: str, direction: str) -> None:
    """The pages of all namespaces hold every execution once, with its payloads; by the end, all that have ended."""
    found: list[ExecutionRow] = []
    for namespace in {shown.namespace for shown in ROWS.values()}:
        found += await pages(reader, namespace, order_by=order_by, order_direction=direction)
    wanted = {id_: shown for id_, shown in ROWS.items() if order_by != "completed_at" or shown.completed_at}
    assert len(found) == len(wanted)
    assert {shown.id: shown for shown in found} == wanted


@in_one_loop
async def test_every_user_is_listed(reader: ExecutionReader) -> None:
    """The executions of each user are listed, whatever the user is called."""
    for namespace, user in {(shown.namespace, shown.created_by) for shown in ROWS.values() if shown.created_by}:
        found = await reader.list_by_user(user, LIMIT_MAX, namespace=namespace, include_deleted=True)
        wanted = [s.id for s in ROWS.values() if (s.namespace, s.created_by) == (namespace, user)]
        assert sorted(each.id for each in found) == sorted(wanted)


@in_one_loop
async def test_every_workflow_is_counted(reader: ExecutionReader) -> None:
    """The statistics of each workflow count its executions by status, whatever it is called."""
    for namespace, workflow in {(shown.namespace, shown.workflow_id or "") for shown in ROWS.values()}:
        found = await reader.stats(workflow, namespace=namespace, include_deleted=True)
        wanted = [s.status for s in ROWS.values() if (s.namespace, s.workflow_id) == (namespace, workflow)]
        assert found.by_status == Counter(wanted)


@in_one_loop
async def test_durations_add_up_beyond_64_bits(reader: ExecutionReader) -> None:
    """The average of the longest durations is the longest duration."""
    found = await reader.stats("long")
    assert (found.total, found.min_duration_ms, found.max_duration_ms) == (LONG_RUNS, LONGEST_MS, LONGEST_MS)
    assert found.avg_duration_ms == LONGEST_MS


@in_one_loop
async def test_every_dead_letter_is_read(letters: DeadLetterReader) -> None:
    """Each dead letter is listed and shown byte for byte, with the reason and the field of its case."""
    found = []
    for line in reversed(await letters.list(limit=10_000)):
        shown = await letters.get(line.id)
        assert shown is not None
        assert shown.value_bytes == len(shown.value or b"")
        time, where = shown.record_timestamp_ms, (shown.reason, shown.field)
        found.append(DeadLetter(PARTITION, shown.offset, time, shown.key, shown.value, shown.headers, *where))
    assert (found[-1].value, found[-1].headers) == (NO_TEXT.value, NO_TEXT.headers)
    assert found[:-1] == expected_dead_letters(CASES, PARTITION, CHUNK.records[PARTITION])
    for reason, count in Counter(letter.reason for letter in found).items():
        assert len(await letters.list(DeadLetterFilter(reason=reason), limit=10_000)) == count


def refuse_constant(name: str) -> NoReturn:
    """Refuse what Python reads though it is no JSON."""
    raise AssertionError(name)


def json_of(text: str) -> Any:
    """The value of a text that must be JSON as everybody reads it."""
    return json.loads(text, parse_constant=refuse_constant)


def run(url: str, *arguments: str) -> str:
    """What a command of `wex` prints; it must not fail."""
    found = CliRunner().invoke(wex, [*arguments, "--database-url", url])
    assert found.exception is None, (arguments, found.exception, found.stderr)
    return found.stdout


def printable(text: str) -> bool:
    """Whether a terminal shows a text and does nothing else."""
    return all(line.isprintable() for line in text.split("\n"))


@pytest.mark.parametrize("case", ONE_ROW_EACH, ids=str)
def test_wex_gets_every_row(url: str, case: Case) -> None:
    """`wex get` prints JSON for programs, and for people nothing that moves the cursor."""
    names = "hostile", "--run-id", case.run.temporal_run_id, "--namespace", case.run.namespace, "--include-deleted"
    assert json_of(run(url, "get", *names, "--json"))["id"] == str(case.run.id)
    assert printable(run(url, "get", *names))


@pytest.mark.parametrize("case", ONE_LETTER_EACH, ids=str)
def test_wex_shows_every_dead_letter(url: str, case: Case) -> None:
    """`wex dead-letter show` prints JSON for programs, and for people nothing that moves the cursor."""
    [letter] = expected_dead_letters([case], PARTITION, CHUNK.records[PARTITION])
    id_ = id_of_letter(url, letter.offset)
    assert base64.b64decode(json_of(run(url, "dead-letter", "show", id_, "--json"))["value"]) == letter.value
    assert printable(run(url, "dead-letter", "show", id_))


def test_wex_shows_headers_that_are_no_text(url: str) -> None:
    """`wex dead-letter show` prints a header whose key is not UTF-8, for programs and for people."""
    id_ = id_of_letter(url, CHUNK.records[PARTITION][-1].offset)
    assert printable(run(url, "dead-letter", "show", id_))
    assert json_of(run(url, "dead-letter", "show", id_, "--json"))["headers"]


def id_of_letter(url: str, offset: int) -> str:
    """The number under which `wex dead-letter list` has the record at an offset."""
    listed = json_of(run(url, "dead-letter", "list", "--json", "-n", "10000"))["items"]
    [id_] = [each["id"] for each in listed if each["offset"] == offset]
    return str(id_)


def test_wex_lists_every_row(url: str) -> None:
    """`wex list` prints JSON for programs, and for people nothing that moves the cursor, in every namespace."""
    found = []
    for namespace in {shown.namespace for shown in ROWS.values()}:
        options = "list", "--namespace", namespace, "-n", "500", "--include-deleted", "--order-by", "started_at"
        found += json_of(run(url, *options, "--payloads", "--json"))["items"]
        assert printable(run(url, *options))
    assert len(found) >= LIMIT_MAX
    assert printable(run(url, "dead-letter", "list", "-n", "10000"))
    assert json_of(run(url, "stats", "hostile", "--json"))["total"] > 0
