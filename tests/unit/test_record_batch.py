"""Reading record batches: what aiokafka builds is read as aiokafka reads it, and every fault costs what it must."""

from __future__ import annotations

import gzip
import hashlib
import struct
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from hypothesis import given
from hypothesis import strategies as st

from consumer import client_codecs, record_batch
from consumer.client_codecs import TooDenseError
from consumer.inflate import BUFFER_BYTES_MIN, GZIP_MEMBERS_MAX, BeyondRoomError, Codec, InflateError, inflate
from consumer.record import Record, Stretch
from consumer.record_batch import HEADER, UnreadableError, read_stretch
from events.limits import HEADERS_MAX

CODECS = list(Codec)
COMPRESSING = CODECS[1:]
NAMES = [codec.name.lower() for codec in COMPRESSING]
Headers = list[tuple[str, bytes | None]]

FIELD_NAMES = (
    *("base", "length", "epoch", "magic", "crc", "attributes", "delta", "first", "latest"),
    *("producer", "producer_epoch", "sequence", "count"),
)
FIELDS = st.none() | st.binary(max_size=40)
HEADERS = st.lists(st.tuples(st.text(max_size=8), FIELDS), max_size=3)
CONTENTS = st.lists(st.tuples(FIELDS, FIELDS, HEADERS, st.integers(0, 2**40)), min_size=1, max_size=12)


def sealed(batch: bytes, **fields: int) -> bytes:
    """A batch with fields of its header replaced, and the checksum that then holds."""
    header = dict(zip(FIELD_NAMES, HEADER.unpack_from(batch), strict=True)) | {"length": len(batch) - 12} | fields
    changed = HEADER.pack(*header.values()) + batch[HEADER.size :]
    return changed[:17] + struct.pack(">I", fields.get("crc", calc_crc32c(changed[21:]))) + changed[21:]


def built(
    values: Sequence[bytes | None],
    codec: Codec = Codec.NONE,
    *,
    base: int = 0,
    headers: Headers | None = None,
    **fields: int,
) -> bytes:
    """A batch as a broker stores it."""
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 1 << 30)
    for n, value in enumerate(values):
        builder.append(n, 1_000 + n, b"k", value, headers or [])
    return sealed(bytes(builder.build()), **{"base": base} | fields)


def read(data: bytes, from_offset: int = 0, aborted: Sequence[tuple[int, int]] = (), **options: int) -> Stretch:
    """Read with the checksum of aiokafka."""
    return read_stretch(data, from_offset, aborted, calc_crc32c, **options)


def offsets(stretch: Stretch) -> list[int]:
    """The offsets of the records."""
    return [record.offset for record in stretch.records]


def reasons(stretch: Stretch) -> dict[int, str]:
    """The faults by offset."""
    return {record.offset: record.fault.reason for record in stretch.records if record.fault is not None}


@given(CONTENTS, st.sampled_from(CODECS), st.integers(0, 2**50), st.booleans())
def test_what_aiokafka_builds_is_read_as_aiokafka_reads_it(
    contents: list[tuple[bytes | None, bytes | None, Headers, int]], codec: Codec, base: int, broker_time: bool
) -> None:
    """Offsets, timestamps, keys, values and headers are those that the client gives, for every codec."""
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 1 << 20)
    for n, (key, value, headers, timestamp) in enumerate(contents):
        builder.append(n, timestamp, key, value, headers)
    attributes = codec | (0x08 if broker_time else 0)
    data = sealed(bytes(builder.build()), base=base, attributes=attributes)
    theirs = [
        Record(r.offset, r.timestamp, r.key, r.value, tuple(r.headers), None, r.timestamp_type == 1)
        for r in MemoryRecords(data).next_batch()
    ]
    assert read(data, base) == Stretch(base, base + len(contents), theirs)


@given(st.binary(max_size=300), st.integers(0, 400), st.integers(0, 255))
def test_no_bytes_make_it_fail_otherwise(noise: bytes, at: int, byte: int) -> None:
    """Whatever a checked batch holds, the outcome is records, faults or an unreadable log, and the offsets ascend."""
    whole = bytearray(built([b"a", b"bb", b"c" * 40], headers=[("name", b"v")]))
    whole[HEADER.size + at % (len(whole) - HEADER.size)] = byte
    for data in (sealed(bytes(whole)), sealed(built([b"a"]) + noise), noise):
        try:
            stretch = read(data)
        except UnreadableError:
            continue
        spans = [(record.offset, record.next_offset) for record in stretch.records]
        assert all(first < following for first, following in spans)
        assert all(before[1] <= after[0] for before, after in pairwise(spans))
        assert not spans or spans[-1][1] <= stretch.next_offset
        assert all((record.anchor is None) or record.anchor.offset == record.offset for record in stretch.records)


def crowded(headers: int) -> bytes:
    """A batch of two records, of which the second has so many empty headers."""
    names = [("", b"")] * headers
    builder = DefaultRecordBatchBuilder(2, Codec.ZSTD, 0, -1, -1, -1, 1 << 30)
    builder.append(0, 0, b"k", b"a", [])
    builder.append(1, 0, b"k", b"b", names)
    return sealed(bytes(builder.build()))


def test_headers_beyond_the_contracts_bound_are_not_made() -> None:
    """A record with more headers than the contract allows is set aside without them; one with as many is read."""
    assert len(read(crowded(HEADERS_MAX)).records[1].headers) == HEADERS_MAX
    first, second = read(crowded(HEADERS_MAX + 1)).records
    assert (first.fault, second.value, second.headers) == (None, b"b", ())
    assert second.fault is not None
    assert second.fault.reason == "too_many_headers"


def test_the_client_makes_nothing_of_a_batch_that_is_too_dense() -> None:
    """A batch of kilobytes that is megabytes of empty headers is refused before the client makes objects of them."""
    client_codecs.install()
    with pytest.raises(TooDenseError):
        list(MemoryRecords(crowded(client_codecs.INFLATED_BYTES_UNDOUBTED)).next_batch())
    assert len(list(MemoryRecords(built([b"x" * 100_000], Codec.ZSTD)).next_batch())) == 1


def test_a_batch_of_too_many_records_costs_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that would be inflated again and again for its records is set aside as a whole."""
    monkeypatch.setattr(record_batch, "BATCH_RECORDS_MAX", 3)
    stretch = read(built([b"a"] * 3) + built([b"b"] * 4, base=3) + built([b"c"], base=7))
    assert offsets(stretch) == [0, 1, 2, 3, 7]
    assert reasons(stretch) == {3: "too_many_records"}
    assert stretch.next_offset == 8


def test_gzip_of_many_members_is_damaged() -> None:
    """Some members of gzip are inflated one after the other; of hundreds, each of which costs a copy, none is."""
    part = gzip.compress(b"x")
    assert bytes(inflate(Codec.GZIP, part * GZIP_MEMBERS_MAX, 1_000)) == b"x" * GZIP_MEMBERS_MAX
    with pytest.raises(InflateError, match="members"):
        inflate(Codec.GZIP, part * (GZIP_MEMBERS_MAX + 1), 1_000)


def test_a_header_that_is_not_utf8_costs_its_record() -> None:
    """The record is set aside with everything it has, and its neighbours are read."""
    good = built([b"a", b"b", b"c"], headers=[("name", b"v"), ("name", None)])
    second = good.index(b"name", good.index(b"name", good.index(b"b\x04")) - 1)
    stretch = read(sealed(good[:second] + b"n\xffme" + good[second + 4 :]))
    assert [(r.key, r.value) for r in stretch.records] == [(b"k", b"a"), (b"k", b"b"), (b"k", b"c")]
    [faulty] = [record for record in stretch.records if record.fault]
    assert faulty.fault is not None
    assert (faulty.offset, faulty.fault.reason, faulty.fault.field) == (1, "header_not_utf8", "headers")
    assert [(name.encode(errors="surrogateescape"), value) for name, value in faulty.headers] == [
        (b"n\xffme", b"v"),
        (b"name", None),
    ]
    assert "header 1 of 2" in faulty.fault.detail
    assert faulty.anchor is not None


def test_a_record_whose_inside_is_broken_costs_itself() -> None:
    """A record of which only the length is right is kept as the bytes that it is."""
    good = built([b"a", b"broken", b"c"])
    at = good.index(b"\x0cbroken")
    stretch = read(sealed(good[:at] + b"\x0e" + good[at + 1 :]))
    assert [r.value for r in stretch.records if r.fault is None] == [b"a", b"c"]
    assert reasons(stretch) == {1: "malformed_record"}
    assert stretch.records[1].value is not None
    assert stretch.records[1].value.endswith(b"\x0ebroken\x00")


def test_records_that_cannot_be_told_apart_cost_the_rest_of_their_batch() -> None:
    """After a length that is wrong nothing more of the batch is believed, and the next batch is read."""
    good = built([b"a", b"b", b"c"])
    at = good.index(b"\x02b\x00")
    broken = sealed(good[: at - 6] + b"\xff" + good[at - 5 :])
    stretch = read(broken + built([b"d"], base=3))
    assert reasons(stretch) == {1: "corrupt_batch"}
    assert offsets(stretch) == [0, 1, 3]
    assert (stretch.records[1].next_offset, stretch.records[1].value) == (3, broken)


@pytest.mark.parametrize("codec", COMPRESSING, ids=NAMES)
def test_a_bomb_costs_its_batch(codec: Codec) -> None:
    """A batch that inflates beyond the room is set aside as it is, and the batches around it are read."""
    bomb = built([bytes(200_000)] * 3, codec, base=5)
    stretch = read(built([b"a"], base=4) + bomb + built([b"b"], base=8), 4, room=100_000)
    assert offsets(stretch) == [4, 5, 8]
    assert reasons(stretch) == {5: "inflates_beyond_cap"}
    faulty = stretch.records[1]
    assert faulty.fault is not None
    assert (faulty.value, faulty.next_offset, faulty.anchor) == (bomb, 8, None)
    assert faulty.fault.detail == (
        f"offsets 5 to 7: inflates to more than 100000 bytes; {codec.name.lower()}, {len(bomb)} bytes, "
        f"sha256 {hashlib.sha256(bomb).hexdigest()}"
    )


def test_a_batch_that_is_large_even_compressed_is_kept_as_a_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a batch beyond the bound only its size and digest are kept."""
    monkeypatch.setattr(record_batch, "KEPT_BYTES_MAX", 100)
    bomb = built([bytes(200_000)], Codec.GZIP)
    [faulty] = read(bomb, room=10).records
    assert faulty.fault is not None
    assert faulty.value is None
    assert hashlib.sha256(bomb).hexdigest() in faulty.fault.detail


@pytest.mark.parametrize("codec", COMPRESSING, ids=NAMES)
@pytest.mark.parametrize("damage", ["cut", "garbage"])
def test_damaged_compression_costs_its_batch(codec: Codec, damage: str) -> None:
    """What cannot be inflated though its checksum holds is set aside as a batch."""
    good = built([bytes(range(200)) * 20] * 4, codec)
    broken = good[:-20] if damage == "cut" else good[: HEADER.size] + b"garbage" * 20
    stretch = read(sealed(broken) + built([b"next"], base=4))
    assert reasons(stretch) == {0: "corrupt_batch"}
    assert offsets(stretch) == [0, 4]


def test_an_unknown_codec_costs_its_batch() -> None:
    """A number that stands for no codec is a fault of the batch."""
    stretch = read(built([b"a", b"b"], attributes=6))
    assert reasons(stretch) == {0: "corrupt_batch"}
    assert stretch.next_offset == 2
    assert stretch.records[0].fault is not None
    assert "codec 6" in stretch.records[0].fault.detail


def test_a_checksum_that_does_not_hold_is_no_records_fault() -> None:
    """What is before the damage is read; at the damage itself nothing is."""
    good, bad = built([b"a"]), built([b"b"], base=1, crc=1)
    assert read(good + bad) == Stretch(0, 1, read(good).records)
    with pytest.raises(UnreadableError, match="offset 1: the checksum") as raised:
        read(bad + built([b"c"], base=2), 1)
    assert raised.value.kind == "corrupt"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (built([b"a"], magic=1), "unreadable"),
        (built([b"a"], magic=7), "corrupt"),
        (built([b"a"], length=20), "corrupt"),
        (built([b"a"])[:65], "corrupt"),
        (built([b"a"])[:12], "corrupt"),
        (built([b"a"], attributes=0x20)[:-1], "corrupt"),
        (sealed(built([b"a"], attributes=0x20)[:-9]), "unreadable"),
    ],
    ids=["old format", "no format", "too short", "cut off", "header cut off", "marker cut off", "broken marker"],
)
def test_what_is_no_batch_is_not_read(data: bytes, kind: str) -> None:
    """Bytes that are no record batch of this format are no producer's fault."""
    with pytest.raises(UnreadableError) as raised:
        read(data)
    assert raised.value.kind == kind


def test_a_batch_that_is_cut_off_is_left_for_the_next_fetch() -> None:
    """The broker cuts the last batch anywhere."""
    first, second = built([b"a", b"b"]), built([b"c"], base=2)
    for cut in range(len(second)):
        assert offsets(read(first + second[:cut])) == [0, 1]


def test_reading_begins_within_a_batch() -> None:
    """Records before the offset that was asked for are left out, and a fault stands for the rest alone."""
    data = built([b"a", b"b", b"c", b"d"], Codec.ZSTD)
    assert offsets(read(data, 2)) == [2, 3]
    assert [(r.offset, r.next_offset) for r in read(data, 2, room=1).records] == [(2, 4)]


def test_nothing_is_there_yet() -> None:
    """An empty answer moves nothing."""
    assert read(b"", 7) == Stretch(7, 7, [])


def marker(producer: int, *, commit: bool, base: int) -> bytes:
    """What ends a transaction."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1_000)
    builder.append(0, 0, struct.pack(">hh", 0, int(commit)), b"", [])
    return sealed(bytes(builder.build()), base=base, attributes=0x30, producer=producer)


def test_transactions_are_read_as_committed() -> None:
    """Markers and aborted records are passed over, faults among these too; others of the same producer are read."""
    data = b"".join(
        [
            built([b"1 aborts", b"too"], producer=1, attributes=0x10),
            built([b"2 commits"], producer=2, attributes=0x10, base=2),
            built([bytes(1_000)], Codec.GZIP, producer=1, attributes=0x11, base=3),
            built([b"no transaction"], producer=1, base=4),
            marker(1, commit=False, base=5),
            marker(2, commit=True, base=6),
            built([b"1 commits"], producer=1, attributes=0x10, base=7),
            marker(1, commit=True, base=8),
        ]
    )
    stretch = read(data, aborted=[(1, 0)], room=100)
    assert [(r.offset, r.value) for r in stretch.records] == [
        (2, b"2 commits"),
        (4, b"no transaction"),
        (7, b"1 commits"),
    ]
    assert stretch.next_offset == 9
    assert reasons(read(data, room=100)) == {3: "inflates_beyond_cap"}


def test_a_stretch_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many records or bytes the rest is left, within a batch as well."""
    data = built([b"x" * 10] * 10, Codec.GZIP) + built([b"x" * 10] * 10, base=10)
    monkeypatch.setattr(record_batch, "STRETCH_RECORDS_MAX", 13)
    assert read(data).next_offset == 13
    assert read(data, 13).next_offset == 20
    monkeypatch.setattr(record_batch, "STRETCH_BYTES_MAX", 45)
    assert read(data).next_offset == 5


def compressed(codec: Codec) -> Callable[[bytes], bytes]:
    """The client's own compression."""
    from aiokafka import codec as codecs

    encode: Callable[[bytes], bytes] = getattr(codecs, f"{codec.name.lower()}_encode")
    return encode


@pytest.mark.parametrize("codec", COMPRESSING, ids=NAMES)
@pytest.mark.parametrize("size", [1, BUFFER_BYTES_MIN, 9 * BUFFER_BYTES_MIN, 3_000_000])
def test_inflating_ends_exactly_at_the_room(codec: Codec, size: int) -> None:
    """As much as there is room for is inflated, and not a byte more."""
    data = compressed(codec)(bytes(size))
    assert bytes(inflate(codec, data, size)) == bytes(size)
    with pytest.raises(BeyondRoomError):
        inflate(codec, data, size - 1)


@pytest.mark.parametrize("codec", [Codec.GZIP, Codec.LZ4, Codec.ZSTD], ids=["gzip", "lz4", "zstd"])
def test_compression_in_several_parts_is_inflated_whole(codec: Codec) -> None:
    """A stream of several members or frames is inflated to the end, as the client does it."""
    parts = compressed(codec)(b"abc" * 500) + compressed(codec)(b"def" * 500)
    assert bytes(inflate(codec, parts, 10_000)) == b"abc" * 500 + b"def" * 500
    with pytest.raises(BeyondRoomError):
        inflate(codec, parts, 2_000)


@given(st.sampled_from(COMPRESSING), st.binary(max_size=60))
def test_noise_is_not_inflated(codec: Codec, noise: bytes) -> None:
    """Bytes that no compressor wrote are refused, or happen to be something small."""
    try:
        assert len(inflate(codec, noise, 100_000)) <= 100_000
    except (InflateError, BeyondRoomError):
        return


def test_snappy_without_its_framing_is_inflated_too() -> None:
    """Some clients write snappy as one block."""
    from aiokafka.codec import snappy_encode

    data = bytes(snappy_encode(b"abc" * 500, xerial_compatible=False))
    assert bytes(inflate(Codec.SNAPPY, data, 1_500)) == b"abc" * 500
