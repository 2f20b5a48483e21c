"""What replay decides without a server: gaps, coverage, deciding columns, and how progress is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from consumer.chunk import Span
from consumer.commands.progress import Progress
from consumer.replay.coverage import Coverage, begun_anew, cover, gaps, readable
from consumer.replay.deciding import DECIDED_BY, decides
from consumer.replay.log_reader import LogLostError
from events.position import TopicPartition
from store.batch import LogRange
from store.connect import in_schema
from store.differences import Difference
from store.replay_scope import ReplayScope
from store.shadow import GivenUp, Standing
from store.statements import between

A, B = TopicPartition("t", 0), TopicPartition("t", 1)
DECIDED = datetime(2026, 1, 1, tzinfo=UTC)


def given_up(accepted_from: int, accepted_to: int, kind: str = "corrupt") -> GivenUp:
    """A decision of an operator."""
    return GivenUp(A, accepted_from, accepted_to, kind, DECIDED)


@pytest.mark.parametrize(
    ("decisions", "expected"),
    [
        ([(3, 5)], [(3, 5)]),
        ([(3, 5), (8, 9)], [(3, 5), (8, 9)]),
        ([(3, 5), (8, 4)], [(3, 4)]),
        ([(3, 5), (8, 2)], []),
        ([(9, 2), (4, 6)], [(4, 6)]),
    ],
)
def test_what_was_given_up_is_what_was_never_read_after_all(
    decisions: list[tuple[int, int]], expected: list[tuple[int, int]]
) -> None:
    """Going forward gives offsets up, going back reads them again."""
    assert gaps(given_up(*decision) for decision in decisions).get(A, []) == expected


@pytest.mark.parametrize(
    ("decision", "anew"),
    [
        (("gap", 3, 5), False),
        (("corrupt", 3, 5), False),
        (("corrupt", 5, 3), True),
        (("recreated", 3, 5), True),
        (("another_log", 3, 5), True),
        (("truncated", 3, 5), True),
        (("recreated", 0, 0), True),
    ],
)
def test_a_log_that_was_accepted_as_another_one_is_not_all_there(decision: tuple[str, int, int], anew: bool) -> None:
    """What the log before it held is gone, wherever the position went; a gap alone leaves the log what it is."""
    kind, start, end = decision
    decisions = [given_up(start, end, kind)]
    assert begun_anew(decisions) == ({A} if anew else set())
    assert begun_anew(decisions, since=DECIDED + timedelta(seconds=1)) == set()
    found = cover({A: standing(5)}, {A: LogRange(0, 9)}, gaps={}, anew=begun_anew(decisions))
    assert found.complete is not anew


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        ((0, 10), [(0, 3), (5, 8), (9, 10)]),
        ((3, 5), []),
        ((4, 6), [(5, 6)]),
        ((0, 2), [(0, 2)]),
        ((0, 4), [(0, 3)]),
        ((9, 20), [(9, 20)]),
        ((7, 7), []),
    ],
)
def test_gaps_are_cut_out_of_what_is_read(span: tuple[int, int], expected: list[tuple[int, int]]) -> None:
    """What is read are the parts of a span outside of its gaps."""
    assert readable(Span(*span), [Span(3, 5), Span(8, 9)]) == expected


def standing(next_offset: int) -> Standing:
    """A position of a live partition."""
    return Standing(next_offset, halted=False, fold_version=1)


def starts(coverage: Coverage) -> dict[TopicPartition, int]:
    """Where each partition is read from."""
    return {name: log.start for name, log in coverage.logs.items()}


def test_a_whole_log_covers_the_table() -> None:
    """A log that begins at 0 and reaches the position is complete."""
    found = cover({A: standing(5)}, {A: LogRange(0, 9), B: LogRange(0, 4)}, gaps={})
    assert (starts(found), found.complete) == ({A: 0}, True)


def test_whatever_is_gone_is_named() -> None:
    """A log without its beginning, a missing partition, a gap and compaction each make the log incomplete."""
    found = cover(
        {A: standing(5), B: standing(7)}, {A: LogRange(3, 9)}, gaps={A: [Span(4, 5)]}, compacted={"t", "another"}
    )
    assert starts(found) == {A: 3, B: 7}
    assert found.gone == (
        "t is compacted",
        "the log of t/0 begins at 3",
        "t/0 was given up from 4 to 4",
        "Kafka has no partition t/1",
    )


def test_a_later_start_needs_only_what_comes_after_it() -> None:
    """Where less is read, what is gone before does not count; a partition without later records has nothing to read."""
    logs = {A: LogRange(3, 9), B: LogRange(3, 9)}
    found = cover({A: standing(9), B: standing(9)}, logs, gaps={A: [Span(4, 5)]}, since={A: 6})
    assert (starts(found), found.complete) == ({A: 6, B: 9}, True)
    assert not cover({A: standing(9)}, logs, gaps={}, since={A: 2}).complete


def test_a_log_that_ends_too_early_is_another_log() -> None:
    """The log of the table reaches its position."""
    with pytest.raises(LogLostError, match="ends at 4, before the position 5"):
        cover({A: standing(5)}, {A: LogRange(0, 4)}, gaps={})
    one, another = UUID(int=1), UUID(int=2)
    stands = standing(5)._replace(topic_id=one)
    with pytest.raises(LogLostError, match="made anew: its id is"):
        cover({A: stands}, {A: LogRange(0, 9, another)}, gaps={})
    for id_ in (None, one):
        assert cover({A: stands}, {A: LogRange(0, 9, id_)}, gaps={}).complete


def row(**log: object) -> Difference:
    """A row that differs."""
    return Difference(relation="workflow_executions", key=("x",), kind="changed", lacks=False, log=log)


def test_every_column_has_a_register_or_a_time_that_decides_it() -> None:
    """A derived column is put down to the register that it is derived from, and that something fed."""
    assert DECIDED_BY["created_by"] == "user_id"
    assert decides(row(duration_order=b"x"), "duration_ms") == "duration"
    assert decides(row(duration_order=b"", status_order=b"x"), "duration_ms") == "status"
    assert decides(row(duration_order=b"", status_order=b""), "duration_ms") == "created_at"
    assert decides(row(), "updated_at") == "updated_at"
    assert decides(row(), "temporal_run_id") == "created_at"


def test_progress_says_how_much_how_fast_and_how_long() -> None:
    """A line of progress has the rate and the time that is left."""
    progress = Progress("folded")
    begun = progress._begun
    assert progress.line(2_000, 10_000, begun + 2) == "folded 2,000 of 10,000 records (20 %), 1,000/s, 8.0 s left"
    assert progress.line(0, 0, begun + 2) == "folded 0 of 0 records (100 %), 0/s, 0 ms left"


def test_the_schema_of_a_url_is_replaced() -> None:
    """Whatever else the URL says stays."""
    url = "postgresql://u:p%2F@h:1/db?sslmode=disable&search_path=a"
    assert in_schema(url, "wex x") == "postgresql://u:p%2F@h:1/db?sslmode=disable&search_path=wex+x"


def test_names_of_schemas_are_quoted() -> None:
    """A schema may be called anything."""
    sql = "SELECT FROM live_schema.t, shadow_schema.t"
    assert between(sql, live='a"b', shadow="c") == 'SELECT FROM "a""b".t, "c".t'
    assert between("SELECT 'live_schema'::regnamespace", live="o'b", shadow="c") == "SELECT '\"o''b\"'::regnamespace"
    assert between("DO $$ live_schema.t $$", live="a$$b", shadow="c") == 'DO $_$ "a$$b".t $_$'


def test_a_scope_is_kept_and_shown() -> None:
    """A scope comes back from where it is kept, is equal in whatever order it is named, and reads as its options."""
    one, two = UUID(int=1), UUID(int=2)
    scope = ReplayScope(executions=(two, one, two), workflows=("a b",), topics=("t",), since=DECIDED, until=DECIDED)
    assert ReplayScope.from_json(scope.to_json()) == scope
    assert scope == ReplayScope(executions=(one, two), workflows=("a b",), topics=("t",), since=DECIDED, until=DECIDED)
    time = DECIDED.isoformat()
    assert str(scope) == (
        f"--execution {one} --execution {two} --workflow 'a b' --topic t --since {time} --until {time}"
    )
    assert not ReplayScope.from_json(None)
    assert not ReplayScope.from_json(ReplayScope().to_json())
    assert str(ReplayScope()) == "everything"
