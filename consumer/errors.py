"""What the command line says when it cannot go on: the exit codes, and the errors that carry them."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """How a `wex` process ends; scripts and supervisors rely on these numbers."""

    OK = 0
    ERROR = 1
    USAGE = 2
    NOT_FOUND = 3
    DIFFERENT = 4
    UNREACHABLE = 5  # Kafka, PostgreSQL or Temporal does not answer
    HALTED = 6  # a partition is halted, or too many records are dead letters
    WATCHDOG = 7  # the event loop was stuck
    REFUSED = 8  # the operation would lose something, or is already under way


class WexError(Exception):
    """An error meant for a person: what happened, and what to do about it.

    Attributes:
        message: what happened and where, in one sentence.
        remedy: what to do next; empty where nothing helps.
        exit_code: how the process ends when nobody catches it.
    """

    def __init__(self, message: str, remedy: str = "", exit_code: ExitCode = ExitCode.ERROR) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.exit_code = exit_code

    def __str__(self) -> str:
        return f"{self.message}\n{self.remedy}" if self.remedy else self.message
