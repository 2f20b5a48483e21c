"""Payloads of Temporal as the contract's JSON: the text as it is, or a marker for what cannot be shown."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
from temporalio.api.common.v1 import Payload

from ...payload import JsonText, Withheld, refusal

_NULL = JsonText("null")


def json_of(payloads: Sequence[Payload]) -> JsonText | Withheld | None:
    """Return one value as it is, several as an array, and None for no value or null.

    What is not JSON (encrypted or binary), or what the contract cannot hold, becomes a marker with size and digest.
    """
    values = [_value(payload) for payload in payloads]
    if not values:
        return None
    if len(values) == 1:
        return None if values[0] == _NULL else values[0]
    texts = [value.text if isinstance(value, Withheld) else value for value in values]
    return _checked(f"[{','.join(texts)}]".encode())


def _value(payload: Payload) -> JsonText | Withheld:
    encoding = payload.metadata.get("encoding", b"").decode(errors="replace")
    if encoding == "binary/null":
        return _NULL
    return _checked(payload.data) if encoding.startswith("json/") else Withheld.of(payload.data, "not_json")


def _checked(raw: bytes) -> JsonText | Withheld:
    try:
        code = refusal(raw)
        if code is None:
            orjson.loads(raw)
    except (UnicodeDecodeError, orjson.JSONDecodeError):
        code = "not_json"
    return JsonText(raw.decode()) if code is None else Withheld.of(raw, code)
