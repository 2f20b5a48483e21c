"""Purging: what a policy covers is deleted in batches that are sized by the time that they take.

A consumer that needs a row of a batch waits until the batch is over: so a batch is to be short, whatever a row weighs,
and one that PostgreSQL gives up for its length is tried again at half its size.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from consumer.errors import WexError
from store.errors import UnavailableError
from store.purge_policy import PurgePolicy
from store.purges import Place, Purges

ROWS_FIRST = 100
ROWS_MAX = 5_000  # more do not make it quicker
BATCH_SECONDS = 0.1
TRIES_MAX = 20  # in which nothing could be deleted
RETRY_SECONDS = 0.25
TOO_LONG = {"57014", "55P03", "40P01"}  # a statement that took long, a lock that was not had, a deadlock


@dataclass(slots=True)
class Pace:
    """How many rows the next batch has."""

    rows: int = ROWS_FIRST

    def took(self, seconds: float) -> None:
        """Take note of how long a batch of that size took: the next one may have twice as many rows at most."""
        wanted = int(self.rows * BATCH_SECONDS / max(seconds, 1e-6))
        self.rows = max(1, min(wanted, 2 * self.rows, ROWS_MAX))

    def failed(self) -> None:
        """Take note that a batch was given up."""
        self.rows = max(1, self.rows // 2)


class Purging:
    """Deletes what a policy covers, until nothing of it is left.

    Args:
        purges: where they are kept, and what they cover is.
        told: called with how many rows were deleted.

    Attributes:
        deleted: how many rows were deleted.
        unfinished: it was begun, and did not come to its end.
    """

    def __init__(self, purges: Purges, told: Callable[[int], None] = lambda _: None) -> None:
        self._purges = purges
        self._told = told
        self._pace = Pace()
        self._failed = 0
        self.deleted = 0
        self.unfinished = False

    async def run(self, purge: int, policy: PurgePolicy) -> int:
        """Delete what a kept policy covers; rows that somebody holds are looked for once more at the end.

        Raises:
            WexError: somebody holds rows for long.
            RevokedError: the purge was revoked.
            UnavailableError: the database does not answer.
        """
        self.unfinished = True
        while held := await self._pass(purge, policy):
            await self._wait(f"{held} executions are held by another transaction")
        await self._purges.finish(purge)
        self.unfinished = False
        return self.deleted

    async def _pass(self, purge: int, policy: PurgePolicy) -> int:
        """Go through all that a policy covers, and return how much of it was held."""
        held = 0
        after: Place | None = None
        while places := await self._purges.page(policy, after):
            ids = [place.id for place in places]
            while ids:
                batch = ids[: self._pace.rows]
                deleted = await self._batch(purge, policy, batch)
                if deleted is not None:
                    held += len(batch) - deleted
                    ids = ids[len(batch) :]
            after = places[-1]
        return held

    async def _batch(self, purge: int, policy: PurgePolicy, ids: Sequence[UUID]) -> int | None:
        """Delete some; None where that took too long, and nothing was deleted."""
        begun = time.monotonic()
        try:
            deleted = await self._purges.delete(purge, policy, ids)
        except UnavailableError as error:
            if getattr(error.__cause__, "sqlstate", None) not in TOO_LONG:
                raise
            self._pace.failed()
            await self._wait(str(error))
            return None
        if len(ids) == self._pace.rows:  # a smaller one, the last of a page, says little
            self._pace.took(time.monotonic() - begun)
        if deleted:
            self._failed = 0
            self.deleted += deleted
            self._told(self.deleted)
        return deleted

    async def _wait(self, why: str) -> None:
        self._failed += 1
        if self._failed > TRIES_MAX:
            message = f"nothing could be deleted for {TRIES_MAX * RETRY_SECONDS:g} s and more: {why}"
            raise WexError(message, "Nothing is lost: `wex purges resume` goes on.")
        await asyncio.sleep(RETRY_SECONDS)
