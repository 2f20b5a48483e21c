"""The words of the contract: verbs, statuses and authorities, and the one table that says what each verb does.

Every rule that depends on a verb reads `VERBS`; nothing else in the code lists verbs by hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Status(StrEnum):
    """What an execution is doing, or how it ended."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    RETRYING = "retrying"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TERMINATED = "terminated"
    TIMED_OUT = "timed_out"
    CONTINUED_AS_NEW = "continued_as_new"

    @property
    def terminal(self) -> bool:
        """Whether an execution with this status has ended."""
        return self in TERMINAL_STATUSES


TERMINAL_STATUSES = frozenset(
    {
        Status.COMPLETED,
        Status.FAILED,
        Status.CANCELLED,
        Status.TERMINATED,
        Status.TIMED_OUT,
        Status.CONTINUED_AS_NEW,
    }
)


class Verb(StrEnum):
    """What happened; the third part of an event's type."""

    SCHEDULED = "scheduled"
    STARTED = "started"
    HEARTBEAT = "heartbeat"
    PAUSED = "paused"
    RESUMED = "resumed"
    RETRYING = "retrying"
    CANCEL_REQUESTED = "cancel_requested"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TERMINATED = "terminated"
    TIMED_OUT = "timed_out"
    CONTINUED_AS_NEW = "continued_as_new"
    DELETED = "deleted"
    RESTORED = "restored"

    __hash__ = str.__hash__  # Enum's own is a function in Python, and every event looks its verb up


class Authority(StrEnum):
    """Who says so, from the weakest word to the strongest."""

    INFERRED = "inferred"
    WORKER = "worker"
    SERVER = "server"
    OPERATOR = "operator"

    __hash__ = str.__hash__

    @property
    def level(self) -> int:
        """Position in the order of authorities; the greater wins."""
        return AUTHORITY_LEVELS[self]


AUTHORITY_LEVELS = {authority: level for level, authority in enumerate(Authority, start=1)}


class Rank(IntEnum):
    """How much a claim about the status weighs within one attempt."""

    SCHEDULED = 1
    SIGN_OF_LIFE = 2
    STEP = 3  # also a guess: a later step repairs it
    VERDICT = 4  # a report, or a revision


@dataclass(frozen=True, slots=True)
class VerbRule:
    """What a verb does.

    Attributes:
        status: the status it claims; None if it claims none.
        rank: what the claim weighs unless it is a report or a revision, which weigh `Rank.VERDICT`.
        code: place in the fixed order of verbs; at equal times the greater wins (a later step of a normal life).
        meaning: one line for people.
    """

    status: Status | None
    rank: Rank
    code: int
    meaning: str

    @property
    def terminal(self) -> bool:
        """Whether the verb ends the attempt."""
        return self.status is not None and self.status.terminal


VERBS: dict[Verb, VerbRule] = {
    Verb.SCHEDULED: VerbRule(Status.PENDING, Rank.SCHEDULED, 1, "accepted, and due to start"),
    Verb.HEARTBEAT: VerbRule(Status.RUNNING, Rank.SIGN_OF_LIFE, 2, "alive, with progress perhaps"),
    Verb.STARTED: VerbRule(Status.RUNNING, Rank.STEP, 3, "picked up and running"),
    Verb.PAUSED: VerbRule(Status.PAUSED, Rank.STEP, 4, "held, and may go on"),
    Verb.RESUMED: VerbRule(Status.RUNNING, Rank.STEP, 5, "goes on after a pause"),
    Verb.RETRYING: VerbRule(Status.RETRYING, Rank.STEP, 6, "this attempt ended, another will follow"),
    Verb.COMPLETED: VerbRule(Status.COMPLETED, Rank.STEP, 7, "ended with success"),
    Verb.CONTINUED_AS_NEW: VerbRule(Status.CONTINUED_AS_NEW, Rank.STEP, 8, "ended, and goes on as another run"),
    Verb.TIMED_OUT: VerbRule(Status.TIMED_OUT, Rank.STEP, 9, "ended by a deadline"),
    Verb.CANCELLED: VerbRule(Status.CANCELLED, Rank.STEP, 10, "ended by a cooperative stop"),
    Verb.FAILED: VerbRule(Status.FAILED, Rank.STEP, 11, "ended with an error"),
    Verb.TERMINATED: VerbRule(Status.TERMINATED, Rank.STEP, 12, "killed; no clean-up ran"),
    Verb.CANCEL_REQUESTED: VerbRule(None, Rank.STEP, 13, "asked to stop; a flag, not a status"),
    Verb.DELETED: VerbRule(None, Rank.STEP, 14, "hidden from lists and statistics"),
    Verb.RESTORED: VerbRule(None, Rank.STEP, 15, "shown again"),
}
