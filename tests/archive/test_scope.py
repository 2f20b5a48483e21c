"""Replays of a part of the table from an archive: both topics of the executions have lost their beginnings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from consumer.errors import ExitCode, WexError
from consumer.replay import folding
from consumer.replay.rebuild import Rebuild
from store import replays
from store.replay_scope import ReplayScope
from tests.archive.test_kafka import archived
from tests.consuming import fetch, produce
from tests.replay.applying import apply_all
from tests.replay.test_scope import NUMBER, SPOILT, WITHOUT_CLOCK, KilledError, only, part, table
from tests.replay.test_verify import delete_records, execute
from tests.stack import Servers

EXECUTIONS = 30


@pytest.fixture
async def spoilt(servers: Servers, database_url: str, topic: str, tmp_path: Path) -> str:
    """A database whose rows are all wrong, after two topics were archived and retention took a part of each."""
    for name, values in zip((topic, f"{topic}-b"), part(0, EXECUTIONS), strict=True):
        await produce(servers.kafka_bootstrap_servers, name, values)
        await apply_all(servers.kafka_bootstrap_servers, database_url, name)
        await archived(servers, tmp_path, name)
        await delete_records(servers, name, {0: 10, 1: 10, 2: 10})
    await execute(database_url, f"CREATE TABLE public.kept AS {WITHOUT_CLOCK}")
    await execute(database_url, SPOILT)
    return database_url


@pytest.mark.parametrize("jobs", [1, 2])
async def test_a_part_is_rebuilt_from_archive_and_log(
    servers: Servers, spoilt: str, topic: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    """The topic of the scope is folded first, then the others, both from the archive on, also after an interruption."""
    monkeypatch.setattr(folding, "MUCH_RECORDS", 0)
    wrong, right = await table(spoilt), await table(spoilt, "SELECT id, text FROM public.kept")
    inside = {r["id"] for r in await fetch(spoilt, NUMBER) if r["number"] >= EXECUTIONS // 3}
    scope = ReplayScope(topics=(f"{topic}-b",))

    def rebuild(archive: Path | None = tmp_path) -> Rebuild:
        return Rebuild(servers.kafka_bootstrap_servers, spoilt, "tests", archive=archive, jobs=jobs)

    async def killed(*_: Any) -> None:
        raise KilledError

    with monkeypatch.context() as killing:
        killing.setattr(replays, "note_topics", killed)
        with pytest.raises(KilledError):
            await rebuild().start(scope)
    with pytest.raises(WexError, match=f"not folded: {topic}/0 from 0 to 9") as refused:
        await rebuild(None).start(scope)
    assert refused.value.exit_code == ExitCode.REFUSED
    report = await rebuild().start(scope)
    assert (report.state.within, report.state.carried, report.behind) == (len(inside), 0, 0)
    preview = await rebuild().diff(1000)
    assert {each.key for each in preview.described} == {(str(id_),) for id_ in inside}
    await rebuild().swap()
    assert only(await table(spoilt), wrong.keys() - inside) == only(wrong, wrong.keys() - inside)
    assert only(await table(spoilt, WITHOUT_CLOCK), inside) == only(right, inside)
