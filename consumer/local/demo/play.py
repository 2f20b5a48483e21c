"""The demonstration from start to end: servers, workflows, consumer, comparison, sync, and the comparison again."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from temporalio.client import Client

from consumer.errors import ExitCode, WexError
from consumer.local.demo.compare import Comparison, compare, everything, status_alone
from consumer.local.demo.load import KINDS, run_workflows
from consumer.local.stack import LocalStack
from consumer.local.stack_file import StackFile
from consumer.log_ranges import log_ends
from consumer.settings import Settings, load
from consumer.temporal_runtime import runtime
from events.publisher import ExecutionPublisher
from store.migrate import migrate
from store.postgres import PostgresStore
from store.reader import ExecutionReader

RUNS_MIN = 200
STOP_SECONDS = 20
CATCH_UP_SECONDS = 60
POLL_SECONDS = 0.1

Report = Callable[[str], None]


@dataclass(slots=True)
class Outcome:
    """What the demonstration found."""

    runs: int = 0
    rows: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    differing_before: Counter[str] = field(default_factory=Counter)
    differing_after: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    @property
    def summary(self) -> str:
        """All of it in one line."""
        verdict = "FAILED" if self.problems else "ok"
        before = ", ".join(f"{kind} {count}" for kind, count in sorted(self.differing_before.items()))
        return (
            f"demo {verdict}: {self.runs} runs of {len(self.kinds)} kinds, {self.rows} rows; before the sync "
            f"{self.differing_before.total()} differed from the server ({before or 'none'}), after it "
            f"{self.differing_after.total()}"
        )


def play(data_dir: Path, copies: int, report: Report, show: Callable[[Mapping[str, str]], None]) -> Outcome:
    """Run the demonstration in a data folder of its own, which is emptied first.

    Args:
        data_dir: the folder; it is left behind, so that `wex up` can show what is in it.
        copies: workflows of each kind.
        report: takes progress lines.
        show: shows the result, given the settings of the stack as environment variables.

    Raises:
        WexError: a server, the consumer or the sync failed.
    """
    _empty(data_dir)
    with LocalStack(data_dir, temporal=True, report=report) as stack:
        settings = load(data_dir=data_dir, **stack.settings)
        environment = {f"WEX_{name.upper()}": value for name, value in stack.settings.items()}
        environment["WEX_DATA_DIR"] = str(data_dir)
        outcome = asyncio.run(_play(settings, environment, copies, report))
        show(environment)
    return outcome


def _empty(data_dir: Path) -> None:
    held = StackFile.read(data_dir)
    if held.alive() or (held.supervisor and held.supervisor.alive()):
        message = f"a stack runs in {data_dir}"
        raise WexError(message, f"Stop it first: wex down --data-dir {data_dir}", ExitCode.REFUSED)
    shutil.rmtree(data_dir, ignore_errors=True)


async def _play(settings: Settings, environment: dict[str, str], copies: int, report: Report) -> Outcome:
    outcome = Outcome()
    url = settings.database
    await migrate(url)
    client = await Client.connect(settings.temporal_address, runtime=runtime())
    publisher = ExecutionPublisher(
        bootstrap_servers=settings.kafka.servers,
        topic=settings.topics[0],
        source="/demo/worker",
        client_options=settings.kafka.client_options,
    )
    async with publisher, ExecutionReader.connect(url) as reader:
        with _consumer(settings, environment):
            report(f"running {copies} workflows of each of {len(KINDS)} kinds on the real Temporal server")
            await run_workflows(client, publisher, copies)
            await _catch_up(settings)
            report("comparing every row with the server: what the workers saw")
            before = await compare(client, reader, status_alone)
            _judge_before(outcome, before, report)
            report("publishing what the server decided: wex temporal sync")
            await asyncio.to_thread(_wex, ["temporal", "sync"], environment)
            await _catch_up(settings)
            report("comparing every row with the server: status, start, end and duration")
            after = await compare(client, reader, everything)
            _judge_after(outcome, after, report)
            outcome.rows = sum([(await reader.stats(workflow)).total for workflow in _WORKFLOW_IDS])
    _judge_size(outcome)
    return outcome


_WORKFLOW_IDS = ("Charge", "Decline", "Flaky", "Wait", "Continue", "Parent")


def _judge_before(outcome: Outcome, before: Comparison, report: Report) -> None:
    outcome.differing_before = before.differing_by_kind
    for kind, count in sorted(before.differing_by_kind.items()):
        report(f"  {count} of {before.runs[kind]} runs `{kind}` differ")
    if before.differing_by_kind != before.unseen_by_worker:
        expected = dict(before.unseen_by_worker)
        outcome.problems.append(
            f"before the sync exactly {expected} should differ, not {dict(before.differing_by_kind)}"
        )


def _judge_after(outcome: Outcome, after: Comparison, report: Report) -> None:
    outcome.runs = after.runs.total()
    outcome.kinds = after.runs
    outcome.differing_after = after.differing_by_kind
    report(f"  {len(after.differing)} of {outcome.runs} runs differ")
    for (workflow_id, _), (server, row) in list(after.differing.items())[:10]:
        outcome.problems.append(f"{workflow_id}: the server has {server}, the table {row}")


def _judge_size(outcome: Outcome) -> None:
    if outcome.rows < RUNS_MIN or outcome.rows != outcome.runs:
        outcome.problems.append(f"{outcome.rows} rows for {outcome.runs} runs; at least {RUNS_MIN} are wanted")
    if empty := [kind.name for kind in KINDS if not outcome.kinds[kind.name]]:
        outcome.problems.append(f"no runs of {', '.join(empty)}")


@contextmanager
def _consumer(settings: Settings, environment: dict[str, str]) -> Iterator[None]:
    """Run `wex consume` beside the demonstration, as a process of its own; its log is in the data folder."""
    log = settings.data_dir / "logs" / "consumer.log"
    with log.open("wb") as output:
        process = subprocess.Popen(_command(["consume"]), env=_child(environment), stdout=output, stderr=output)  # noqa: S603 - our own command line
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    if process.returncode != 0:
        message = f"the consumer ended with exit code {process.returncode}"
        raise WexError(message, f"Its log is {log}", ExitCode.ERROR)


async def _catch_up(settings: Settings) -> None:
    """Wait until everything that is in the log now is in the table."""
    store = PostgresStore(settings.database)
    try:
        ends = await log_ends(settings.kafka, settings.topics)
        async with asyncio.timeout(CATCH_UP_SECONDS):
            while True:
                claims = await store.read_claims(settings.consumer_group)
                if all(claims[p].next_offset >= end if p in claims else end == 0 for p, end in ends.items()):
                    return
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        message = f"the consumer did not catch up within {CATCH_UP_SECONDS} s"
        raise WexError(message, f"Its log is in {settings.data_dir / 'logs'}") from None
    finally:
        await store.close()


def _wex(arguments: list[str], environment: dict[str, str]) -> None:
    ended = subprocess.run(_command(arguments), env=_child(environment), capture_output=True, text=True, check=False)  # noqa: S603 - our own command line
    if ended.returncode != 0:
        message = f"wex {' '.join(arguments)} ended with exit code {ended.returncode}: {ended.stderr.strip()}"
        raise WexError(message)


def _command(arguments: list[str]) -> list[str]:
    return [sys.executable, "-m", "consumer", *arguments]


def _child(environment: dict[str, str]) -> dict[str, str]:
    """Return the environment of a child: ours, with the settings of the stack over it."""
    from consumer.settings import environment as inherited

    return inherited() | environment
