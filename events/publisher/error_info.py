"""What went wrong, from whatever a caller has at hand: a sentence, a dict, an exception, an `ErrorInfo`."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any

from ..models import ErrorInfo

# A payload beyond the contract's limit would be withheld whole; the end of a long trace names the culprit.
STACK_TRACE_CHARACTERS_MAX = 32_768
MESSAGE_CHARACTERS_MAX = 8_192


def error_info(error: object) -> object:
    """Return what the contract calls an error; what is none is returned as it is, for the contract to refuse."""
    match error:
        case str():
            return {"message": error}
        case BaseException():
            return of_exception(error)
        case ErrorInfo():
            return error
        case Mapping():
            return dict(error)
        case _:
            return error


def of_exception(error: BaseException) -> dict[str, Any]:
    """Return message, type and stack trace of an exception."""
    trace = "".join(traceback.format_exception(error))
    return {
        "message": printable(str(error) or type(error).__name__)[:MESSAGE_CHARACTERS_MAX],
        "type": qualified_name(type(error)),
        "stack_trace": printable(trace)[-STACK_TRACE_CHARACTERS_MAX:],
    }


def qualified_name(kind: type) -> str:
    """Return the name of a class as a traceback writes it."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def printable(text: str) -> str:
    """Return a text without what PostgreSQL cannot hold: NUL, and halves of surrogate pairs."""
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()
