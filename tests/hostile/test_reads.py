"""Whatever is asked, the SQL is the same, and the answer is a clear error or an honest one."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events.position import Position, TopicPartition
from store import Execution, ExecutionQueryError, ExecutionReader, Filter, PostgresStore
from store.counting import BY, Counting
from store.cursors import TEXT_LENGTH
from store.filters import ago
from store.listing import Listing
from tests.conformance.stores import Writer
from tests.lives import event

in_one_loop = pytest.mark.asyncio(loop_scope="module")

NOW = datetime(2026, 1, 2, tzinfo=UTC)
FIELDS = ("workflow_id", "user_id", "namespace", "temporal_workflow_id", "orchestrator", "error_type", "error_text")
INJECTIONS = (
    *("' OR '1'='1", "'; DROP TABLE workflow_executions; --", "x') OR (1=1", '"', "\\", "\\'", "%", "_", "$1", "$$"),
    *("/* filter */ true /* end of filter */", "/* end of filter */ OR true --", "/* order */", "e.status", "NULL"),
    *("\u202egnirts", "\u200b", "\ufeff", "\x1b[2J", "\u0301", "{}", '{"k": "v"}', "1e400", "DEFAULT", "İ", " x "),
)
UNSTORABLE = ("\x00", "a\x00b", "\ud800", "\udc00\ud800", "\udcff", "x" * 8_193)
texts = st.sampled_from([*INJECTIONS, *UNSTORABLE, ""]) | st.text(max_size=12)
numbers = st.integers() | st.sampled_from([0, -1, 2**31, 2**63, 10**40])
values = texts | numbers | st.floats() | st.none() | st.binary(max_size=3) | st.booleans()


def storable(text: str) -> bool:
    """Whether PostgreSQL can hold it, and the contract allows as much."""
    pairs = not any("\ud800" <= letter <= "\udfff" for letter in text)
    return pairs and "\x00" not in text and len(text.encode()) <= 8_192


def refusal(make: Callable[[], object]) -> str | None:
    """What is said against something, or nothing."""
    try:
        make()
    except ValueError as error:
        return str(error)
    return None


async def answer(read: Awaitable[Any]) -> tuple[Any, str]:
    """What a read answers, or what it says against the question."""
    try:
        return await read, ""
    except ExecutionQueryError as error:
        return None, str(error)


@given(
    st.dictionaries(st.sampled_from(FIELDS), texts, max_size=4),
    st.dictionaries(texts, texts, max_size=2),
    texts.filter(bool),
    st.sampled_from(["started_at", "completed_at"]),
)
def test_no_text_becomes_sql(told: dict[str, Any], labels: dict[str, str], label: str, order_by: str) -> None:
    """A question's statement is that of the same question about plain words; texts are arguments, or refused."""

    def statements(filter_: Filter, label: str) -> list[str]:
        counts = [Counting(filter_, ("user", f"label:{label}"), bound, 5) for bound in (5, None)]
        return [each.query(NOW)[0] for each in counts] + [Listing(filter_, order_by=order_by).query(None, NOW)[0]]

    if all(map(storable, (*told.values(), *labels, *labels.values(), label))):
        words: dict[str, Any] = dict.fromkeys(told, "x")
        plain = Filter(**words, labels={"x": "x"} if labels else {})
        assert statements(Filter(**told, labels=labels), label) == statements(plain, "x")
    else:
        assert refusal(lambda: statements(Filter(**told, labels=labels), label))


@given(st.sampled_from(sorted(Filter.__dataclass_fields__)), values | st.lists(values, max_size=2))
def test_a_filter_takes_or_refuses_any_value(name: str, value: Any) -> None:
    """Any field with any value makes a filter that becomes a statement, or is refused in words that name it."""
    said = refusal(lambda: Filter(**{name: value}))
    if said is None:
        made = Filter(**{name: value})
        assert Listing(made).query(None, NOW)[0]
        assert made.digest()
    else:
        assert name.rstrip("s") in said


@given(st.text("0123456789smhdw", max_size=40))
def test_a_duration_is_read_or_refused(text: str) -> None:
    """However many parts a duration has, it is one, or is refused."""
    for each in (text, "999999w" * 7 * len(text)):
        assert refusal(lambda text=each: ago(text)) or ago(each) >= timedelta(0)  # type: ignore[misc] # bound on purpose
    assert refusal(lambda: ago("999999w" * 200)) == f"{'999999w' * 200!r} is longer than any time"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def reader(shared_database_url: str) -> AsyncIterator[ExecutionReader]:
    """A reader of a table in which each of those texts stands in every column that takes it, and one plain row."""
    store = PostgresStore(shared_database_url)
    writer = Writer(store, "g", TopicPartition("executions", 0))
    await writer.claim()
    await writer.write([event("failed", n, run=f"r{n}", **called(text)) for n, text in enumerate(["x", *INJECTIONS])])
    await store.close()
    async with ExecutionReader.connect(shared_database_url) as connected:
        yield connected


def called(text: str) -> dict[str, Any]:
    """Data in which everything is called so."""
    names = dict.fromkeys(("workflow_id", "user_id", "temporal_workflow_id", "orchestrator"), text)
    return names | {"labels": {"k": text}, "error": {"message": text, "type": text}}


def means(wanted: dict[str, Any], execution: Execution) -> bool:
    """Whether an execution is called as is wanted."""
    text = str(execution.workflow_id)
    part: str = wanted.get("error_text", "")
    return all(value == text for name, value in wanted.items() if name not in ("error_text", "namespace")) and (
        wanted.get("namespace", "default") == "default" and (part.lower() in text.lower() or part in text)
    )


@in_one_loop
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), texts, min_size=1, max_size=2))
async def test_a_text_finds_itself_and_nothing_else(reader: ExecutionReader, wanted: dict[str, Any]) -> None:
    """A list and both counts have the rows that are called so, to the letter, and no others."""
    if not all(map(storable, wanted.values())):
        return
    asked = Filter(**wanted)
    everything = await reader.find(Filter(), 500)
    assert len(everything) == 1 + len(INJECTIONS)
    expected = {each.id for each in everything if means(wanted, each)}
    if wanted.get("error_text", "").isascii():  # otherwise two libraries may differ in what is a small letter
        assert {each.id for each in await reader.find(asked, 500)} == expected
    assert (await reader.count(asked)).total == (await reader.count(asked, bound=None)).total


@in_one_loop
@pytest.mark.parametrize("text", [*INJECTIONS, *UNSTORABLE, ""], ids=ascii)
async def test_every_text_of_a_read_is_a_value(reader: ExecutionReader, text: str) -> None:
    """Each text that a read takes finds itself, finds nothing, or is refused; none does anything else."""
    for read in (reader.list(text), reader.list_by_user(text), reader.get(text)):
        found, said = await answer(read)
        assert (bool(found), bool(said)) == (text in INJECTIONS, not storable(text))
    stats, said = await answer(reader.stats(text))
    assert stats.total == (text in INJECTIONS) if storable(text) else said
    count, said = await answer(reader.count(Filter(workflow_id="x"), by=f"label:{text}"))
    assert [group.values for group in count.groups] == [(None,)] if storable(text) and text else said
    for read in (reader.get("x", text), reader.get("x", namespace=text)):
        found, said = await answer(read)
        assert (found, bool(said)) == (None, not storable(text))
    refused: tuple[Awaitable[Any], ...] = (
        reader.tree(text),
        reader.chain(text),
        reader.get_by_id(text),
        reader.wait_for(text, timeout=0),
        reader.count(by=text),
        reader.list("x", order_by=text),
        reader.list("x", order_direction=text),
        reader.list("x", cursor=text),
        reader.list("x", status=text),
        reader.get("x", at_least=Position(text, 0, 0), timeout=0),
    )
    for question in refused:
        found, said = await answer(question)
        assert (found, said.startswith("Failed to ")) == (None, True)
    assert len(await reader.find(Filter(), 500)) == 1 + len(INJECTIONS)


@in_one_loop
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(numbers, st.floats() | numbers)
async def test_every_number_of_a_read_has_bounds(reader: ExecutionReader, number: int, seconds: float) -> None:
    """A number is taken or refused by name; no position and no time that makes no sense is waited for."""
    for read, name in (
        (reader.list("x", number), "limit"),
        (reader.list("x", 1, number), "offset"),
        (reader.tree(UUID(int=1), number), "limit"),
        (reader.tree(UUID(int=1), 1, number), "depth"),
        (reader.chain(UUID(int=1), number), "limit"),
        (reader.top_errors(limit=number), "limit"),
        (reader.count(bound=number), "bound"),
        (reader.count(limit=number), "limit"),
    ):
        _, said = await answer(read)
        assert not said or f"{name} must be a whole number from " in said
    for position, timeout in (
        (Position("executions", number, number), 0),
        (Position("nowhere", 0, 0), min(0, seconds)),
    ):
        _, said = await answer(reader.list("x", at_least=position, timeout=timeout))
        assert said or position == Position("executions", 0, 0)
    assert (await answer(reader.list("x", timeout=math.nan)))[1].endswith("a number of seconds, 0 or more, not nan")


@in_one_loop
async def test_a_cursor_of_ones_own_making_leads_to_ones_own_list(reader: ExecutionReader) -> None:
    """A cursor with any byte changed is damaged; where its checksum holds it finds rows of its own list alone."""
    wanted = Filter(status="failed", labels={"k": "x"}, started_since=datetime(2020, 1, 1, tzinfo=UTC))
    own = await reader.find(wanted, 10)
    pages = Filter(status="failed")
    cursor = (await reader.find(pages, 1)).next_cursor
    assert cursor is not None
    with pytest.raises(ExecutionQueryError, match="the cursor belongs to another filter or order"):
        await reader.find(wanted, cursor=cursor)
    packed = base64.urlsafe_b64decode(cursor)
    everything = {each.id for each in await reader.find(pages, 500)}
    for place in range(len(packed)):
        changed = bytes([*packed[:place], packed[place] ^ 0x41, *packed[place + 1 :]])
        with pytest.raises(ExecutionQueryError, match=r"the cursor is (damaged|of another version)"):
            await reader.find(pages, cursor=base64.urlsafe_b64encode(changed).decode())
        body = changed[:-6]
        sealed = base64.urlsafe_b64encode(body + hashlib.sha256(body).digest()[:6]).decode()
        assert len(sealed) == TEXT_LENGTH
        found, said = await answer(reader.find(pages, 500, cursor=sealed))
        assert "the cursor " in said or {each.id for each in found} <= everything
    assert len(own) == 1


@pytest.mark.parametrize("by", [*BY, "label:k"])
@in_one_loop
async def test_groups_have_every_text_as_it_is(reader: ExecutionReader, by: str) -> None:
    """Counted by any of them, what rows are called comes back to the letter."""
    groups = {group.values[0]: group.executions for group in (await reader.count(by=by)).groups}
    assert sum(groups.values()) == 1 + len(INJECTIONS)
    if by not in ("status", "day"):
        assert groups == dict.fromkeys(["x", *INJECTIONS], 1)
