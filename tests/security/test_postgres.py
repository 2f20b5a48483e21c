"""PostgreSQL with TLS, right and wrong, through a listener that speaks its SSLRequest."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest

from store import PostgresStore
from tests.cli.conftest import Wex
from tests.consuming import applied, consuming, fetch, make_service, produce, until
from tests.replay.load import EVENTS_EACH, records
from tests.security.certificates import Certificates
from tests.security.tls_proxy import serving, tls_proxy
from tests.stack import Servers

FULL = "sslmode=verify-full&sslrootcert={authority}"
CASES = [
    ("server", FULL, 0, ""),
    ("server", "sslmode=require", 0, ""),
    ("server", "sslmode=verify-full", 1, "its authority is not known"),
    ("server", "sslmode=verify-full&sslrootcert={stranger}", 1, "its authority is not known"),
    ("other-host", FULL, 1, "it is for another host; connect by a name that the certificate has"),
    ("other-host", "sslmode=verify-ca&sslrootcert={authority}", 0, ""),
    ("expired", FULL, 1, "it has expired; renew it"),
    ("", FULL, 1, "it offers no TLS: turn it on there"),
    ("mutual", FULL, 5, "connection was closed"),  # since TLS 1.3 a server says why only after it has agreed
    ("mutual", FULL + "&sslcert={folder}/client.pem", 0, ""),
    ("server", FULL + "&sslcert={folder}/absent.pem", 1, "a certificate, key or list that is named for TLS cannot be"),
    ("server", FULL + "&password=canary-wrong", 1, "password authentication failed"),
]


@pytest.mark.parametrize(("certificate", "query", "code", "said"), CASES)
def test_what_does_not_fit_is_said(
    wex: Wex,
    database_url: str,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
    certificate: str,
    query: str,
    code: int,
    said: str,
) -> None:
    """A command reads through TLS, or ends at once with what is wrong, where, and what to do; no secret is shown."""
    mutual = certificates.authority if certificate == "mutual" else None
    name = "server" if mutual else certificate
    context = serving(certificates.file(name), authority=mutual) if name else None
    with tls_proxy(database_url, context) as proxy:
        url = proxy.url
        if "password=" in query:  # the URL's own would win
            url = url.replace(f":{urlsplit(url).password}@", "@")
        made = certificates
        asked = query.format(authority=made.authority, stranger=made.stranger, folder=made.folder)
        monkeypatch.setenv("WEX_DATABASE_URL", f"{url}?{asked}")
        for command in (("list", "order"), ("migrate",)):
            ended = wex(*command)
            assert (ended.exit_code, bool(re.search(said, ended.stderr))) == (code, True), ended.stderr
            assert code == 0 or re.search(rf"PostgreSQL at localhost:\d+/{database_name(database_url)}", ended.stderr)
            assert "canary" not in ended.stderr


def database_name(url: str) -> str:
    """The name of a database."""
    return urlsplit(url).path[1:]


async def test_a_certificate_that_expires_is_an_outage(
    servers: Servers, database_url: str, topic: str, certificates: Certificates
) -> None:
    """A consumer whose database shows a bad certificate applies nothing, sets nothing aside, and goes on by itself."""
    with tls_proxy(database_url, serving(certificates.file("server"))) as proxy:
        url = f"{proxy.url}?{FULL.format(authority=certificates.authority)}"
        await produce(servers.kafka_bootstrap_servers, topic, records(5), partitions=1)
        service = make_service(servers.kafka_bootstrap_servers, PostgresStore(url), topic)
        async with consuming(service):
            total = 5 * EVENTS_EACH
            await until(lambda: applied(database_url, topic, total), "the first records")
            proxy.context = serving(certificates.file("expired"))
            proxy.drop_connections()
            await produce(servers.kafka_bootstrap_servers, topic, records(5, first=5), partitions=1)
            metrics = service.metrics

            async def failed() -> bool:
                return metrics.value("wex_database_errors_total", action="stop") > 0

            await until(failed, "an error that is the configuration's")
            assert not await applied(database_url, topic, total + 1)
            proxy.context = serving(certificates.file("server"))
            await until(lambda: applied(database_url, topic, 2 * total), "all records, once it is renewed")
    assert await fetch(database_url, "SELECT 1 FROM dead_letters") == []
