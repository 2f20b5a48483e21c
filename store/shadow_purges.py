"""What purges have deleted from the table must not come back with what takes its place: a shadow, or the old table.

A shadow is the fold of all events until it is swapped in: then everything that a standing purge covers goes from it.
The old table is what it was at the swap, but what was purged since then.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from store import purges
from store.purge_policy import PurgePolicy
from store.replay_scope import ReplayScope
from store.shadow import Shadow


async def standing(shadow: Shadow) -> list[PurgePolicy]:
    """Return what a shadow is held to."""
    async with shadow.use() as connection:
        return [purges.kept_policy(record) for record in await connection.fetch(shadow.sql("list_standing_purges"))]


async def since(shadow: Shadow, moment: datetime) -> list[PurgePolicy]:
    """Return what has deleted anything from the table since a moment."""
    async with shadow.use() as connection:
        records = await connection.fetch(shadow.sql("list_recent_purges"), moment)
    return [purges.kept_policy(record) for record in records]


async def clear(shadow: Shadow, policies: Sequence[PurgePolicy], scope: ReplayScope) -> None:
    """Delete what policies cover, beside the consumers, and leave little to search through while they wait.

    What is folded after that may make a row anew of an execution that is gone, as it may in the table itself.
    """
    if await delete(shadow, policies, scope):
        async with shadow.use() as connection:
            await connection.execute(shadow.sql("vacuum_shadow"))


async def delete(shadow: Shadow, policies: Sequence[PurgePolicy], scope: ReplayScope) -> int:
    """Delete what policies cover, but what a scope leaves as it is; return how much that was."""
    deleted = 0
    async with shadow.use() as connection:
        for policy in policies:
            after = None
            while places := await purges.page(connection, policy, after):
                ids = [place.id for place in places]
                if scope:
                    ids = [record["id"] for record in await connection.fetch(shadow.sql("read_within"), ids)]
                deleted += await purges.delete(connection, policy, ids)
                after = places[-1]
    return deleted
