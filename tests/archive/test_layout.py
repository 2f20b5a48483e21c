"""What the parts of an archive must be to each other, and where an offset is read from."""

from __future__ import annotations

import itertools
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.archive.layout import (
    GAP,
    RECORDS,
    Archived,
    ArchiveError,
    Facts,
    Part,
    check_contiguous,
    check_follows,
    name_of,
    read_name,
    split,
)
from consumer.chunk import Span
from consumer.errors import ExitCode
from events.position import TopicPartition

NAME = TopicPartition("executions", 3)
ID, OTHER = UUID(int=1), UUID(int=2)
OFFSETS = st.integers(0, 10**18)


def spans() -> st.SearchStrategy[Span]:
    """Spans of a few offsets, some of them empty."""
    return st.tuples(st.integers(0, 30), st.integers(0, 30)).map(lambda pair: Span(min(pair), max(pair)))


def part(first: int, last: int, *, latest_ms: int | None = None, topic_id: UUID | None = ID) -> Part:
    """A file of some offsets."""
    span = Span(first, last)
    facts = Facts(NAME, span, topic_id, last - first, 0, None, latest_ms)
    return Part(span, Path(f"/archive/topic=executions/partition=3/{name_of(span, RECORDS)}"), 1, facts)


@given(first=OFFSETS, length=st.integers(1, 10**9), kind=st.sampled_from([RECORDS, GAP]))
def test_a_name_says_its_offsets(first: int, length: int, kind: str) -> None:
    """A name is read as it was written."""
    span = Span(first, first + length)
    assert read_name(name_of(span, kind)) == (span, kind)


@pytest.mark.parametrize("name", ["a.parquet", f"{5:020}-{5:020}.parquet", f"{9:020}-{5:020}.gap", "1-2.parquet", "x"])
def test_other_names_are_none_of_ours(name: str) -> None:
    """Names without offsets, and those of empty ranges, are foreign."""
    assert read_name(name) is None


@given(span=spans(), archived=st.none() | spans())
def test_every_offset_is_read_once_and_in_order(span: Span, archived: Span | None) -> None:
    """Log, archive and log again are the span, and the archive gives what it has of it."""
    pieces = split(span, archived)
    read = [offset for piece in pieces for offset in range(*piece)]
    assert read == list(range(*span))
    assert set(range(*pieces[1])) == set(range(*span)) & set(range(*(archived or Span(0, 0))))
    assert all(a.next_offset == b.from_offset for a, b in itertools.pairwise(pieces))


@given(cuts=st.lists(st.integers(0, 50), min_size=2, max_size=6, unique=True).map(sorted), broken=st.data())
def test_parts_follow_on_each_other(cuts: list[int], broken: st.DataObject) -> None:
    """Parts that meet are whole; one that is missing is a gap, and one that reaches too far an overlap."""
    parts = [part(a, b) for a, b in itertools.pairwise(cuts)]
    check_contiguous(NAME, parts)
    if len(parts) > 2:
        missing = broken.draw(st.integers(1, len(parts) - 2))
        with pytest.raises(ArchiveError, match=f"lacks {cuts[missing]} to {cuts[missing + 1] - 1}, before /archive"):
            check_contiguous(NAME, parts[:missing] + parts[missing + 1 :])
    if len(parts) > 1:
        early = part(cuts[1] - 1, cuts[2])
        with pytest.raises(ArchiveError, match="they overlap"):
            check_contiguous(NAME, [parts[0], early, *parts[2:]])


@pytest.mark.parametrize(
    ("start", "end", "topic_id", "why"),
    [
        (0, 20, OTHER, "made anew: its id is 0{8}-0000-0000-0000-0{11}2, the archive's"),
        (0, 9, ID, "ends at 9, the archive at 10: it was made anew or truncated"),
        (11, 20, ID, "ends at 10, the log begins at 11: 10 to 10 are in neither"),
    ],
)
def test_a_log_that_does_not_follow_is_refused(start: int, end: int, topic_id: UUID, why: str) -> None:
    """Another log, a truncated one, and one that begins too late are refused, each with its reason."""
    with pytest.raises(ArchiveError, match=why) as refused:
        check_follows(Archived(NAME, [part(0, 10)]), start, end, topic_id)
    assert refused.value.exit_code == ExitCode.REFUSED
    assert refused.value.remedy


@pytest.mark.parametrize(("start", "end", "topic_id"), [(0, 10, ID), (10, 10, ID), (3, 20, None)])
def test_a_log_that_follows_is_not(start: int, end: int, topic_id: UUID | None) -> None:
    """The log may begin anywhere up to where the archive ends, and a broker may be too old to tell ids."""
    check_follows(Archived(NAME, [part(0, 10)]), start, end, topic_id)


def test_a_time_is_found_by_the_files_of_an_archive() -> None:
    """The first file with a record that is not older than a time is where reading begins."""
    archived = Archived(NAME, [part(0, 5, latest_ms=100), part(5, 7), part(7, 9, latest_ms=200)])
    assert [archived.offset_at(time) for time in (50, 100, 101, 200, 201)] == [0, 0, 7, 7, None]
