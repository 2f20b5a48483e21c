"""Several schemas of one database with tables of the service: the replay of one is not that of another."""

from __future__ import annotations

import pytest

from consumer.errors import ExitCode, WexError
from consumer.replay.rebuild import Rebuild
from store.connect import in_schema
from store.migrate import migrate
from tests.consuming import produce, rows
from tests.replay.applying import apply_all
from tests.replay.conftest import Rebuilding
from tests.replay.load import records
from tests.replay.test_verify import execute, verified
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


async def test_a_schema_may_be_called_anything(servers: Servers, database_url: str, topic: str) -> None:
    """Quotes, percent and dollar signs in the name of the table's schema are a name and nothing else."""
    bootstrap, name = servers.kafka_bootstrap_servers, '"o\'s ""odd"" %I $$"'
    url = in_schema(database_url, name)
    await execute(database_url, f"CREATE SCHEMA {name}")
    await migrate(url)
    await produce(bootstrap, topic, records(5))
    await apply_all(bootstrap, url, topic)
    await execute(url, f"GRANT SELECT ON {name}.users TO PUBLIC")
    before = await rows(url)
    assert (await verified(servers, url)).different == 0
    rebuild = Rebuild(bootstrap, url, "tests")
    await rebuild.start()
    await rebuild.swap()
    await rebuild.rollback()
    assert (await rebuild.diff(1)).counts == []
    await rebuild.swap()
    await rebuild.drop()
    assert await rows(url) == before
    assert (await verified(servers, url)).different == 0
