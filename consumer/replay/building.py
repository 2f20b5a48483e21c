"""Building a shadow: the steps of `wex replay start`, each of which can be begun again after a kill.

Until the others are carried over, only the executions of the replay's scope count; from the moment of that cut on the
shadow is all of the table, and everything is folded.
"""

from __future__ import annotations

from collections.abc import Callable

from consumer.replay import refusals
from consumer.replay.catching_up import catch_up
from consumer.replay.coverage import Coverage
from consumer.replay.folding import Folding
from consumer.replay.whole_log import WholeLog
from store import replays
from store.replay_scope import ReplayScope
from store.replays import State, Step
from store.shadow import Shadow


async def build(
    shadow: Shadow,
    source: WholeLog,
    folding: Folding,
    coverage: Coverage,
    state: State,
    reached: Callable[[Step], None],
) -> None:
    """Build a shadow from the step at which it stands, until it is ready."""
    step = state.step
    if step is Step.FOLD:
        reached(step)
        await _fold(shadow, source, folding, state.scope)
        step = await _move(shadow, Step.CARRY)
    if step is Step.CARRY:
        reached(step)
        async with shadow.cut() as ends:
            await catch_up(folding, shadow, source, ends)
            await _carry(shadow, coverage, state.scope)
            step = await _move(shadow, Step.INDEX)  # with the cut: what comes after it is of everybody
        folding.want_all()
    if step is Step.INDEX:
        reached(step)
        await replays.make_deferred(shadow)
        await _move(shadow, Step.READY)


async def _fold(shadow: Shadow, source: WholeLog, folding: Folding, scope: ReplayScope) -> None:
    """Fold the bulk of the log; the topics of the scope first, for their executions are known by that."""
    standings = await shadow.standings()
    if not await replays.topics_noted(shadow):
        named = {name: standing for name, standing in standings.items() if name.topic in scope.topics}
        await catch_up(folding, shadow, source, named)
        await replays.note_topics(shadow)
    await catch_up(folding, shadow, source, standings)


async def _carry(shadow: Shadow, coverage: Coverage, scope: ReplayScope) -> None:
    if scope:
        await refusals.check_letters(shadow)
        await replays.carry_outside(shadow, scope)
    if not coverage.complete:
        await replays.carry(shadow)


async def _move(shadow: Shadow, step: Step) -> Step:
    await replays.move(shadow, step)
    return step
