"""What the service says on standard error."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from consumer import logs
from consumer.monitoring.log_events import tell


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Give the root logger back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_machine_gets_one_json_object_per_line(capsys: pytest.CaptureFixture[str]) -> None:
    """With JSON each line is an object with time, level, logger and message, and an exception if there is one."""
    logs.configure(as_json=True, verbose=False)
    logger = logging.getLogger("consumer.service")
    logger.info("claimed %s", "t/0")
    logger.debug("not said")
    try:
        raise ValueError("why")
    except ValueError:
        logger.exception("failed")
    first, second = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert (first["level"], first["logger"], first["message"]) == ("info", "consumer.service", "claimed t/0")
    assert "ValueError: why" in second["exception"]


def test_each_line_of_a_machine_names_its_event(capsys: pytest.CaptureFixture[str]) -> None:
    """What the service says carries its event and fields, at the level of the table; a library's lines say that."""
    logs.configure(as_json=True, verbose=False)
    tell("halted", "halting %s: %s", "t/0", "gap", partition="t/0", kind="gap")
    tell("not_assigned", "not said without --verbose")
    logging.getLogger("asyncpg").warning("a library")
    ours, library = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert (ours["event"], ours["level"], ours["message"]) == ("halted", "error", "halting t/0: gap")
    assert (ours["partition"], ours["kind"], library["event"]) == ("t/0", "gap", "library")


def test_the_kafka_client_repeats_itself_seldom(capsys: pytest.CaptureFixture[str]) -> None:
    """What the Kafka client says several times a second is shown once, as a warning."""
    logs.configure(as_json=False, verbose=True)
    for node in range(100):
        logging.getLogger("aiokafka.conn").error("Unable connect to node with id %s", node)
    logging.getLogger("consumer").debug("said")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "WARNING Unable connect to node with id 0" in lines[0]
