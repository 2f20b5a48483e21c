"""The limit on dead letters: what is too much, and what is not."""

from __future__ import annotations

from consumer.chunk import Chunk, Prepared, Span
from consumer.dead_letter_limit import JUDGED_RECORDS, WINDOW_RECORDS, DeadLetterLimit
from consumer.record import Record
from events.position import TopicPartition
from store.batch import DeadLetter

P, Q = TopicPartition("t", 0), TopicPartition("t", 1)


def chunk(*kinds: str, partition: TopicPartition = P, start: int = 0) -> tuple[Chunk, Prepared]:
    """A chunk of one partition with a record for every letter: `.` is good, `x` is bad."""
    text = "".join(kinds)
    records = tuple(Record(start + n, 0, None, b"") for n in range(len(text)))
    bad = [
        DeadLetter(partition, start + n, 0, None, b"", (), "not_json", "") for n, kind in enumerate(text) if kind == "x"
    ]
    return Chunk(1, {partition: records}, {partition: Span(start, start + len(text))}), Prepared(dead_letters=bad)


def verdicts(limit: DeadLetterLimit, *texts: str) -> list[bool]:
    """Whether each chunk is too much; those that are not are applied."""
    found = []
    for text in texts:
        work = chunk(text)
        found.append(bool(limit.exceeded_by(*work)))
        if not found[-1]:
            limit.applied(*work)
    return found


def test_a_row_is_counted_over_chunks_and_ends_with_a_good_record() -> None:
    """A row goes on from chunk to chunk, and begins anew after one good record."""
    assert verdicts(DeadLetterLimit(5), "xxx", "xx", "x") == [False, False, True]
    assert verdicts(DeadLetterLimit(5), "xxx", "xx.", "xxxxx") == [False, False, False]
    assert verdicts(DeadLetterLimit(5), "xxx", "......", "xxxxx") == [False, False, False]
    assert verdicts(DeadLetterLimit(5), "..xxxxxx..") == [True]


def test_a_row_is_of_one_partition() -> None:
    """Rows of different partitions are not added, and a good partition does not end another's row."""
    limit = DeadLetterLimit(5)
    for _ in range(3):
        for partition, text in ((P, "x"), (Q, "...")):
            work = chunk(text, partition=partition)
            assert limit.exceeded_by(*work) == ""
            limit.applied(*work)
    assert limit.exceeded_by(*chunk("xxx", partition=Q)) == ""
    assert limit.exceeded_by(*chunk("xxx")) == "too many dead letters: 6 in a row in t/0 (not_json), at most 5"


def test_a_share_is_taken_of_enough_records_only() -> None:
    """Below a thousand records nothing is judged; from then on the share decides, at the bound still in favour."""
    few, some = "x...." * ((JUDGED_RECORDS - 5) // 5), "....x"
    assert verdicts(DeadLetterLimit(0), "x" * (JUDGED_RECORDS - 1)) == [False]
    assert verdicts(DeadLetterLimit(0), few, some, "x") == [False, False, True]
    said = DeadLetterLimit(0).exceeded_by(*chunk("x" * JUDGED_RECORDS))
    assert said == "too many dead letters: 1000 of the last 1000 records (not_json), at most 20 %"


def test_what_was_long_ago_is_forgotten() -> None:
    """The share is that of the last records: good years do not excuse a bad day, and bad days end."""
    good, bad = "." * WINDOW_RECORDS, "x" * (WINDOW_RECORDS // 3)
    limit = DeadLetterLimit(0)
    assert verdicts(limit, *[good] * 5, bad) == [False] * 5 + [True]
    mended = DeadLetterLimit(0, 100)
    assert verdicts(mended, bad, *[good] * 2) == [False] * 3
    mended.percent_max = 1
    assert verdicts(mended, "x" * 50 + "." * 50) == [False]


def test_both_bounds_can_be_lifted() -> None:
    """With 0 and 100 nothing is too much."""
    assert verdicts(DeadLetterLimit(0, 100), *["x" * 5_000] * 4) == [False] * 4


def test_what_was_not_applied_does_not_count() -> None:
    """A chunk that is judged again after a failure of the database is judged as the first time."""
    limit = DeadLetterLimit(5)
    for _ in range(10):
        assert limit.exceeded_by(*chunk("xxx")) == ""
