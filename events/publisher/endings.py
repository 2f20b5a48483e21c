"""The verbs that end, hide or show a run, as methods; `verb_methods` says what they share."""

from __future__ import annotations

from datetime import datetime

from ..identity import RunRef
from ..position import Position
from ..vocabulary import Verb
from .verb_methods import AnyError, Said, VerbMethods


class Endings(VerbMethods):
    """How a run ends, and whether it is shown. An operator must state `completed_at` of an end."""

    async def completed(
        self,
        run: RunRef,
        *,
        output: object = None,
        duration_ms: int | None = None,
        completed_at: datetime | None = None,
        activities_executed: int | None = None,
        attempt: int = 1,
        authority: str = "worker",
        time: datetime | None = None,
        event_id: str | None = None,
        **fields: object,
    ) -> Position:
        """Say that a run ended with success, at the event's time where `completed_at` is None."""
        carried = {
            "output": output,
            "duration_ms": duration_ms,
            "completed_at": completed_at,
            "activities_executed": activities_executed,
        }
        return await self._say(Verb.COMPLETED, run, carried | fields, Said(attempt, authority, time, event_id))

    async def failed(
        self,
        run: RunRef,
        *,
        error: AnyError | None = None,
        duration_ms: int | None = None,
        completed_at: datetime | None = None,
        activities_executed: int | None = None,
        attempt: int = 1,
        authority: str = "worker",
        time: datetime | None = None,
        event_id: str | None = None,
        **fields: object,
    ) -> Position:
        """Say that a run ended with an error: a sentence, a dict, an exception or an ErrorInfo."""
        carried = {
            "error": error,
            "duration_ms": duration_ms,
            "completed_at": completed_at,
            "activities_executed": activities_executed,
        }
        return await self._say(Verb.FAILED, run, carried | fields, Said(attempt, authority, time, event_id))

    async def cancelled(
        self,
        run: RunRef,
        *,
        reason: str | None = None,
        actor: str | None = None,
        duration_ms: int | None = None,
        completed_at: datetime | None = None,
        activities_executed: int | None = None,
        attempt: int = 1,
        authority: str = "worker",
        time: datetime | None = None,
        event_id: str | None = None,
        **fields: object,
    ) -> Position:
        """Say that a run stopped because it was asked to, after cleaning up."""
        carried = {
            "reason": reason,
            "actor": actor,
            "duration_ms": duration_ms,
            "completed_at": completed_at,
            "activities_executed": activities_executed,
        }
        return await self._say(Verb.CANCELLED, run, carried | fields, Said(attempt, authority, time, event_id))

    async def terminated(
        self,
        run: RunRef,
        *,
        reason: str | None = None,
        actor: str | None = None,
        duration_ms: int | None = None,
        completed_at: datetime | None = None,
        activities_executed: int | None = None,
        attempt: int = 1,
        authority: str = "worker",
        time: datetime | None = None,
        event_id: str | None = None,
        **fields: object,
    ) -> Position:
        """Say that a run was killed; no clean-up ran."""
        carried = {
            "reason": reason,
            "actor": actor,
            "duration_ms": duration_ms,
            "completed_at": completed_at,
            "activities_executed": activities_executed,
        }
        return await self._say(Verb.TERMINATED, run, carried | fields, Said(attempt, authority, time, event_id))

    async def timed_out(
        self,
        run: RunRef,
        *,
        timeout_kind: str | None = None,
        timeout_ms: int | None = None,
        error: AnyError | None = None,
        duration_ms: int | None = None,
        completed_at: datetime | None = None,
        activities_executed: int | None = None,
        attempt: int = 1,
        authority: str = "worker",
        time: datetime | None = None,
        event_id: str | None = None,
        **fields: object,
    ) -> Position:
        """Say that a deadline ended a run; `timeout_kind` says which."""
        carried = {
            "timeout_kind": timeout_kind,
            "timeout_ms": timeout_ms,
            "error": error,
            "duration_ms": duration_ms,
            "completed_at": completed_at,
            "activities_executed": activities_executed,
        }
        return await self._say(Verb.TIMED_OUT, run, carried | fields, Said(attempt, authority, time, event_id))

    async def continued_as_new(
        self,
        run: RunRef,
        *,
        next_run_id: str | None = None,
        duration_ms: int | None = None,
        completed_at: datetime | None = None,
        activities_executed: int | None = None,
        attempt: int = 1,
        authority: str = "worker",
        time: datetime | None = None,
        event_id: str | None = None,
        **fields: object,
    ) -> Position:
        """Say that a run ended and goes on as another one."""
        carried = {
            "next_run_id": next_run_id,
            "duration_ms": duration_ms,
            "completed_at": completed_at,
            "activities_executed": activities_executed,
        }
        return await self._say(Verb.CONTINUED_AS_NEW, run, carried | fields, Said(attempt, authority, time, event_id))

    async def deleted(
        self,
        run: RunRef,
        *,
        reason: str | None = None,
        actor: str | None = None,
        attempt: int = 1,
        authority: str = "worker",
        time: datetime | None = None,
        event_id: str | None = None,
        **fields: object,
    ) -> Position:
        """Hide a run from lists and statistics; its events stay."""
        carried = {"reason": reason, "actor": actor}
        return await self._say(Verb.DELETED, run, carried | fields, Said(attempt, authority, time, event_id))

    async def restored(
        self,
        run: RunRef,
        *,
        reason: str | None = None,
        actor: str | None = None,
        attempt: int = 1,
        authority: str = "worker",
        time: datetime | None = None,
        event_id: str | None = None,
        **fields: object,
    ) -> Position:
        """Show a deleted run again."""
        carried = {"reason": reason, "actor": actor}
        return await self._say(Verb.RESTORED, run, carried | fields, Said(attempt, authority, time, event_id))
