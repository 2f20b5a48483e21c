"""The one table from what PostgreSQL says to what the consumer does about it."""

from __future__ import annotations

import ssl
from enum import StrEnum

import asyncpg

from events.transport import tls_problem
from store.connect import describe
from store.errors import MisconfiguredError, RefusedError, StoreError, TooLongError, UnavailableError

CANCELED = "57014"  # query_canceled: by the statement timeout, or by hand
NO_TLS = "rejected SSL upgrade"  # asyncpg's words for a server without TLS


class Action(StrEnum):
    """What the consumer does about a failure of the database."""

    RETRY = "retry"  # the same batch again, on a new connection: the database is busy, away or restarting
    BISECT = "bisect"  # one record's content is refused: find it and set it aside
    STOP = "stop"  # configuration or schema: nothing that a record could be blamed for


# SQLSTATE, or its class of two characters, to the action; the longest match decides.
SQLSTATE_ACTIONS: dict[str, Action] = {
    "08": Action.RETRY,  # connection exceptions
    "22": Action.BISECT,  # data exceptions: NUL, numbers and times out of range, bad JSON
    "23": Action.STOP,  # a constraint that the fold cannot violate: a bug, or a schema that drifted
    "23502": Action.BISECT,  # not_null_violation
    "23514": Action.BISECT,  # check_violation: an invariant that one record's content breaks
    "25006": Action.RETRY,  # read_only_sql_transaction: a demoted primary
    "28": Action.STOP,  # authorization
    "3D": Action.STOP,  # the database does not exist
    "3F": Action.STOP,  # the schema does not exist
    "40": Action.RETRY,  # deadlock, serialization failure
    "42": Action.STOP,  # a table is missing, a right is missing
    "53": Action.RETRY,  # disk full, out of memory, too many connections
    "54": Action.BISECT,  # program limits: too deep, too many, too large for an index
    "55": Action.RETRY,  # lock not available
    "57": Action.RETRY,  # shutting down, statement timeout
    "58": Action.RETRY,  # system errors
    "XX": Action.RETRY,  # internal errors; they are the server's, not a record's
}


def action_for(error: BaseException) -> Action:
    """Return what to do about an error of asyncpg or of the connection below it."""
    if isinstance(error, asyncpg.InvalidCachedStatementError):
        return Action.RETRY  # the schema changed under a prepared statement; a new connection prepares it anew
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        return SQLSTATE_ACTIONS.get(state) or SQLSTATE_ACTIONS.get(state[:2]) or Action.STOP
    if isinstance(error, asyncpg.DataError | OverflowError | UnicodeError):
        return Action.BISECT  # asyncpg could not encode a value
    if isinstance(error, asyncpg.ClientConfigurationError) or is_mistrust(error):
        return Action.STOP  # the URL says what cannot be, or what the server does not agree to
    if isinstance(error, OSError | TimeoutError | asyncpg.InterfaceError | asyncpg.InternalClientError | EOFError):
        return Action.RETRY
    return Action.STOP


def is_mistrust(error: BaseException) -> bool:
    """Return whether server and client do not accept each other; a connection that ends midway is an outage."""
    if isinstance(error, ssl.SSLError):
        return not isinstance(error, ssl.SSLEOFError)
    return isinstance(error, ConnectionError) and NO_TLS in str(error)


def _redacted(error: Exception) -> str:
    """Return what an error says without what it quotes of rows and values, and take that out of the error itself.

    The error stays the cause of ours, and a traceback would show it.
    """
    if isinstance(error, asyncpg.PostgresError):
        error.detail = None
    quotes = isinstance(error, asyncpg.DataError | OverflowError | UnicodeError) and not isinstance(error, StoreError)
    said = "" if quotes else str(error).partition("\n")[0]
    if quotes:
        error.args = (type(error).__name__,) if not isinstance(error, UnicodeError) else error.args
    return said or type(error).__name__


def translate(error: Exception, url: str) -> StoreError:
    """Return the store's error for one of asyncpg's; one of the store's own is returned as it is."""
    sqlstate = getattr(error, "sqlstate", None) or ""
    message = _redacted(error)
    match action_for(error):
        case _ if isinstance(error, StoreError):
            return error
        case Action.BISECT:
            column = getattr(error, "column_name", None) or getattr(error, "constraint_name", None) or ""
            return RefusedError(f"PostgreSQL refuses the content: {message}", sqlstate, column)
        case Action.RETRY:
            kind = TooLongError if sqlstate == CANCELED else UnavailableError
            return kind(f"PostgreSQL at {describe(url)}: {message}")
        case Action.STOP if is_mistrust(error):
            no_tls = "it offers no TLS: turn it on there, or say sslmode=disable where plaintext is right"
            problem = tls_problem(error) if isinstance(error, ssl.SSLError) else no_tls
            return MisconfiguredError(f"PostgreSQL at {describe(url)}: {problem}")
        case Action.STOP if isinstance(error, ValueError):
            # The text of such an error may quote the password.
            return MisconfiguredError(
                f"the database URL ({describe(url)}) is not usable; percent-encode / ? # and @ in its password"
            )
        case Action.STOP:
            return MisconfiguredError(f"PostgreSQL at {describe(url)}: {message} ({sqlstate or type(error).__name__})")
