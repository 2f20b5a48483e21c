"""The verbs of a run that has not ended, as methods; `verb_methods` says what they share."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from ..identity import RunRef
from ..models import Progress
from ..position import Position
from ..vocabulary import Verb
from .verb_methods import AnyError, AnyRun, Said, VerbMethods


class Steps(VerbMethods):
    """What happens to a run before its end."""

    async def scheduled(
        self,
        run: RunRef,
        *,
        scheduled_for: datetime | None = None,
        queue: str | None = None,
        input: object = None,  # noqa: A002 - the name in the contract
        user_id: str | None = None,
        workflow_name: str | None = None,
        parent: AnyRun | None = None,
        labels: Mapping[str, str] | None = None,
        attempt: int = 1,
        authority: str = "worker",
        time: datetime | None = None,
        event_id: str | None = None,
        **fields: object,
    ) -> Position:
        """Say that a run was accepted and is due to start."""
        carried = {
            "scheduled_for": scheduled_for,
            "queue": queue,
            "input": input,
            "user_id": user_id,
            "workflow_name": workflow_name,
            "parent": parent,
            "labels": labels,
        }
        return await self._say(Verb.SCHEDULED, run, carried | fields, Said(attempt, authority, time, event_id))

    async def started(
        self,
        run: RunRef,
        *,
        started_at: datetime | None = None,
        input: object = None,  # noqa: A002 - the name in the contract
        user_id: str | None = None,
        workflow_name: str | None = None,
        parent: AnyRun | None = None,
        root: AnyRun | None = None,
        labels: Mapping[str, str] | None = None,
        attempt: int = 1,
        authority: str = "worker",
        time: datetime | None = None,
        event_id: str | None = None,
        **fields: object,
    ) -> Position:
        """Say that a run was picked up and runs; it started at the event's time where `started_at` is None."""
        carried = {
            "started_at": started_at,
            "input": input,
            "user_id": user_id,
            "workflow_name": workflow_name,
            "parent": parent,
            "root": root,
            "labels": labels,
        }
        return await self._say(Verb.STARTED, run, carried | fields, Said(attempt, authority, time, event_id))

    async def heartbeat(
        self,
        run: RunRef,
        *,
        progress: Progress | Mapping[str, object] | None = None,
        activities_executed: int | None = None,
        attempt: int = 1,
        authority: str = "worker",
        time: datetime | None = None,
        event_id: str | None = None,
        **fields: object,
    ) -> Position:
        """Say that a run is alive and how far it is: `done`, `total` and `message`, each optional."""
        carried = {"progress": progress, "activities_executed": activities_executed}
        return await self._say(Verb.HEARTBEAT, run, carried | fields, Said(attempt, authority, time, event_id))

    async def paused(
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
        """Say that a run is held and may go on."""
        carried = {"reason": reason, "actor": actor}
        return await self._say(Verb.PAUSED, run, carried | fields, Said(attempt, authority, time, event_id))

    async def resumed(
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
        """Say that a run goes on after a pause."""
        carried = {"reason": reason, "actor": actor}
        return await self._say(Verb.RESUMED, run, carried | fields, Said(attempt, authority, time, event_id))

    async def retrying(
        self,
        run: RunRef,
        *,
        error: AnyError | None = None,
        activities_executed: int | None = None,
        attempt: int = 1,
        authority: str = "worker",
        time: datetime | None = None,
        event_id: str | None = None,
        **fields: object,
    ) -> Position:
        """Say that this attempt ended with an error and another will follow."""
        carried = {"error": error, "activities_executed": activities_executed}
        return await self._say(Verb.RETRYING, run, carried | fields, Said(attempt, authority, time, event_id))

    async def cancel_requested(
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
        """Say that somebody asked a run to stop; it has not stopped yet."""
        carried = {"reason": reason, "actor": actor}
        return await self._say(Verb.CANCEL_REQUESTED, run, carried | fields, Said(attempt, authority, time, event_id))
