"""Catching up: a shadow is brought to where the table stands, which moves on meanwhile."""

from __future__ import annotations

import time
from collections.abc import Mapping

from consumer.errors import WexError
from consumer.replay.folding import Folding
from consumer.replay.whole_log import WholeLog
from events.position import TopicPartition
from store.shadow import Shadow, Standing

BEHIND_MIN = 500  # records, folded in a moment
STOP_SECONDS = 5.0  # consumers may have to wait for what is left to be folded; readers do not
CATCH_UPS_MAX = 50  # a shadow that comes no nearer than that is slower than its consumers


async def catch_up(folding: Folding, shadow: Shadow, source: WholeLog, ends: Mapping[TopicPartition, Standing]) -> None:
    """Fold what lies between the shadow and where the table stands at the moment that is looked at."""
    new = ends.keys() - folding.next_offsets.keys()
    if new:
        logs = await source.ranges({name.topic for name in new})
        if lost := sorted(new - logs.keys()):
            message = f"Kafka has no partition {', '.join(map(str, lost))}, of which the table has a position"
            raise WexError(message, "Are these the brokers that the consumers read from?")
        folding.stand_at(await shadow.claim({name: logs[name] for name in new}))
    behind = {name: end.next_offset for name, end in ends.items() if end.next_offset < folding.next_offsets[name]}
    if behind:
        message = f"positions were moved back meanwhile: {', '.join(map(str, sorted(behind)))}"
        raise WexError(message, "Run it again.")
    await folding.fold_to({name: end.next_offset for name, end in ends.items()})


async def come_near(folding: Folding, shadow: Shadow, source: WholeLog) -> None:
    """Fold until so little is left that consumers can wait for it."""
    left = behind(await shadow.standings(), folding.next_offsets)
    for _ in range(CATCH_UPS_MAX):
        begun, before, last = time.monotonic(), folding.folded.records, left
        await catch_up(folding, shadow, source, await shadow.standings())
        rate = (folding.folded.records - before) / (time.monotonic() - begun)
        left = behind(await shadow.standings(), folding.next_offsets)
        if left <= rate * STOP_SECONDS and left > last / 2:  # another round would not bring it much nearer
            return
        if left <= BEHIND_MIN:
            return
    message = "the shadow does not catch up with the consumers: they apply as fast as it folds"
    raise WexError(message, "Try again when there is less to do, or stop the consumers.")


def behind(standings: Mapping[TopicPartition, Standing], next_offsets: Mapping[TopicPartition, int]) -> int:
    """Return how many records lie between the shadow and the table."""
    return sum(max(0, end.next_offset - next_offsets.get(name, 0)) for name, end in standings.items())
