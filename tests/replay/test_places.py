"""Several schemas of one database with tables of the service: the replay of one is not that of another."""

from __future__ import annotations

import pytest

from consumer.errors import ExitCode, WexError
from consumer.replay.rebuild import Rebuild
from store.connect import in_schema
from store.migrate import migrate
from tests.consuming import produce
from tests.replay.applying import apply_all
from tests.replay.conftest import Rebuilding
from tests.replay.load import records
from tests.replay.test_verify import execute
from tests.stack import Servers


async def test_the_replay_of_another_schema_is_not_touched(
    servers: Servers, database_url: str, topic: str, rebuild: Rebuilding
) -> None:
    """Each command refuses, and names both schemas; the replay goes on where it belongs."""
    bootstrap, other = servers.kafka_bootstrap_servers, in_schema(database_url, "other")
    await execute(database_url, "CREATE SCHEMA other")
    await migrate(other)
    await produce(bootstrap, topic, records(5))
    for url in (database_url, other):
        await apply_all(bootstrap, url, topic)
    await rebuild().start()
    theirs = Rebuild(bootstrap, other, "tests")
    for command in (theirs.start, theirs.status, theirs.swap, theirs.rollback, theirs.abort, theirs.drop):
        with pytest.raises(WexError, match="is of the tables in public, these are in other") as refused:
            await command()
        assert refused.value.exit_code == ExitCode.REFUSED
    await rebuild().swap()
    await rebuild().drop()
    await theirs.start()
