"""The proof: rows are corrupted in every way, drawn by a seed; verify names exactly those, and repair mends them.

`make proof` does it with 200,000 executions; WEX_PROOF_EXECUTIONS and WEX_PROOF_SEED choose.
"""

from __future__ import annotations

import os
import random
import sys
import time

import pytest

from consumer.replay.verify import Question, Verdict, verify
from store import PostgresStore
from tests.consuming import fetch, make_service, produce
from tests.replay.corrupting import corrupt
from tests.replay.load import EVENTS_EACH, records
from tests.stack import Servers

EXECUTIONS = int(os.environ.get("WEX_PROOF_EXECUTIONS", "5000"))
SEED = int(os.environ.get("WEX_PROOF_SEED", "0")) or random.randrange(1, 2**32)
CORRUPTED = 50


@pytest.mark.system
@pytest.mark.timeout(3600)
async def test_exactly_the_corrupted_rows_are_named_and_mended(
    servers: Servers, database_url: str, topic: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of many executions 50 rows are corrupted: verify names those with each field, repair mends, verify is clean."""
    bootstrap, question = servers.kafka_bootstrap_servers, Question(jobs=os.cpu_count() or 1)

    def told(text: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{text}")

    async def verified(*, repair: bool = False) -> Verdict:
        begun = time.monotonic()
        verdict = await verify(bootstrap, database_url, "tests", question, lambda *_: None, repair=repair)
        seconds = time.monotonic() - begun
        told(f"{'repair' if repair else 'verify'}: {verdict.different} of {verdict.executions:,} in {seconds:.1f} s")
        return verdict

    told(f"seed {SEED}")
    await produce(bootstrap, topic, records(EXECUTIONS), partitions=8)
    service = make_service(bootstrap, PostgresStore(database_url), topic, until_caught_up=True)
    assert not await service.run()
    assert (await verified()).different == 0

    corrupted = await corrupt(database_url, seed=SEED, rows=CORRUPTED)
    verdict = await verified()
    assert {(d.relation, d.key): (d.kind, frozenset(d.fields)) for d in verdict.described} == corrupted
    assert (verdict.different, verdict.folded.events) == (CORRUPTED, EXECUTIONS * EVENTS_EACH)

    assert (await verified(repair=True)).different == CORRUPTED
    assert (await verified()).different == 0
    [found] = await fetch(database_url, "SELECT count(*) AS rows FROM workflow_executions")
    assert found["rows"] == EXECUTIONS
