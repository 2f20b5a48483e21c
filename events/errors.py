"""The errors of the contract."""

from __future__ import annotations


class EventError(Exception):
    """Base of everything that is wrong with an event."""


class InvalidEvent(EventError):  # noqa: N818 - the name that callers know
    """A record that is not an event of this contract.

    Attributes:
        reason: a short code, stable enough to count by: `not_json`, `missing`, `nul_character`, …
        field: the path of the field at fault (`time`, `data.output`); empty where the record as a whole is wrong.
    """

    def __init__(self, reason: str, field: str = "", detail: str = "") -> None:
        where = f" in {field}" if field else ""
        super().__init__(f"{reason}{where}" + (f": {detail}" if detail else ""))
        self.reason = reason
        self.field = field
        self.detail = detail
