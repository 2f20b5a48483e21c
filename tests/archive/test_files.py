"""Files of an archive: every record is read as it was written, and what is damaged or foreign is named."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.archive import files
from consumer.archive.folder import read_archive, read_stretches, survey
from consumer.archive.layout import CHECKSUM, GAP, RECORDS, ArchiveError, folder_of, name_of
from consumer.archive.parquet import _to_json as to_json
from consumer.chunk import Span
from consumer.errors import ExitCode
from consumer.record import Fault, Record, Stretch
from events.position import TopicPartition

NAME = TopicPartition("executions", 3)
ID = UUID(int=7)
LARGEST = 2**63 - 1


def write(root: Path, stretches: Sequence[Stretch], topic_id: UUID | None = ID) -> None:
    """Write stretches into a folder as an archive does."""
    with files.Files(root, NAME, topic_id, stretches[0].from_offset) as written:
        for stretch in stretches:
            written.add(stretch)


def numbered(first: int, last: int) -> Stretch:
    """A stretch with a small record for each offset."""
    return Stretch(first, last, [Record(n, 1_700_000_000_000 + n, b"k", b"value %d" % n) for n in range(first, last)])


def read(root: Path, span: Span | None = None) -> list[Stretch]:
    """What is read from a folder."""
    archived = read_archive(root)[NAME]
    return list(read_stretches(archived, archived.span if span is None else span))


def read_all(root: Path) -> None:
    """Read every partition of a folder."""
    for archived in read_archive(root).values():
        list(read_stretches(archived, archived.span))


names = st.binary(max_size=8).map(lambda name: name.decode(errors="surrogateescape"))
times = st.integers(-(2**63), LARGEST)
contents = st.none() | st.binary(max_size=40)
text = st.text(st.characters(codec="utf-8"), max_size=10)


@st.composite
def stretches(draw: st.DrawFn) -> list[Stretch]:
    """Stretches with holes, with anything that a record can hold, and with batches that stand for many offsets."""
    found, at = [], draw(st.integers(0, 5))
    for _ in range(draw(st.integers(1, 4))):
        start, records = at, []
        for _ in range(draw(st.integers(0, 4))):
            at += draw(st.integers(0, 3))
            last = at + draw(st.integers(0, 3))
            faults = st.builds(Fault, text, text, text, st.just(last))
            fault = draw(st.none() | st.builds(Fault, text, text, text, st.none()) | faults)
            headers = tuple(draw(st.lists(st.tuples(names, contents), max_size=4)))
            record = Record(at, draw(times), draw(contents), draw(contents), headers, fault, draw(st.booleans()))
            records.append(record)
            at = record.next_offset
        at += draw(st.integers(0 if at > start else 1, 2))
        found.append(Stretch(start, at, records))
    return found


@settings(max_examples=40, deadline=None)
@given(written=stretches(), bounds=st.tuples(st.integers(1, 3), st.integers(1, 6)), data=st.data())
def test_what_is_read_is_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, written: list[Stretch], bounds: tuple[int, int], data: st.DataObject
) -> None:
    """Any records, in files and groups of any size, are read again as they were; and any part of them, too."""
    root = tmp_path_factory.mktemp("archive")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(files, "GROUP_RECORDS", bounds[0])
        patched.setattr(files, "FILE_RECORDS", bounds[1])
        patched.setattr(os, "fsync", lambda _: None)  # many small files, whose reaching the disk is not the matter here
        write(root, written)
    whole = Span(written[0].from_offset, written[-1].next_offset)
    ends = sorted(data.draw(st.tuples(*[st.integers(*whole)] * 2)))
    records = [record for stretch in written for record in stretch.records]
    for span in (whole, Span(*ends)):
        found = read(root, span)
        expected = [r for r in records if r.next_offset > span.from_offset and r.offset < span.next_offset]
        assert [record for stretch in found for record in stretch.records] == expected
        edges = [span.from_offset, *(stretch.next_offset for stretch in found)]
        assert [stretch.from_offset for stretch in found] == edges[:-1]
        assert edges[-1] == span.next_offset
    [archived] = read_archive(root).values()
    anchors = [record.anchor for record in records if record.anchor is not None]
    assert (archived.span, archived.topic_id) == (whole, ID)
    assert archived.anchor == (anchors[-1] if anchors else None)
    assert survey(root, records=True).problems == []


def test_a_file_is_bounded_in_records_and_in_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is too much for one file goes on in another."""
    monkeypatch.setattr(files, "FILE_RECORDS", 20)
    write(tmp_path / "records", [numbered(n, n + 10) for n in range(0, 50, 10)])
    assert [part.span for part in read_archive(tmp_path / "records")[NAME].parts] == [(0, 20), (20, 40), (40, 50)]
    monkeypatch.setattr(files, "FILE_BYTES", 1)
    write(tmp_path / "bytes", [numbered(0, 1), numbered(1, 2)])
    assert [part.span for part in read_archive(tmp_path / "bytes")[NAME].parts] == [(0, 1), (1, 2)]


def test_other_tools_can_read_and_check_it(tmp_path: Path) -> None:
    """The files are Parquet with plain columns, the folders are its partitions, and `sha256sum -c` checks the sums."""
    from pyarrow import parquet

    write(tmp_path, [numbered(0, 3)])
    table = parquet.read_table(tmp_path)
    assert table.column("value").to_pylist() == [b"value 0", b"value 1", b"value 2"]
    assert (table.column("topic")[0].as_py(), table.column("partition")[0].as_py()) == ("executions", 3)
    assert table.column("timestamp")[0].as_py().isoformat() == "2023-11-14T22:13:20+00:00"
    if program := shutil.which("sha256sum"):
        place = folder_of(tmp_path, NAME)
        subprocess.run([program, "-c", *[path.name for path in place.glob(f"*{CHECKSUM}")]], cwd=place, check=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An archive of three files."""
    for first in (0, 10, 20):
        write(tmp_path, [numbered(first, first + 10)])
    return tmp_path


def place(root: Path, first: int = 10, kind: str = RECORDS) -> Path:
    """A file of that archive."""
    return folder_of(root, NAME) / name_of(Span(first, first + 10), kind)


def flip(path: Path, at: int) -> None:
    """Change one bit."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def rename(root: Path) -> None:
    """Give a file the name of another range, as its checksum."""
    for kind in (RECORDS, CHECKSUM):
        place(root, 20, kind).rename(folder_of(root, NAME) / name_of(Span(20, 31), kind))


def overlap(root: Path) -> None:
    """Write what is there once more, with one offset more."""
    write(root, [numbered(10, 21)])


def another_log(root: Path) -> None:
    """Add a file of a topic with another id."""
    write(root, [numbered(30, 40)], UUID(int=8))


def foreign_parquet(root: Path) -> None:
    """Put a file there that somebody else has made."""
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table({"a": [1]}), place(root))


def newer(root: Path) -> None:
    """Have a file say that it is of a later version."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("consumer.archive.parquet.FORMAT", 2)
        write(root, [numbered(30, 40)])


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a byte of the records": (lambda root: flip(place(root), 50), r"10-0*20\.parquet is damaged: its SHA-256 is not"),
    "a byte of the footer's text": (lambda root: flip(place(root), -40), "is damaged|cannot be compared"),
    "the end": (lambda root: place(root).write_bytes(place(root).read_bytes()[:-30]), "is damaged"),
    "everything": (lambda root: place(root).write_bytes(b""), "is damaged"),
    "the checksum": (lambda root: flip(place(root, kind=CHECKSUM), 0), "its SHA-256 is not the one in"),
    "no checksum": (lambda root: place(root, kind=CHECKSUM).unlink(), "cannot be compared with its checksum"),
    "a file is missing": (lambda root: place(root).unlink(), "of executions/3 lacks 10 to 19, before .*20-"),
    "an overlap": (overlap, "they overlap"),
    "renamed": (rename, "was renamed or lies in the wrong place: it says that it is executions/3, 0*20-0*30"),
    "of another partition": (
        lambda root: shutil.copytree(folder_of(root, NAME), folder_of(root, NAME._replace(partition=4))),
        "partition=4.*lies in the wrong place: it says that it is executions/3",
    ),
    "another log": (another_log, "topics with several ids"),
    "another's Parquet": (foreign_parquet, "is no file of an archive"),
    "a note": (lambda root: (folder_of(root, NAME) / "note.txt").touch(), "note.txt is no part of an archive"),
    "a note above": (lambda root: (root / "note.txt").touch(), "note.txt is no part of an archive"),
    "a folder": (lambda root: (root / "topic=executions" / "partition=x").mkdir(), "x is no part of an archive"),
    "of a later version": (newer, "in format 2, this version reads up to 1"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_wrong_is_named(root: Path, damage: str) -> None:
    """Whatever is missing, damaged or too many: nothing is read past it, and the error says where and what to do."""
    break_, why = DAMAGE[damage]
    assert len(read(root)) == 3
    break_(root)
    with pytest.raises(ArchiveError, match=why) as refused:
        read_all(root)
    assert refused.value.exit_code == ExitCode.REFUSED
    assert refused.value.remedy


@pytest.mark.parametrize("damage", [name for name in DAMAGE if not name.endswith(("above", "folder"))])
def test_a_check_finds_it(root: Path, damage: str) -> None:
    """Reading everything finds the same, and goes on with the other partitions."""
    DAMAGE[damage][0](root)
    assert survey(root, records=True).problems


def test_a_check_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is whole and holds other records than it says is found as well."""
    write(tmp_path / "range", [Stretch(0, 5, numbered(3, 7).records)])
    write(tmp_path / "order", [Stretch(0, 5, [*numbered(2, 4).records, *numbered(1, 3).records])])
    with monkeypatch.context() as patched:
        patched.setattr("consumer.archive.parquet._to_json", lambda facts: to_json(facts._replace(records=9)))
        write(tmp_path / "count", [numbered(0, 5)])
    found = {name: survey(tmp_path / name, records=True).problems for name in ("range", "order", "count")}
    assert {name: str(problems[0]).split(".parquet ")[1].splitlines()[0] for name, problems in found.items()} == {
        "range": "holds a record of 5 after 4",
        "order": "holds a record of 1 after 3",
        "count": "holds 5 records, its footer speaks of 9",
    }


def test_any_byte_that_is_changed_is_noticed(root: Path) -> None:
    """No byte of a file can be changed unseen."""
    path = place(root)
    whole = path.read_bytes()
    for at in range(0, len(whole), 37):
        flip(path, at)
        assert survey(root, records=True).problems, at
        path.write_bytes(whole)
    assert survey(root, records=True).problems == []


def test_a_gap_is_part_of_an_archive_once_it_is_accepted(root: Path) -> None:
    """An accepted gap is passed over, and told."""
    for kind in (RECORDS, CHECKSUM):
        place(root, kind=kind).unlink()
    place(root, kind=GAP).write_text(json.dumps({}))
    assert [(stretch[:2], len(stretch.records)) for stretch in read(root)] == [
        ((0, 10), 10),
        ((10, 20), 0),
        ((20, 30), 10),
    ]
    assert read_archive(root)[NAME].gaps == [(10, 20)]


def test_no_archive_is_not_an_empty_one(tmp_path: Path) -> None:
    """A folder without an archive is an error, and no archive of nothing."""
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ArchiveError, match="there is no archive in") as refused:
            read_archive(folder)
        assert refused.value.exit_code == ExitCode.NOT_FOUND


def test_what_a_killed_run_has_left_is_cleared_away(root: Path) -> None:
    """A file without its name, and a checksum without its file, are no part of an archive, and go with the next run."""
    before = read(root)
    unfinished = folder_of(root, NAME) / f"{files.UNFINISHED}{RECORDS}"
    lonely = place(root, 30, CHECKSUM)
    unfinished.write_bytes(b"half")
    lonely.write_text("0  x")
    assert read(root) == before
    files.clear(folder_of(root, NAME))
    assert not unfinished.exists()
    assert not lonely.exists()
    assert read(root) == before


@pytest.mark.parametrize("moment", ["_to_disk", "Writer.write"])
def test_a_disk_that_is_full_leaves_no_file(root: Path, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    """A file that cannot be written to its end does not get its name, and the next run goes on where the last ended."""
    with monkeypatch.context() as patched:

        def refuse_once(*_: object) -> None:
            patched.undo()
            raise OSError(errno.ENOSPC, "no room")

        patched.setattr(files, "GROUP_RECORDS", 1)
        patched.setattr(f"consumer.archive.files.{moment}", refuse_once)
        with pytest.raises(ArchiveError, match="cannot be written: no room") as failed:
            write(root, [numbered(30, 40)])
    assert failed.value.exit_code == ExitCode.ERROR
    assert read_archive(root)[NAME].span == (0, 30)
    assert list(root.rglob(f"{files.UNFINISHED}{RECORDS}")) == []
    files.clear(folder_of(root, NAME))
    write(root, [numbered(30, 40)])
    assert survey(root, records=True).problems == []
