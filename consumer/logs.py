"""Logs on standard error: a line for people on a terminal, JSON for machines. No payloads, no secrets."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime

import orjson

SELDOM_SECONDS = 30.0


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": getattr(record, "event", None) or "library",
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(entry).decode()


class _Seldom(logging.Filter):
    """Lets the Kafka client say each thing once in a while, as a warning: it tries again several times a second."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith("aiokafka"):
            return True
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        said = self._said.get(record.msg, 0.0)
        if record.created - said < SELDOM_SECONDS:
            return False
        self._said[record.msg] = record.created
        return True


def configure(*, as_json: bool, verbose: bool) -> None:
    """Send our log to standard error; the clients' own logs only from warnings on, for at DEBUG they show secrets."""
    handler = logging.StreamHandler(sys.stderr)
    human = logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", datefmt="%H:%M:%S")
    handler.setFormatter(_JsonFormatter() if as_json else human)
    handler.addFilter(_Seldom())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in ("consumer", "store", "events"):
        logging.getLogger(name).setLevel(logging.DEBUG if verbose else logging.INFO)
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
