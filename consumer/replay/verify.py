"""Verify and repair: the log is folded once more into a scratch, beside the consumers, and compared with the table."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from consumer.chunk import Span
from consumer.errors import ExitCode, WexError
from consumer.kafka_address import Kafka, address
from consumer.replay.catching_up import catch_up
from consumer.replay.coverage import Coverage, begun_anew, cover, gaps
from consumer.replay.deciding import Search
from consumer.replay.folding import Folded, Folding
from consumer.replay.wanted import Window
from consumer.replay.whole_log import WholeLog
from events.fold import FOLD_VERSION
from events.position import TopicPartition
from events.publisher.topics import compacted_topics
from store import differences
from store.differences import NOTHING_COVERED, Count, Covered, Difference, Scope
from store.shadow import GivenUp, Shadow, Standing

SCHEMA = "wex_verify"
SKEW = timedelta(days=1)  # how much earlier than its event a record may have been written, by another clock
IDS = 2**128

Decided = tuple[list[GivenUp], frozenset[int]]  # what was accepted, and which dead letters were redriven
Told = Callable[[Folded, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is verified.

    Attributes:
        sample: about so many executions, drawn by `seed` through a window of ids.
        execution_id: one execution.
        workflow_id: executions of one workflow.
        since: executions that began at this time or later.
        archive: the folder of an archive, which is read before the log.
        jobs: how many processes fold, where there is much to fold.
        limit: so many differences, and so many unverifiable rows, are described; all are counted.
    """

    sample: int | None = None
    seed: int = 0
    execution_id: UUID | None = None
    workflow_id: str | None = None
    since: datetime | None = None
    limit: int = 100
    jobs: int = 1
    archive: Path | None = None


@dataclass(slots=True)
class Verdict:
    """What was found.

    Attributes:
        executions: rows of the table that were compared.
        counts: what differs, by kind.
        unverifiable: rows that know what the log has no longer, by kind.
        described: the first of what differs.
        unverifiable_described: the first of what cannot be verified.
        search: where the deciding events of what is described lie.
        miscounted: counts of the statistics that the executions contradict; None if not all of them were asked for.
        repaired: rows that were mended.
        covered: executions that purges cover; no difference.
    """

    coverage: Coverage
    folded: Folded
    ends: Mapping[TopicPartition, Standing]
    executions: int
    counts: Sequence[Count] = ()
    unverifiable: Sequence[Count] = ()
    described: Sequence[Difference] = ()
    unverifiable_described: Sequence[Difference] = ()
    search: Search = field(default_factory=lambda: Search(()))
    miscounted: int | None = None
    repaired: int = 0
    covered: Covered = NOTHING_COVERED

    @property
    def different(self) -> int:
        """How many rows differ."""
        return sum(each.rows for each in self.counts)

    @property
    def equal(self) -> bool:
        """Whether the table is what the log makes of it, and the statistics what the table makes of them."""
        return not self.different and not self.miscounted


async def verify(
    servers: Kafka, url: str, group: str, question: Question, told: Told, *, repair: bool = False
) -> Verdict:
    """Compare the table with the fold of the log up to the table's own positions, and mend it if that is asked for.

    Raises:
        WexError: there is nothing to verify, the table belongs to another version of the fold, or what is asked would
            mend rows from a part of their events.
        ArchiveError: the archive is damaged, or not one of this log.
        LogLostError: the log is not the one that was applied, or cannot be read.
        SourceError: no broker answers.
        StoreError: the database does not answer, or refuses.
    """
    if repair and question.since is not None:
        message = "--since reads a part of the log, and rows would be mended from a part of their events"
        raise WexError(message, "Repair without it, or with --execution or --workflow.", ExitCode.USAGE)
    async with WholeLog(servers, question.archive) as source, Shadow(url, SCHEMA, group=group) as scratch:
        await scratch.drop()  # what a verify that was killed has left
        try:
            await scratch.create(scratch=True)
            return await _verify(servers, source, scratch, question, told, repair=repair)
        finally:
            with suppress(Exception):  # the next one drops it; what went wrong here must not be hidden
                await scratch.drop()


async def _verify(
    servers: Kafka, source: WholeLog, scratch: Shadow, question: Question, told: Told, *, repair: bool
) -> Verdict:
    standings = await scratch.standings()
    check_fold(standings)
    executions = await differences.count_executions(scratch)
    scope = _scope(question, executions)
    decided = await _decided(scratch)
    given_up, _ = decided
    topics = {partition.topic for partition in standings}
    logs = await source.ranges(topics)
    since = None if question.since is None else await source.offsets_at(logs, question.since - SKEW)
    coverage = cover(
        standings,
        logs,
        gaps=gaps(given_up),
        anew=begun_anew(given_up),
        compacted=await compacted_topics(
            address(servers).servers, topics, client_options=address(servers).client_options
        ),
        since=since,
        not_archived=source.gaps,
    )
    claims = await scratch.claim(coverage.logs)
    total = sum(standing.next_offset - coverage.logs[name].start for name, standing in standings.items())
    folding = Folding(
        source,
        scratch,
        claims,
        given_up=given_up,
        wanted=None if scope.all_ids else Window(scope.first_id, scope.last_id),
        jobs=question.jobs,
        told=lambda folded: told(folded, total),
    )
    await folding.fold_to({name: standing.next_offset for name, standing in standings.items()})
    async with scratch.cut() as ends:
        await catch_up(folding, scratch, source, ends)
        counts = await differences.find(scratch, scope)
        miscounted = await differences.count_miscounted(scratch) if scope == Scope() else None
        covered = await differences.covered(scratch, scope)
    await _check_undecided(scratch, decided)
    verdict = await _describe(scratch, coverage, folding.folded, ends, counts, question.limit)
    verdict.executions, verdict.miscounted, verdict.covered = executions, miscounted, covered
    if verdict.described:
        await _search(source, coverage, verdict)
    if repair and verdict.different:
        verdict.repaired = await _repair(source, scratch, folding, decided, lacks=None if coverage.complete else False)
    if repair and verdict.miscounted:
        await differences.mend_statistics(scratch)
    return verdict


def check_fold(standings: Mapping[TopicPartition, Standing]) -> None:
    """Refuse a table that nobody has written, or that another version of the fold has."""
    if not standings:
        message = "the table has no positions: no consumer has applied anything"
        raise WexError(message, "`wex consume` applies what is in the log.", ExitCode.REFUSED)
    versions = {standing.fold_version for standing in standings.values()} - {FOLD_VERSION}
    if versions:
        message = f"the table was folded by version {max(versions)} of the fold, this is version {FOLD_VERSION}"
        raise WexError(message, "Run the version that made the table, or `wex replay start`.", ExitCode.REFUSED)


def _scope(question: Question, executions: int) -> Scope:
    scope = Scope(workflow_id=question.workflow_id, since=question.since)
    if question.execution_id is not None:
        return scope._replace(first_id=question.execution_id, last_id=question.execution_id)
    if question.sample is None or question.sample >= executions:
        return scope
    # Ids are digests: a window of them is as good as a draw of each, and finds rows that are missing as well.
    width = IDS * question.sample // executions
    first = random.Random(question.seed).randrange(IDS - width)  # noqa: S311 - a sample is to be drawn again
    return scope._replace(first_id=UUID(int=first), last_id=UUID(int=first + width))


async def _describe(
    scratch: Shadow,
    coverage: Coverage,
    folded: Folded,
    ends: Mapping[TopicPartition, Standing],
    counts: Sequence[Count],
    limit: int,
) -> Verdict:
    """Tell what differs from what cannot be verified: rows that know more than a log which is not all there."""
    verdict = Verdict(coverage, folded, ends, 0)
    if coverage.complete:
        verdict.counts = counts
        verdict.described = await differences.first(scratch, limit)
        return verdict
    verdict.counts = [each for each in counts if not each.lacks]
    verdict.unverifiable = [each for each in counts if each.lacks]
    verdict.described = await differences.first(scratch, limit, lacks=False)
    verdict.unverifiable_described = await differences.first(scratch, limit, lacks=True)
    return verdict


async def _search(source: WholeLog, coverage: Coverage, verdict: Verdict) -> None:
    """Read the log once more for the events that decide what is described."""
    search = verdict.search = Search(verdict.described)
    spans = {name: Span(log.start, verdict.ends[name].next_offset) for name, log in coverage.logs.items()}
    async for stretches in source.read({} if search.over else spans):
        for name, stretch in stretches.items():
            search.look(name, stretch.records)
        if search.over:
            break


async def _decided(scratch: Shadow) -> Decided:
    """Return what operators have decided until now."""
    return await scratch.given_up(), await scratch.redriven()


async def _check_undecided(scratch: Shadow, decided: Decided) -> None:
    """Demand that no decision has changed what the fold of the log is, or what is left out of it."""
    given_up, redriven = await _decided(scratch)
    if redriven != decided[1]:
        raise WexError("a dead letter was redriven meanwhile", "Run it again.")
    if given_up != decided[0]:
        raise WexError("an incident was accepted meanwhile", "Run it again.")


async def _repair(source: WholeLog, scratch: Shadow, folding: Folding, decided: Decided, *, lacks: bool | None) -> int:
    """Mend page by page, each while no consumer applies and the scratch stands where the table stands."""
    repaired = 0
    # What executions point at comes before them, and goes after them.
    for relations in (differences.CATALOGUE, differences.EXECUTIONS, differences.CATALOGUE):
        async for page in differences.pages(scratch, relations, lacks=lacks):
            async with scratch.locked() as ends:
                await catch_up(folding, scratch, source, ends)
                await _check_undecided(scratch, decided)
                await differences.mend(scratch, page)
            repaired += len(page) if relations is differences.EXECUTIONS else 0
    return repaired
