"""The workflows that the tests run, one for each way to live and to end."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError


@activity.defn
async def greet(name: str) -> str:
    return f"hello {name}"


@workflow.defn
class Succeed:
    @workflow.run
    async def run(self, name: str, times: int = 1) -> dict[str, str]:
        for _ in range(times):
            greeting = await workflow.execute_activity(greet, name, start_to_close_timeout=timedelta(seconds=5))
        return {"greeting": greeting, "times": str(times)}


@workflow.defn
class Fail:
    @workflow.run
    async def run(self, sum_: float) -> None:
        raise ApplicationError(f"no money: {sum_}", type="Broke", non_retryable=True)


@workflow.defn
class FailOnce:
    @workflow.run
    async def run(self) -> str:
        if workflow.info().attempt == 1:
            msg = "not yet"
            raise ApplicationError(msg, type="TooEarly")
        return "now"


@workflow.defn
class Wait:
    """Waits until it is told to go on, or stopped."""

    def __init__(self) -> None:
        self.told = False

    @workflow.signal
    def go_on(self) -> None:
        self.told = True

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: self.told)
        return "told"


@workflow.defn
class Shrug:
    """Is cancelled, tidies up with an activity, and stays cancelled."""

    @workflow.run
    async def run(self) -> None:
        try:
            await workflow.wait_condition(lambda: False)
        except asyncio.CancelledError:
            await workflow.execute_activity(greet, "nobody", start_to_close_timeout=timedelta(seconds=5))
            raise


@workflow.defn
class CountDown:
    @workflow.run
    async def run(self, left: int) -> str:
        if left:
            workflow.continue_as_new(left - 1)
        return "zero"


@workflow.defn
class Parent:
    @workflow.run
    async def run(self, child_id: str) -> str:
        result: str = await workflow.execute_child_workflow(
            Grandparented.run, child_id, id=child_id, retry_policy=RetryPolicy(maximum_attempts=1)
        )
        return result


@workflow.defn
class Grandparented:
    @workflow.run
    async def run(self, name: str) -> str:
        result: dict[str, str] = await workflow.execute_child_workflow(Succeed.run, args=[name, 1], id=f"{name}-child")
        return result["greeting"]


WORKFLOWS = [Succeed, Fail, FailOnce, Wait, Shrug, CountDown, Parent, Grandparented]
