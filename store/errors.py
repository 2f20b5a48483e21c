"""The errors of the store."""

from __future__ import annotations


class StoreError(Exception):
    """Base of the store's errors."""


class FencedError(StoreError):
    """The claim or the position is not what the caller believed: somebody else writes, or has written."""


class RefusedError(StoreError):
    """PostgreSQL refuses the content of the batch; one record of it is to blame.

    Attributes:
        sqlstate: what PostgreSQL called it; empty where the client could not even send it.
        column: the column or constraint at fault, where the server named one.
    """

    def __init__(self, message: str, sqlstate: str = "", column: str = "") -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.column = column


class UnavailableError(StoreError):
    """The database does not answer, or not now; the same batch can be tried again."""


class TooLongError(UnavailableError):
    """A statement took longer than it may, or somebody cancelled it."""


class MisconfiguredError(StoreError):
    """The schema, a right or the address is wrong; trying again will not help."""


class MigrationError(StoreError):
    """The schema cannot be brought up to date."""


class ExecutionQueryError(StoreError):
    """A read failed; the message is `Failed to <what>: <reason>`."""
