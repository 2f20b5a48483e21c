"""Which executions a purge deletes: a policy as a value, decided from an execution's row and from nothing else.

A policy is kept with absolute times before the first row is deleted by it. So it means the same rows for ever, and a
table that is rebuilt from the log and held to the same policies is the table that was purged.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from events.identity import DEFAULT_NAMESPACE
from events.vocabulary import Status
from store.conditions import Condition
from store.filters import When, check_text, check_time, instant

WORKFLOWS_MAX = 1_000  # each is compared with each row
ENDED = tuple(str(status) for status in Status if status.terminal)


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgePolicy:
    """Executions that have ended and meet all of this; at least one of the times is given.

    Only what has ended: of an open execution more events come, and they would make a row that knows nothing else.

    Attributes:
        workflows: of one of these workflows; none: of any.
        statuses: with one of these statuses; none: with any.
        ended_before: that ended before this time, or longer ago than this.
        deleted_before: that were hidden before this time, or longer ago than this.

    Raises:
        ValueError: a value is not usable; the message names it.
    """

    namespace: str = DEFAULT_NAMESPACE
    workflows: Collection[str] = ()
    statuses: Collection[str] = ()
    ended_before: When | None = None
    deleted_before: When | None = None

    def __post_init__(self) -> None:
        check_text("namespace", self.namespace)
        for name in ("workflows", "statuses"):
            object.__setattr__(self, name, tuple(sorted(set(map(str, getattr(self, name))))))
        for workflow in self.workflows:
            check_text("workflow", workflow)
        if len(self.workflows) > WORKFLOWS_MAX:
            msg = f"at most {WORKFLOWS_MAX} workflows at once"
            raise ValueError(msg)
        for status in self.statuses:
            if status not in ENDED:
                msg = f"{status!r} is no status of an execution that has ended; one of {', '.join(ENDED)}"
                raise ValueError(msg)
        for name in ("ended_before", "deleted_before"):
            check_time(name, getattr(self, name))
        if self.ended_before is None and self.deleted_before is None:
            msg = "say before when an execution ended, or was deleted"
            raise ValueError(msg)

    def at(self, now: datetime) -> PurgePolicy:
        """Return the same with absolute times.

        Raises:
            ValueError: a time is not past: it would cover what is still to come.
        """
        ended = None if self.ended_before is None else instant(self.ended_before, now)
        deleted = None if self.deleted_before is None else instant(self.deleted_before, now)
        if max(ended or now, deleted or now) > now:
            msg = "a time is not past: the purge would cover what is still to come"
            raise ValueError(msg)
        return replace(self, ended_before=ended, deleted_before=deleted)

    @property
    def kept(self) -> tuple[Any, ...]:
        """Return it as it is kept."""
        return self.namespace, self.workflows, self.statuses, self.ended_before, self.deleted_before

    def conditions(self) -> list[Condition]:
        """Return the conditions that a policy with absolute times stands for."""
        found = [Condition("namespace", (self.namespace,)), Condition("ended")]
        if self.workflows:
            found.append(Condition("workflows", (self.workflows,)))
        if self.statuses:
            found.append(Condition("statuses", (self.statuses,)))
        if self.ended_before is not None:
            found.append(Condition("completed_until", (self.ended_before,)))
        if self.deleted_before is not None:
            found.append(Condition("deleted_until", (self.deleted_before,)))
        return found
