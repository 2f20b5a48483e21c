"""Members: a JSON object cut into raw slices, so that payloads keep the text they came in."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import msgspec

from .errors import InvalidEvent

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_SPACE = re.compile(r"[ \t\r\n]*")
SPACES = b" \t\r\n"


def cut(raw: bytes) -> dict[str, msgspec.Raw]:
    """Return the members of a JSON object; of a name that stands twice the last.

    Raises:
        msgspec.DecodeError: it is no object, or nothing that a strict parser takes.
        RecursionError: it is too deep for the parser.
    """
    return _MEMBERS.decode(raw)


def each_once(raw: bytes, members: Mapping[str, msgspec.Raw]) -> bool:
    """Whether no name stands twice in an object, told by its length; False if that does not tell.

    An object is its names in quotes, its values, and colons, commas and braces: any more is a name that was lost. An
    escape in a name is longer than what it stands for, so that it can only hide the answer, never feign it.
    """
    names, values = "".join(members).encode(), b"".join(members.values())
    structure = 4 * len(members) + 1
    if len(raw) == len(names) + len(values) + structure:
        return True
    return len(_packed(raw)) == len(_packed(names + values)) + structure


def _packed(raw: bytes) -> bytes:
    return raw.translate(None, SPACES)


def members_of(raw: bytes, field: str) -> dict[str, bytes]:
    """Return the members of a JSON object that is the named field; the record itself has no name.

    Raises:
        InvalidEvent: it is no JSON object, it is nested too deeply, or a name stands twice in it.
    """
    try:
        members = cut(raw)
    except msgspec.ValidationError:
        raise InvalidEvent("missing" if field and raw == b"null" else "not_an_object", field) from None
    except RecursionError:
        raise InvalidEvent("too_deep", field) from None
    except msgspec.DecodeError:
        return _by_hand(raw.decode(), field)
    if not each_once(raw, members):
        return _by_hand(raw.decode(), field)
    return {name: bytes(slice_) for name, slice_ in members.items()}


def _by_hand(text: str, field: str) -> dict[str, bytes]:
    """Do the same for what a strict parser refuses and a payload may contain: NaN and halves of surrogate pairs."""
    scanner = json.JSONDecoder(parse_int=str)  # Python converts no integer of more than 4,300 digits
    members: dict[str, bytes] = {}
    try:
        if not isinstance(scanner.decode(text), dict):
            raise InvalidEvent("not_an_object", field)
        at = _skip(text, text.index("{") + 1)
        while text[at] != "}":
            name, at = scanner.raw_decode(text, _skip(text, at + (text[at] == ",")))
            start = _skip(text, _skip(text, at) + 1)
            _, at = scanner.raw_decode(text, start)
            if name in members:
                raise InvalidEvent("duplicate_name", ".".join(filter(None, (field, name))))
            members[name] = text[start:at].encode()
            at = _skip(text, at)
    except RecursionError:
        raise InvalidEvent("too_deep", field) from None
    except ValueError as error:
        raise InvalidEvent("not_json", field, str(error)) from None
    return members


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at
