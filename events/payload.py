"""Payloads: JSON kept as the text it came in, and the check of what PostgreSQL cannot hold.

JSON allows what PostgreSQL refuses (NUL characters, lone surrogates, numbers beyond its range) or mangles (a number
of eight bytes that is 131 kB when read back). Such a payload is *withheld*: the transition is applied, a marker
stands in the field's place, and the bytes are kept beside the table.
"""

from __future__ import annotations

import hashlib
import json
import re
from decimal import Decimal
from itertools import accumulate
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict

from . import limits

# Only text that matches one of these can be refused for its content, so ordinary payloads cost two scans.
_HARMFUL = re.compile(rb"[\\NI](?:u0000|u[dD][89a-fA-F]|aN|nfinity)")
# (An exponent of one digit adds at most nine to the length of a number.)
_LONG_NUMBER = re.compile(rb"[0-9](?:[eE][+-]?[0-9]{2}|[0-9.]{%d})[0-9.eE+-]*+" % (limits.NUMBER_DIGITS_MAX - 10))
_TOKEN = re.compile(
    r"""(?P<string>"[^"\\]*+(?:\\.[^"\\]*+)*+")(?P<key>\s*:)?
      | (?P<open>[\[{]) | (?P<close>[\]}])
      | (?P<number>-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)
      | (?P<not_finite>NaN|-?Infinity)""",
    re.DOTALL | re.VERBOSE,
)
# Unlike the tokens above these take any bytes, and no string that is never closed makes them look twice at a byte.
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_MAYBE_NAME = re.compile(rb'"((?:[^"\\]|\\.)*+)"?(\s*:)?', re.DOTALL)
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)


class JsonText(str):
    """JSON as text, never parsed and printed again on its way: every digit survives."""

    __slots__ = ()

    @classmethod
    def of(cls, value: object) -> JsonText:
        """Return the text of a Python value.

        Raises:
            TypeError: the value has no JSON form.
        """
        return value if isinstance(value, cls) else cls(orjson.dumps(value).decode())

    def value(self) -> Any:  # noqa: ANN401 - JSON is any of seven types
        """Return the value that the text stands for; the same as that of the text in which PostgreSQL prints it."""
        return json.loads(self, parse_float=_number)


class Withheld(BaseModel):
    """What stands in the place of a payload that PostgreSQL cannot hold.

    Attributes:
        code: why, one of the words that `refusal` returns.
        size: length in bytes of the text that was withheld.
        sha256: digest of that text in hexadecimal, to find it again.
    """

    model_config = ConfigDict(frozen=True)

    code: str
    size: int
    sha256: str

    @classmethod
    def of(cls, raw: bytes, code: str) -> Withheld:
        """Return the marker for a payload's text."""
        return cls(code=code, size=len(raw), sha256=hashlib.sha256(raw).hexdigest())

    @property
    def text(self) -> JsonText:
        """The marker as it is stored."""
        return JsonText.of({"$withheld": self.code, "bytes": self.size, "sha256": self.sha256})


def nests_deeper(raw: bytes, depth_max: int) -> bool:
    """Return whether arrays and objects lie deeper inside each other than this; the text may be no JSON at all."""
    if raw.count(b"[") + raw.count(b"{") <= depth_max:
        return False
    brackets = _STRING.sub(b"", raw).translate(None, _NO_BRACKETS)
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > depth_max


def refusal(raw: bytes) -> str | None:
    """Return why PostgreSQL cannot hold this JSON text, or None; the text must be well-formed UTF-8 JSON."""
    if len(raw) > limits.PAYLOAD_BYTES_MAX:
        return "too_large"
    deep = nests_deeper(raw, limits.PAYLOAD_DEPTH_MAX)
    if deep or _HARMFUL.search(raw) or has_lengths_to_look_at(raw):
        return _scan(raw.decode())
    return None


def has_lengths_to_look_at(raw: bytes) -> bool:
    """Whether a number or a name in JSON text could be too long; False is certain."""
    if _LONG_NUMBER.search(raw) and any(_stands_alone(raw, m.start()) for m in _LONG_NUMBER.finditer(raw)):
        return True
    if len(raw) <= limits.PAYLOAD_KEY_BYTES_MAX:
        return False
    return any(match[2] and len(match[1]) > limits.PAYLOAD_KEY_BYTES_MAX for match in _MAYBE_NAME.finditer(raw))


def _stands_alone(raw: bytes, at: int) -> bool:
    """Whether what looks like a number could be one, and is not the middle of a word such as the 7e15 in a UUID."""
    while at and raw[at - 1] in b"0123456789.+-":
        at -= 1
    return not at or raw[at - 1] in b"[,: \t\r\n"


def _scan(text: str) -> str | None:
    depth = 0
    for match in _TOKEN.finditer(text):
        depth += (match["open"] is not None) - (match["close"] is not None)
        if depth > limits.PAYLOAD_DEPTH_MAX:
            return "too_deep"
        if code := _refused_token(match):
            return code
    return None


def _refused_token(match: re.Match[str]) -> str | None:
    if match["not_finite"]:
        return "not_finite"
    if (number := match["number"]) and _plain_length(number) > limits.NUMBER_DIGITS_MAX:
        return "number_too_long"
    if (string := match["string"]) is None:
        return None
    if match["key"] and len(string.encode()) - 2 > limits.PAYLOAD_KEY_BYTES_MAX:
        return "key_too_long"
    return _refused_escape(string) if "\\u" in string else None


def _refused_escape(string: str) -> str | None:
    high = False
    end = 0
    for match in _ESCAPE.finditer(string):
        unit = int(match.group(1), 16) if match.group(1) else -1
        low_follows = high and match.start() == end and 0xDC00 <= unit <= 0xDFFF
        if unit == 0:
            return "nul_character"
        if (high or 0xDC00 <= unit <= 0xDFFF) and not low_follows:
            return "lone_surrogate"
        high = 0xD800 <= unit <= 0xDBFF
        end = match.end()
    return "lone_surrogate" if high else None


def _number(text: str) -> float | int:
    """Return a number with a point or an exponent; PostgreSQL prints 1e23 as an integer, so it is one."""
    mantissa, _, exponent = text.lower().partition("e")
    if not exponent or _plain_length(text) > limits.NUMBER_DIGITS_MAX:
        return float(text)
    whole = int(exponent) >= len(mantissa.partition(".")[2])
    return int(Decimal(text)) if whole else float(text)


def _plain_length(number: str) -> int:
    """Return the length of a number written out without an exponent."""
    mantissa, _, exponent = number.lower().partition("e")
    if len(exponent) > 6:
        return limits.NUMBER_DIGITS_MAX + 1
    whole, _, fraction = mantissa.removeprefix("-").partition(".")
    shift = int(exponent or 0)
    before = max(1, len(whole) + shift) + number.startswith("-")
    after = max(0, len(fraction) - shift)
    return before + (after + 1 if after else 0)
