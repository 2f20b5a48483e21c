"""The demonstration's workflows, one per way in which a run can go."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.exceptions import ApplicationError

ACTIVITY_TIMEOUT = timedelta(seconds=20)


@activity.defn
async def charge(order: int) -> dict[str, int]:
    """Do some work."""
    return {"order": order, "cents": 100 * order}


@workflow.defn
class Charge:
    """Ends with success."""

    @workflow.run
    async def run(self, order: int) -> dict[str, int]:
        """Charge an order."""
        return await workflow.execute_activity(charge, order, start_to_close_timeout=ACTIVITY_TIMEOUT)


@workflow.defn
class Decline:
    """Ends with an error."""

    @workflow.run
    async def run(self, order: int) -> None:
        """Refuse an order."""
        msg = f"card of order {order} declined"
        raise ApplicationError(msg, type="CardDeclined", non_retryable=True)


@workflow.defn
class Flaky:
    """Fails in its first run and succeeds in the run that follows."""

    @workflow.run
    async def run(self, order: int) -> int:
        """Fail once."""
        if workflow.info().attempt == 1:
            msg = "gateway unreachable"
            raise ApplicationError(msg, type="GatewayError")
        return order


@workflow.defn
class Wait:
    """Waits until somebody or something ends it."""

    @workflow.run
    async def run(self, order: int) -> None:
        """Wait for ever."""
        del order
        await asyncio.Event().wait()


@workflow.defn
class Continue:
    """Goes on as a new run, once."""

    @workflow.run
    async def run(self, order: int, rounds: int = 1) -> int:
        """Count rounds down to zero."""
        if rounds:
            workflow.continue_as_new(args=[order, rounds - 1])
        return order


@workflow.defn
class Parent:
    """Has a child do the work."""

    @workflow.run
    async def run(self, order: int) -> dict[str, int]:
        """Start a child and wait for it."""
        child_id = f"child-of-{workflow.info().workflow_id}"
        return await workflow.execute_child_workflow(Charge.run, order, id=child_id)


WORKFLOWS = [Charge, Decline, Flaky, Wait, Continue, Parent]
