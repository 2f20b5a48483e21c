"""Rows, the catalogue, dead letters and withheld payloads: what every store keeps with a batch."""

from __future__ import annotations

import hashlib
from itertools import permutations

import pytest

from events import Event, decode, fold, row
from store.batch import DeadLetter, WithheldPayload
from store.errors import FencedError
from tests.conformance.conftest import A, B
from tests.conformance.stores import Kept, Writer
from tests.lives import at, event

LETTER = DeadLetter(
    partition=A,
    offset=4,
    timestamp_ms=-1,
    key=b"\xffkey",
    value=b"\x00\xff{not json",
    headers=(("k", b"\x00\xff"), ("k", None), ("", b""), ("n\x00l", b""), ("\udcff", b"not UTF-8")),
    reason="not_json",
    field="data.output",
    detail="it's\nwrong",
)


async def test_a_batch_is_counted(writer: Writer) -> None:
    """Applying answers how many executions were in the batch and how many rows it changed."""
    await writer.claim()
    started = [event("started", run=f"run-{n}") for n in range(3)]
    first = await writer.write(started)
    assert (first.executions, first.rows_changed) == (3, 3)
    again = await writer.write([*started[:2], event("completed", 5, run="run-2")])
    assert (again.executions, again.rows_changed) == (3, 1)
    assert again.rows_contested == 0


async def test_rows_that_are_contested_are_counted_when_they_change(writer: Writer) -> None:
    """A row that two reports of the same authority contest is counted with the change that made or kept it so."""
    await writer.claim()
    await writer.write([event("completed", 5, run="a"), event("completed", 5, run="b")])
    contested = await writer.write([event("failed", 6, run="a"), event("heartbeat", 1, run="b")])
    assert contested.rows_contested == 1
    again = await writer.write([event("failed", 6, run="a")])
    assert (again.rows_changed, again.rows_contested) == (0, 0)


async def test_an_empty_batch_moves_and_writes_nothing_else(kept: Kept, writer: Writer) -> None:
    """A batch of nothing but skipped records moves the position."""
    await writer.claim()
    applied = await writer.write()
    assert (applied.executions, applied.rows_changed) == (0, 0)
    assert await kept.rows() == {}
    assert (await kept.store.read_claims("g"))[A].next_offset == 1


async def test_dead_letters_are_kept_byte_for_byte(kept: Kept, writer: Writer) -> None:
    """A dead letter keeps its coordinates, its bytes, its headers with repeated, odd and broken names, and why."""
    await writer.claim()
    empty = DeadLetter(A, 5, None, None, None, (), "refused_22021", "")
    await writer.write(dead_letters=[LETTER, empty])
    assert await kept.dead_letters() == [LETTER, empty]


async def test_a_dead_letter_is_kept_once(kept: Kept, writer: Writer) -> None:
    """The same record again is kept once, as it was first; a record of another place or another log is kept too."""
    await writer.claim()
    others = [
        DeadLetter(B, 4, 0, None, LETTER.value, (), "not_json", ""),
        DeadLetter(A, 9, 0, None, LETTER.value, (), "not_json", ""),
        DeadLetter(A, 4, 0, None, b"of another log", (), "not_json", ""),
    ]
    for _ in range(2):
        await writer.write(dead_letters=[LETTER, *others])
    await writer.write(dead_letters=[DeadLetter(A, 4, 0, None, LETTER.value, (), "another_reason", "")])
    assert await kept.dead_letters() == [LETTER, *others]


async def test_two_groups_keep_their_own_dead_letters(kept: Kept, writer: Writer) -> None:
    """A record that two groups read is a dead letter of each."""
    other = Writer(kept.other, "h", A)
    for of_group in (writer, other):
        await of_group.claim()
        await of_group.write(dead_letters=[LETTER])
    assert await kept.dead_letters() == [LETTER, LETTER]


async def test_withheld_payloads_are_kept_byte_for_byte_and_once(kept: Kept, writer: Writer) -> None:
    """The bytes of a record whose payload was withheld are kept with its execution and the reason of each field."""
    await writer.claim()
    id_ = event("started").execution_id
    payload = WithheldPayload(A, 4, id_, {"input": "nul_character", "error": "too_deep"}, b'{"\x00\xff')
    other = WithheldPayload(A, 5, id_, {"output": "too_large"}, b'{"\x00\xff')
    for _ in range(2):
        await writer.write(withheld=[payload, other])
    assert await kept.withheld() == [payload, other]


async def test_a_withheld_payload_leaves_its_marker(kept: Kept, writer: Writer) -> None:
    """The row of an event whose output was withheld is completed, with the marker in the output's place."""
    record = (
        b'{"specversion":"1.0","id":"1","source":"s","type":"workflow.execution.completed.v1",'
        b'"time":"2026-01-01T00:00:00Z","data":{"workflow_id":"w","temporal_workflow_id":"t",'
        b'"temporal_run_id":"r","output":"\\u0000","reason":"\\ud800","error":{"message":"\\u0000"}}}'
    )
    completed = decode(record)
    assert isinstance(completed, Event)
    await writer.claim()
    await writer.write([completed])
    shown = (await kept.rows())[completed.execution_id]
    digest = hashlib.sha256(b'"\\u0000"').hexdigest()
    assert shown.status == "completed"
    assert shown.output == {"$withheld": "nul_character", "bytes": 8, "sha256": digest}
    assert shown.reason is not None
    assert shown.reason.startswith('{"$withheld":"lone_surrogate"')
    assert shown == row(fold([completed]))


async def test_the_latest_name_of_a_workflow_wins_in_any_order(kept: Kept, writer: Writer) -> None:
    """A workflow keeps the time of its first event and the name of its latest named one, in any order of arrival."""
    await writer.claim()
    named = [
        event("started", 1, workflow_name="Old"),
        event("heartbeat", 7, workflow_name="New"),
        event("heartbeat", 9),
        event("heartbeat", 0.5),
    ]
    for n, order in enumerate(permutations(named)):
        namespace = f"n{n}"
        for one in order:
            data = one.data.model_copy(update={"namespace": namespace})
            await writer.write([one.model_copy(update={"data": data})])
    assert set((await kept.workflows()).values()) == {(at(0.5), "New")}


async def test_names_given_at_one_instant_do_not_depend_on_order(kept: Kept, writer: Writer) -> None:
    """Of two names of one workflow at the same time the same one wins whichever came first."""
    await writer.claim()
    names = [event("started", 1, workflow_name=name) for name in ("one", "two")]
    for namespace, order in (("n1", names), ("n2", names[::-1])):
        for one in order:
            data = one.data.model_copy(update={"namespace": namespace})
            await writer.write([one.model_copy(update={"data": data})])
    assert len(set((await kept.workflows()).values())) == 1


async def test_workflows_of_two_namespaces_are_two(kept: Kept, writer: Writer) -> None:
    """The same workflow id in two namespaces is two workflows, and the same run in two namespaces two executions."""
    await writer.claim()
    await writer.write([event("started"), event("started", namespace="other")])
    assert set(await kept.workflows()) == {("default", "invoice"), ("other", "invoice")}
    assert len(await kept.rows()) == 2


async def test_users_keep_the_time_of_their_first_event(kept: Kept, writer: Writer) -> None:
    """Every user that an event named is kept, also one that the row does not show, with the first event's time."""
    await writer.claim()
    await writer.write([event("started", 5, user_id="ada")])
    await writer.write([event("heartbeat", 9, user_id="bob"), event("heartbeat", 2, user_id="ada")])
    await writer.write([event("heartbeat", 7, user_id="ada")])
    assert await kept.users() == {"ada": at(2), "bob": at(9)}
    assert [shown.created_by for shown in (await kept.rows()).values()] == ["ada"]


async def test_a_workflow_that_lost_is_known_all_the_same(kept: Kept, writer: Writer) -> None:
    """A workflow id that an event named and a stronger event replaced stays in the catalogue."""
    await writer.claim()
    await writer.write([event("started", workflow_id="wrong"), event("heartbeat", authority="server")])
    assert {id_ for _, id_ in await kept.workflows()} == {"wrong", "invoice"}
    assert [shown.workflow_id for shown in (await kept.rows()).values()] == ["invoice"]


async def test_large_and_odd_values_come_back_as_they_went_in(kept: Kept, writer: Writer) -> None:
    """Ids with quotes and line ends, a payload of 100 kB, and numbers that a float cannot hold come back unchanged."""
    odd = 'it\'s "quoted"\n\t😀 {x,y} \\ , NULL () \u202e'
    big = {"text": "x" * 100_000, "odd": odd, "number": 18_446_744_073_709_551_615}
    completed = event(
        "completed",
        3,
        run=odd,
        workflow_id=odd,
        namespace=odd,
        user_id=odd,
        actor=odd,
        reason=odd,
        workflow_name=odd,
        labels={odd: odd},
        input=big,
        output=[odd, None, {}, []],
        error={"message": odd},
        progress={"message": odd, "done": 2**80},
        parent={"temporal_workflow_id": odd, "temporal_run_id": odd},
    )
    await writer.claim()
    await writer.write([completed])
    assert await kept.rows() == {completed.execution_id: row(fold([completed]))}
    assert (await kept.rows())[completed.execution_id].input == big


async def test_a_fenced_batch_can_be_written_by_whoever_holds_the_claim(
    kept: Kept, writer: Writer, rival: Writer
) -> None:
    """A batch that was applied and delivered again to the next holder changes no row."""
    await writer.claim()
    await writer.write([event("started"), event("completed", 3)])
    before = await kept.rows()
    await rival.claim()
    with pytest.raises(FencedError):
        await writer.write([event("failed", 2)])
    applied = await rival.write([event("completed", 3), event("started")])
    assert applied.rows_changed == 0
    assert await kept.rows() == before
