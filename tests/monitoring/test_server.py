"""What the HTTP server says about a consumer, and where it listens."""

from __future__ import annotations

import json
import socket
import threading

import pytest

from consumer.errors import ExitCode, WexError
from consumer.monitoring.metric_table import METRICS
from consumer.monitoring.metrics import READY_GRACE_SECONDS, Metrics, PartitionView, View
from consumer.monitoring.server import STUCK_SECONDS, MonitoringServer
from consumer.watchdog import PATIENCE_SECONDS
from events.position import TopicPartition
from tests.monitoring.scraping import ask, scrape, total

HOST = "127.0.0.1"
T0, T1 = TopicPartition("t", 0), TopicPartition("t", 1)


class Consumer:
    """A consumer as its metrics show it, with a clock and a silence that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.silent = 0.0
        self.metrics = Metrics(lambda: self.now, lambda: self.silent)


@pytest.fixture
def consumer() -> Consumer:
    """A consumer that has done nothing yet."""
    return Consumer()


def test_a_stuck_loop_is_unhealthy_before_the_watchdog_bites(consumer: Consumer) -> None:
    """Health is 200 up to the bound and 503 above it, with the silence in the body, and 200 again afterwards."""
    assert STUCK_SECONDS < PATIENCE_SECONDS / 2
    with MonitoringServer(consumer.metrics, HOST, 0) as server:
        found = []
        for consumer.silent in (0.0, STUCK_SECONDS, STUCK_SECONDS + 0.5, 0.2):
            status, body = ask(server.url, "/healthz")
            found.append((status, json.loads(body)["status"], json.loads(body)["loop_silent_seconds"]))
    assert found == [(200, "ok", 0.0), (200, "ok", 10.0), (503, "unavailable", 10.5), (200, "ok", 0.2)]


def test_readiness_follows_the_view(consumer: Consumer) -> None:
    """A consumer is ready once it has joined and for a grace after it was last fine; halts are named, not counted."""
    with MonitoringServer(consumer.metrics, HOST, 0) as server:
        assert ask(server.url, "/readyz")[0] == 503
        halted = {T0: PartitionView(1, halted=False), T1: PartitionView(2, halted=True)}
        consumer.metrics.view = View(halted, joined=True, ready_at=consumer.now)
        status, body = ask(server.url, "/readyz")
        assert (status, json.loads(body)["halted"], json.loads(body)["partitions"]) == (200, ["t/1"], 2)
        consumer.now += READY_GRACE_SECONDS
        assert ask(server.url, "/readyz")[0] == 200
        consumer.now += 0.1
        assert ask(server.url, "/readyz")[0] == 503
        assert total(scrape(server.url), "wex_ready") == 0


def test_gauges_show_what_the_view_holds_and_nothing_more(consumer: Consumer) -> None:
    """Lag, age and halts are those of the view at the moment of asking; a partition that went away shows nothing."""
    metrics = consumer.metrics
    partitions = {T0: PartitionView(5, halted=False, end=8, written_after=990.0), T1: PartitionView(2, halted=True)}
    metrics.view = View(partitions, joined=True, ready_at=consumer.now, ends_read_at=995.0)
    assert metrics.value("wex_lag_records", topic="t", partition="0") == 3
    assert metrics.value("wex_lag_seconds", partition="0") == metrics.value("wex_oldest_unapplied_seconds") == 10
    assert metrics.value("wex_lag_age_seconds") == 5
    assert metrics.value("wex_partition_halted") == metrics.value("wex_partition_halted", partition="1") == 1
    assert metrics.value("wex_partitions", state="claimed") == metrics.value("wex_partitions", state="halted") == 1
    consumer.now += 7
    assert metrics.value("wex_lag_seconds", partition="0") == 17
    metrics.view = View()
    with MonitoringServer(metrics, HOST, 0) as server:
        assert [name for name, labels in scrape(server.url) if dict(labels).get("topic")] == []


def test_every_metric_is_exposed_with_its_meaning(consumer: Consumer) -> None:
    """Each metric of the table is there from the start with its kind and meaning, in both formats; memory too."""
    consumer.metrics.view = View(ends_read_at=consumer.now)
    with MonitoringServer(consumer.metrics, HOST, 0) as server:
        _, plain = ask(server.url, "/metrics")
        _, open_metrics = ask(server.url, "/metrics", accept="application/openmetrics-text; version=1.0.0")
    for name, metric in METRICS.items():
        assert f"# TYPE {name} {metric.kind}\n" in plain
        assert f"# HELP {name} {metric.meaning}\n" in plain
    assert open_metrics.endswith("# EOF\n")
    assert "_created" not in plain
    assert "process_resident_memory_bytes" in plain


def test_values_of_labels_are_there_before_the_first_increase(consumer: Consumer) -> None:
    """A counter whose label values are known shows them at 0, so that an alert sees the first increase."""
    with MonitoringServer(consumer.metrics, HOST, 0) as server:
        samples = scrape(server.url)
    assert samples["wex_database_errors_total", frozenset({("action", "stop")})] == 0
    assert samples["wex_incidents_total", frozenset({("kind", "gap")})] == 0


def test_other_paths_and_methods_are_refused(consumer: Consumer) -> None:
    """An unknown path is 404 and names the known ones; HEAD has no body; nothing but reading is offered."""
    with MonitoringServer(consumer.metrics, HOST, 0) as server:
        assert ask(server.url, "/../etc/passwd") == (404, "/healthz /readyz /metrics\n")
        assert ask(server.url, "/healthz?verbose=1")[0] == 200
        port = int(server.url.rpartition(":")[2])
        answers = [_raw(port, f"{method} /healthz HTTP/1.0\r\n\r\n") for method in ("HEAD", "POST")]
    assert answers[0].startswith(b"HTTP/1.0 200")
    assert answers[0].endswith(b"\r\n\r\n")
    assert answers[1].startswith(b"HTTP/1.0 501")


def _raw(port: int, request: str) -> bytes:
    with socket.create_connection((HOST, port), timeout=10) as connection:
        connection.sendall(request.encode())
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_silent_clients_keep_nobody_waiting(consumer: Consumer) -> None:
    """While clients hold connections without a word, others are answered."""
    with MonitoringServer(consumer.metrics, HOST, 0) as server:
        port = int(server.url.rpartition(":")[2])
        silent = [socket.create_connection((HOST, port), timeout=10) for _ in range(20)]
        assert ask(server.url, "/healthz")[0] == 200
        for connection in silent:
            connection.close()


def test_a_port_that_was_asked_for_must_be_free(consumer: Consumer) -> None:
    """A taken port is an error that names it and a remedy, unless any will do; threads end with their servers."""
    with MonitoringServer(consumer.metrics, HOST, 0) as first:
        port = int(first.url.rpartition(":")[2])
        with (
            pytest.raises(WexError, match=f"at {HOST}:{port}") as caught,
            MonitoringServer(consumer.metrics, HOST, port),
        ):
            pass
        assert (caught.value.exit_code, "--http-port" in caught.value.remedy) == (ExitCode.ERROR, True)
        with MonitoringServer(consumer.metrics, HOST, port, or_any_port=True) as second:
            assert second.url != first.url
            assert ask(second.url, "/healthz")[0] == 200
    with pytest.raises(WexError, match="cannot serve"), MonitoringServer(consumer.metrics, "256.256.256.256", 0):
        pass
    assert "monitoring" not in {thread.name for thread in threading.enumerate()}


def test_it_listens_on_ipv6_too(consumer: Consumer) -> None:
    """An address of IPv6 is listened at and written as URLs write it."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with MonitoringServer(consumer.metrics, "::1", 0) as server:
        assert server.url.startswith("http://[::1]:")
        assert ask(server.url, "/healthz")[0] == 200


def test_the_log_tells_what_was_counted_since(consumer: Consumer, caplog: pytest.LogCaptureFixture) -> None:
    """Each telling names the increases since the last one, and one without any says nothing."""
    caplog.set_level("INFO", logger="consumer")
    consumer.metrics.count("wex_records_total", "applied", "started", by=3)
    consumer.metrics.count("wex_fenced_total")
    consumer.metrics.tell()
    consumer.metrics.count("wex_fenced_total")
    consumer.metrics.tell()
    consumer.metrics.tell()
    assert [record.getMessage() for record in caplog.records] == [
        "since last told: records applied started 3, fenced 1",
        "since last told: fenced 1",
    ]
    assert {record.event for record in caplog.records} == {"progress"}  # type: ignore[attr-defined] # added by `tell`
