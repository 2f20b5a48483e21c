"""The page about metrics, health and log events, made from their tables: `make pages` writes it."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from consumer.monitoring.log_events import LOG_EVENTS
from consumer.monitoring.metric_table import METRICS, PROCESS_METRICS
from consumer.monitoring.server import STUCK_SECONDS
from consumer.watchdog import PATIENCE_SECONDS

HEAD = f"""# Seen from outside

<!-- Made by `make pages` from consumer/monitoring; do not edit. -->

`wex consume` serves three paths over HTTP, at `127.0.0.1:9464` unless `WEX_HTTP_HOST` and `WEX_HTTP_PORT` say otherwise
([settings](settings.md)). If that port is taken and none was asked for, any free one is used; the log says which
(`listening`). A port that was asked for must be free, or the command ends.

- `/healthz` answers 200 while the event loop turns, and 503 once it has not for {STUCK_SECONDS:g} seconds. A thread
  answers, so that it does while the loop is stuck; after {PATIENCE_SECONDS:g} seconds the process ends by itself,
  with exit code 7. Restart on it.
- `/readyz` answers 200 while everything that Kafka assigned is claimed or halted and the database answers, and 503
  before the group is joined and during an outage, which no restart cures. A halted partition is named in its body and
  makes no consumer unready: it waits for an operator, and the others go on.
- `/metrics` has the metrics below, for Prometheus.

Neither payloads nor ids nor addresses of servers are in any of them.

## Metrics

All counters begin at 0 when the process starts. The log tells their increase every five seconds (`progress`).

| metric | kind | labels | meaning | what to do |
|---|---|---|---|---|
"""

PROCESS = """
Where the system tells, prometheus-client adds what the process uses:

| metric of the process | meaning |
|---|---|
"""

LOG = """
## Log events

The log goes to standard error, a line per event for people, or JSON with `--log-json`: `time`, `level`, `logger`,
`event`, `message`, and fields of the event such as `partition` or `reason`. What libraries say is the event `library`.
No payloads and no secrets are logged, at no level.

| event | level | meaning | what to do |
|---|---|---|---|
"""


def page() -> str:
    """Return the page."""
    metrics = [
        _row(f"`{name}`", each.kind, ", ".join(f"`{label}`" for label in each.labels), each.meaning, each.to_do)
        for name, each in METRICS.items()
    ]
    process = [_row(f"`{name}`", meaning) for name, meaning in PROCESS_METRICS.items()]
    events = [
        _row(f"`{name}`", logging.getLevelName(each.level).lower(), each.meaning, each.to_do)
        for name, each in LOG_EVENTS.items()
    ]
    return HEAD + "".join(metrics) + PROCESS + "".join(process) + LOG + "".join(events)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
