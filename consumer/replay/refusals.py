"""What a step of a replay refuses, with the command that is in turn instead."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum

from consumer.chunk import Span
from consumer.errors import ExitCode, WexError
from consumer.replay.coverage import Coverage, begun_anew, readable
from consumer.replay.log_source import LogSource
from events.fold import FOLD_VERSION
from events.position import TopicPartition
from store import replays
from store.batch import Claim, LogRange
from store.migrate import migrations
from store.replay_scope import ReplayScope
from store.replays import State, Step
from store.shadow import Shadow, Standing

START_AGAIN = "`wex replay abort`, then start again."


class Reason(StrEnum):
    """Why a swap refuses; accepting it goes on."""

    GONE = "gone"  # the log has lost a part; what the table knew of it is carried over
    COMPACTED = "compacted"  # a topic keeps one event of each execution
    FEWER_ROWS = "fewer-rows"  # than the table has
    DEPENDENTS = "dependents"  # views, triggers and the like that others have hung on the table


def check(state: State) -> None:
    """Refuse to build a shadow that is swapped in, or that another version of the fold has begun."""
    if state.step is Step.SWAPPED:
        message = "a replay is swapped in, and its old table is still there"
        raise WexError(message, "`wex replay drop` or `wex replay rollback` first.", ExitCode.REFUSED)
    if state.fold_version != FOLD_VERSION:
        message = f"the shadow is folded by version {state.fold_version}, this is version {FOLD_VERSION}"
        raise WexError(message, START_AGAIN, ExitCode.REFUSED)


def check_ready(state: State) -> None:
    """Refuse to look at a shadow that is not built yet, or to swap it in."""
    check(state)
    if state.step is not Step.READY:
        message = f"the replay is not ready: it was interrupted at the step {state.step}"
        raise WexError(message, f"`{_start(state.scope)}` goes on.", ExitCode.REFUSED)


def check_part(scope: ReplayScope, standings: Mapping[TopicPartition, Standing]) -> None:
    """Refuse to rebuild a part of the table that is no part of it, or that would not fit the others."""
    if unknown := sorted(set(scope.topics) - {partition.topic for partition in standings}):
        message = f"the table has no positions in {', '.join(unknown)}"
        raise WexError(message, "`wex doctor` shows where it stands.", ExitCode.REFUSED)
    versions = {standing.fold_version for standing in standings.values()} - {FOLD_VERSION}
    if scope and versions:
        message = f"the table was folded by version {max(versions)} of the fold, this is version {FOLD_VERSION}"
        raise WexError(message, "Both in one table would be neither: start without a scope.", ExitCode.REFUSED)


def check_scope(state: State, scope: ReplayScope) -> None:
    """Refuse to go on with a shadow as if it had been begun for something else."""
    if state.scope != scope:
        message = f"the replay that is under way rebuilds {state.scope}, and not {scope}"
        remedy = f"`{_start(state.scope)}` goes on with it, `wex replay abort` gives it up."
        raise WexError(message, remedy, ExitCode.REFUSED)


def _start(scope: ReplayScope) -> str:
    return f"wex replay start {scope}" if scope else "wex replay start"


async def check_letters(shadow: Shadow) -> None:
    """Refuse a part of the table if this fold does not read records that may belong to the others."""
    if count := await replays.letters(shadow):
        message = f"{count} records that the table has are refused by now, and whose they are cannot be told"
        raise WexError(message, "`wex replay abort`, then start without a scope.", ExitCode.REFUSED)


async def check_claims(
    shadow: Shadow,
    claims: Mapping[TopicPartition, Claim],
    logs: Mapping[TopicPartition, LogRange],
    gaps: Mapping[TopicPartition, Iterable[Span]],
) -> None:
    """Refuse a shadow whose log is not the table's any more, or that was begun with another part of it.

    Args:
        shadow: what was begun.
        claims: where it stands, and in which topic.
        logs: what there is to read.
        gaps: what is not read, for an operator gave it up.
    """
    others = {
        name
        for name, claim in claims.items()
        if None not in (claim.topic_id, logs[name].topic_id) and claim.topic_id != logs[name].topic_id
    }
    _refuse_logs(others)
    begun = await replays.begun_at(shadow)
    if late := [f"{name} at {at}" for name, at in begun.items() if name in logs and at > logs[name].start]:
        message = f"the shadow was begun without an archive, or with a shorter one: {', '.join(late)}"
        raise WexError(message, START_AGAIN, ExitCode.REFUSED)
    lost = [
        f"{name} from {span.from_offset} to {span.next_offset - 1}"
        for name, claim in claims.items()
        for span in readable(Span(claim.next_offset, logs[name].start), gaps.get(name, ()))
    ]
    if lost:
        message = f"the log has lost what the shadow has not folded: {', '.join(lost)}"
        raise WexError(message, f"Give the --archive that has it; otherwise {START_AGAIN}", ExitCode.REFUSED)


def _refuse_logs(others: Collection[TopicPartition]) -> None:
    if others:
        message = (
            f"the shadow was folded from another log than the table has now: {', '.join(map(str, sorted(others)))}"
        )
        raise WexError(message, START_AGAIN, ExitCode.REFUSED)


def check_place(shadow: Shadow, state: State) -> None:
    """Refuse to touch the replay of a table in another schema of the same database."""
    if state.table_in != shadow.live:
        message = f"the replay in {shadow.schema} is of the tables in {state.table_in}, these are in {shadow.live}"
        remedy = "One at a time in a database: end that one first, with the URL whose search_path it was begun with."
        raise WexError(message, remedy, ExitCode.REFUSED)


async def check_migrated(shadow: Shadow) -> None:
    """Refuse to begin a shadow that would have columns which the table lacks."""
    if missing := await shadow.pending():
        message = f"the table lacks migration {missing[0].version}_{missing[0].name}"
        raise WexError(message, "`wex migrate` applies it.", ExitCode.REFUSED)


async def check_schema(shadow: Shadow) -> None:
    """Refuse to compare or exchange tables that different migrations have made."""
    table, own = await replays.schemas(shadow)
    if not table == own == {each.version: each.checksum for each in migrations()}:
        newest = f"the table is at migration {max(table)}, the one in {shadow.schema} at {max(own, default='none')}"
        message = f"a migration lies between the tables, or was changed: {newest}"
        remedy = "Not swapped in: `wex migrate`, `wex replay abort`, then start again; swapped in: keep the new table."
        raise WexError(message, remedy, ExitCode.REFUSED)


async def check_decisions(shadow: Shadow, state: State) -> None:
    """Refuse a shadow if operators have decided meanwhile what it does not know of."""
    _refuse_logs(begun_anew(await shadow.given_up(), since=state.started_at))
    if count := await replays.redriven(shadow):
        message = f"{count} dead letters were redriven since the shadow was begun: it would lose what they hold"
        raise WexError(message, START_AGAIN, ExitCode.REFUSED)


async def check_redriven(shadow: Shadow) -> None:
    """Refuse to go back to a table that never had what dead letters hold."""
    if count := await replays.redriven(shadow):
        message = f"{count} dead letters were redriven after the swap: the old table lacks what they hold"
        raise WexError(message, "Keep the new table; `wex replay drop` drops the old one.", ExitCode.REFUSED)


async def check_dependents(shadow: Shadow) -> None:
    """Refuse to take the table away from what others have hung on it."""
    if others := await replays.dependents(shadow):
        message = f"would stay with the table that goes: {', '.join(others)}"
        raise WexError(message, "Make them anew afterwards; --accept dependents goes on.", ExitCode.REFUSED)


async def drop(shadow: Shadow) -> None:
    """Drop the shadow, but refuse to drop what others have made that depends on it."""
    if others := await replays.drop(shadow):
        message = f"nothing was dropped: {', '.join(others)} would go with {shadow.schema}"
        raise WexError(message, "Make them anew for the table, or drop them; then run it again.", ExitCode.REFUSED)


async def check_hole(shadow: Shadow, source: LogSource) -> None:
    """Refuse to go back to where the log does not reach any more."""
    stood = await replays.set_aside(shadow)
    logs = await source.ranges({partition.topic for partition in stood})
    starts = {partition: log.start for partition, log in logs.items()}
    lost = [f"{p} from {at} to {starts[p] - 1}" for p, at in sorted(stood.items()) if starts.get(p, 0) > at]
    if lost:
        message = f"the log has lost what the old table has not applied: {', '.join(lost)}"
        raise WexError(message, "Keep the new table.", ExitCode.REFUSED)


async def check_losses(shadow: Shadow, state: State, coverage: Coverage, accepted: Collection[str]) -> None:
    """Refuse what would lose something, and say what to pass to do it all the same."""
    in_table, in_shadow = await replays.rows(shadow)
    others = await replays.dependents(shadow)
    compacted = [each for each in coverage.gone if each.endswith(" is compacted")]
    gone = [each for each in coverage.gone if each not in compacted]
    fewer = f"the table has {in_table} executions, the shadow {in_shadow}" if in_shadow < in_table else ""
    found = {
        Reason.COMPACTED: "; ".join(compacted),
        Reason.GONE: f"{'; '.join(gone)}; {state.carried} executions were carried over" if gone else "",
        Reason.FEWER_ROWS: fewer,
        Reason.DEPENDENTS: f"would stay with the old table: {', '.join(others)}" if others else "",
    }
    against = {reason: text for reason, text in found.items() if text and reason not in accepted}
    if against:
        message = "nothing was swapped: " + "; ".join(against.values())
        flags = " ".join(f"--accept {reason}" for reason in against)
        raise WexError(message, f"`wex replay diff` shows what would change; {flags} goes on.", ExitCode.REFUSED)
