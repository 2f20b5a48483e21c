"""What PostgreSQL cannot hold in a payload is found, and nothing else is."""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from events import limits
from events.payload import JsonText, Withheld, nests_deeper, refusal
from tests.strategies import NASTY_JSON, json_texts

KEY_OF_1024_BYTES = "k" * limits.PAYLOAD_KEY_BYTES_MAX

ACCEPTED = {
    "an escaped backslash before u0000": r'"\\u0000"',
    "two escaped backslashes before u0000": r'"\\\\u0000"',
    "an escaped backslash before ud800": r'"\\ud800"',
    "a pair of surrogates": r'"\ud83d\ude00"',
    "two pairs": r'"\uD83D\uDE00\ud83d\ude00"',
    "a pair between other escapes": r'"\n\ud83d\ude00\u00e9"',
    "the words in a string": '"NaN, Infinity and -Infinity"',
    "an emoji itself": '"😀"',
    "an integer of 64 bits and one": "18446744073709551616",
    "a decimal of 30 digits": "1.23456789012345678901234567890",
    "40 digits": "1" * 40,
    "39 digits and a sign": "-" + "1" * 39,
    "39 digits and a point": "1" * 19 + "." + "1" * 20,
    "40 digits with an exponent": "1e39",
    "40 digits by an exponent of one digit": "1" * 31 + "e9",
    "40 places behind the point": "1e-38",
    "a float of 17 digits and a large exponent": "1.2345678901234567e+39",
    "a number in a string": json.dumps("9" * 100),
    "minus zero": "-0",
    "a zero with a point": "1.0",
    "an exponent in capitals": "1E5",
    "a key twice": '{"a":1,"a":2}',
    "an empty key and a prototype": '{"":1,"__proto__":2,"constructor":3}',
    "a key of 1,024 bytes": json.dumps({KEY_OF_1024_BYTES: 1}),
    "a long string that is no key": json.dumps([KEY_OF_1024_BYTES + "k", {"a": KEY_OF_1024_BYTES + "k"}]),
    "a depth of 100": "[" * 100 + "]" * 100,
    "a depth of 100 in objects": '{"a":' * 100 + "1" + "}" * 100,
    "more brackets than depth": "[" + ",".join(["[]", "{}"] * 200) + "]",
    "brackets in a string": json.dumps("[{" * 200),
    "every byte allowed": json.dumps("x" * (limits.PAYLOAD_BYTES_MAX - 2)),
}
REFUSED = {
    "NUL in a value": (r'"\u0000"', "nul_character"),
    "NUL in a value after a backslash": (r'"\\\u0000"', "nul_character"),
    "NUL in a key": (r'{"a\u0000":1}', "nul_character"),
    "NUL in a nested key": (r'{"a":[{"b":{"\u0000":1}}]}', "nul_character"),
    "half a pair, the high one": (r'"\ud800"', "lone_surrogate"),
    "half a pair, the low one": (r'"\udc00"', "lone_surrogate"),
    "a pair the wrong way round": (r'"\udc00\ud800"', "lone_surrogate"),
    "two high ones and a low one": (r'"\ud83d\ud83d\ude00"', "lone_surrogate"),
    "a high one and text": (r'"\ud83dx"', "lone_surrogate"),
    "a pair with text between": (r'"\ud83dx\ude00"', "lone_surrogate"),
    "a pair with a line end between": (r'"\ud83d\n\ude00"', "lone_surrogate"),
    "a high one at the end, with a low one in the next string": (r'["\ud83d","\ude00"]', "lone_surrogate"),
    "half a pair in a key": (r'{"\ud800":1}', "lone_surrogate"),
    "NaN": ("NaN", "not_finite"),
    "Infinity": ("[Infinity]", "not_finite"),
    "-Infinity": ('{"a":-Infinity}', "not_finite"),
    "1e400": ("1e400", "number_too_long"),
    "a number bomb": ("[" + ",".join(["1e131071"] * 1000) + "]", "number_too_long"),
    "a number near nothing": ("1e-16390", "number_too_long"),
    "an exponent of more digits than can be": ("1e99999999999999999999", "number_too_long"),
    "an integer of 5,000 digits": ("9" * 5000, "number_too_long"),
    "41 digits": ("1" * 41, "number_too_long"),
    "40 digits and a sign": ("-" + "1" * 40, "number_too_long"),
    "40 digits and a point": ("1" * 20 + "." + "1" * 20, "number_too_long"),
    "41 digits with an exponent": ("1e40", "number_too_long"),
    "41 digits by an exponent of one digit": ("1" * 32 + "e9", "number_too_long"),
    "41 digits by a signed exponent of one digit": ("-" + "1" * 31 + "E+9", "number_too_long"),
    "41 places behind the point": ("1e-39", "number_too_long"),
    "a key of 1,025 bytes": (json.dumps({KEY_OF_1024_BYTES + "k": 1}), "key_too_long"),
    "a nested key of 1,025 bytes in UTF-8": (
        json.dumps([{"a": {"é" * 512 + "k": 1}}], ensure_ascii=False),
        "key_too_long",
    ),
    "a long key with space before its colon": (f'{{"{KEY_OF_1024_BYTES}k" \n:1}}', "key_too_long"),
    "a depth of 101": ("[" * 101 + "]" * 101, "too_deep"),
    "a depth of 101 in objects": ('{"a":' * 101 + "1" + "}" * 101, "too_deep"),
    "a depth of 101 after shallow ones": ("[" + "[]," * 200 + "[" * 100 + "]" * 101, "too_deep"),
    "a byte too many": (json.dumps("x" * (limits.PAYLOAD_BYTES_MAX - 1)), "too_large"),
    "five million elements": ("[" + "1," * 5_000_000 + "1]", "too_large"),
}


@pytest.mark.parametrize("text", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_what_postgresql_can_hold_is_accepted(text: str) -> None:
    """A payload that PostgreSQL can hold is not refused, however much it resembles one that it cannot."""
    assert refusal(text.encode()) is None


@pytest.mark.parametrize(("text", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_what_postgresql_cannot_hold_is_refused(text: str, code: str) -> None:
    """A payload that PostgreSQL refuses or mangles is refused under a code that says why."""
    assert refusal(text.encode()) == code


@given(json_texts)
def test_ordinary_json_is_accepted(text: str) -> None:
    """Any JSON with short numbers and whole characters is accepted, in either spelling."""
    assert refusal(text.encode()) is None


digits = st.text("123456789", min_size=1, max_size=45)


@given(st.booleans(), digits, st.just("") | digits, st.just("") | st.integers(-45, 45).map(str))
@example(negative=False, whole="1", fraction="", exponent="-39")
def test_a_number_is_refused_by_its_length_written_out(
    negative: bool, whole: str, fraction: str, exponent: str
) -> None:
    """A number is refused exactly when it takes more than 40 characters without an exponent, wherever it stands."""
    text = "-" * negative + whole + ("." + fraction if fraction else "") + ("e" + exponent if exponent else "")
    too_long = len(format(Decimal(text), "f")) > limits.NUMBER_DIGITS_MAX
    for place in (text, f"[{text}]", f'{{"a": {text} , "b\\u0001": [1E+10]}}'):
        assert refusal(place.encode()) == ("number_too_long" if too_long else None)


@given(json_texts, st.sampled_from([r'"\u0000"', r'"\ud800"', "NaN", "1e400"]))
def test_what_is_wrong_is_found_beside_anything(text: str, wrong: str) -> None:
    """A payload is refused for one wrong value, whatever stands before and behind it."""
    assert refusal(f'[{text}, {{"a": {wrong}}}, {text}]'.encode()) == refusal(wrong.encode())


@given(json_texts)
def test_text_stands_for_its_value(text: str) -> None:
    """The value of a JSON text is the one that any parser reads."""
    assert JsonText(text).value() == json.loads(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e23", 10**23),
        ("-1.50e22", -(15 * 10**21)),
        ("1.5e1", 15),
        ("1E5", 100_000),
        ("1.25e1", 12.5),
        ("1e-3", 0.001),
        ("100000000000000000000000.0", 1e23),
        ("18446744073709551616", 2**64),
        ("1e999", float("inf")),
    ],
)
def test_a_number_has_the_value_that_postgresql_prints(text: str, value: float) -> None:
    """A whole number with an exponent is the integer that PostgreSQL prints, not the float next to it."""
    found = JsonText(text).value()
    assert found == value
    assert type(found) is type(value)


def test_text_of_a_value_is_compact() -> None:
    """A Python value's text is compact JSON in UTF-8; text that is JSON already stays as it is."""
    assert JsonText.of({"b": [1, None], "a": "é"}) == '{"b":[1,null],"a":"é"}'
    nasty = NASTY_JSON[0]
    assert JsonText.of(nasty) is nasty
    with pytest.raises(TypeError):
        JsonText.of(object())


def test_a_marker_finds_the_text_again() -> None:
    """The marker of a withheld text says why, how long it was, and its digest."""
    raw = r'"\u0000é"'.encode()
    marker = Withheld.of(raw, "nul_character")
    assert json.loads(marker.text) == {
        "$withheld": "nul_character",
        "bytes": len(raw),
        "sha256": hashlib.sha256(raw).hexdigest(),
    }


@pytest.mark.parametrize(
    ("raw", "deeper"),
    [
        (b"[[]]", False),
        (b"[[[]]]", True),
        (b'[[]][[]]"[[["', False),
        (rb'"\"[[["', False),
        (rb'"\\"[[[', True),
        (b'"[[[ never closed', False),
        (b"[[ ]] ]] [[", False),
        (rb"\[[[", True),
        (b'"\xff\\', False),
    ],
)
def test_nesting_is_counted_in_any_bytes(raw: bytes, deeper: bool) -> None:
    """Brackets count where they stand outside of strings, in bytes that need not be JSON."""
    assert nests_deeper(raw, 2) == deeper


@pytest.mark.timeout(10)
@pytest.mark.parametrize("part", [b'\\"', b"\\", b"\\[", b"[]", b'"" '])
def test_nesting_is_counted_in_one_pass(part: bytes) -> None:
    """A megabyte of quotes, backslashes and brackets, in a string that is never closed, is looked at once."""
    assert not nests_deeper(b"[]" * 20 + b'"' + part * 300_000, 10)
    assert not nests_deeper(b"[]" * 20 + b'"\\' + part * 300_000, 10)


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "part", ['\\"', "\\n", "5e10 ", "5e10a", "-", "1", '","', "],[", "{}", '","7e15-9e04', "é", '":"'], ids=ascii
)
def test_a_payload_is_looked_at_in_one_pass(part: str) -> None:
    """A payload of any shape and of the full size takes a moment, not a minute: it is looked at from left to right."""
    count = limits.PAYLOAD_BYTES_MAX // len(part.encode()) - 2
    for text in (f'"{part * count}"', f"[{part * count}]"):
        refusal(text.encode())
