"""Cursors: whole, of this list, and of this version, or refused by name."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.cursors import TEXT_LENGTH, VERSION, Cursor

DIGEST = b"12345678"
TIME = datetime(2026, 1, 1, 12, 30, 15, 123456, tzinfo=UTC)
CURSOR = Cursor(TIME, TIME - timedelta(days=3), UUID(int=2**127 + 5))
times = st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - Hypothesis adds the zone


@given(times, times, st.uuids(), st.booleans())
def test_a_cursor_comes_back_as_it_was(moment: datetime, time: datetime, id_: UUID, backward: bool) -> None:
    """Each place survives being written and read, to the microsecond, in letters that need no quoting."""
    cursor = Cursor(moment, time, id_, backward)
    text = cursor.encode(DIGEST)
    assert Cursor.decode(text, DIGEST) == cursor
    assert len(text) == TEXT_LENGTH
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(st.integers(0, TEXT_LENGTH - 1), st.sampled_from("Aa0-_"))
def test_a_cursor_with_another_letter_is_damaged(place: int, letter: str) -> None:
    """No letter of a cursor can be changed unnoticed."""
    text = CURSOR.encode(DIGEST)
    changed = text[:place] + letter + text[place + 1 :]
    if changed != text:
        with pytest.raises(ValueError, match=r"the cursor is (damaged|of another version)"):
            Cursor.decode(changed, DIGEST)


@given(st.text(max_size=100))
def test_what_is_no_cursor_is_damaged(text: str) -> None:
    """Any other text is refused as damaged."""
    with pytest.raises(ValueError, match="the cursor is damaged; pass it on as it was given"):
        Cursor.decode(text, DIGEST)


def test_a_cut_or_padded_cursor_is_damaged() -> None:
    """A cursor that lost letters, or has more, is damaged."""
    text = CURSOR.encode(DIGEST)
    for wrong in ("", text[:-1], text[:-4], text[4:], text + "AAAA", text + "=", f" {text}", text + "\n"):
        with pytest.raises(ValueError, match="the cursor is damaged"):
            Cursor.decode(wrong, DIGEST)


def test_a_cursor_of_another_list_is_told_from_a_damaged_one() -> None:
    """A whole cursor of another filter or order says so."""
    with pytest.raises(ValueError, match="the cursor belongs to another filter or order; ask for the first page of"):
        Cursor.decode(CURSOR.encode(b"87654321"), DIGEST)


def sealed(body: bytes) -> str:
    """A text with a checksum that holds."""
    return base64.urlsafe_b64encode(body + hashlib.sha256(body).digest()[:6]).decode()


def test_every_part_is_looked_at() -> None:
    """Versions, directions and times that this version does not write are refused even where the checksum holds."""
    whole = base64.urlsafe_b64decode(CURSOR.encode(DIGEST))[:-6]
    assert Cursor.decode(sealed(whole), DIGEST) == CURSOR
    with pytest.raises(ValueError, match="the cursor is of another version of this service; ask for the first page"):
        Cursor.decode(sealed(bytes([VERSION + 1]) + whole[1:]), DIGEST)
    far = (2**62).to_bytes(8)
    for wrong in (whole[:1] + b"\x02" + whole[2:], whole[:10] + far + whole[18:], whole[:18] + far + whole[26:]):
        with pytest.raises(ValueError, match="the cursor is damaged"):
            Cursor.decode(sealed(wrong), DIGEST)
    with pytest.raises(ValueError, match="the cursor is damaged"):
        Cursor.decode(sealed(whole + b"\0"), DIGEST)
