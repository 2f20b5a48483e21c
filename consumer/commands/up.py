"""`wex up`: start the local servers."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from consumer import settings
from consumer.commands.interrupts import signals_as_interrupts
from consumer.errors import WexError

if TYPE_CHECKING:
    from consumer.local.stack import LocalStack

_PORT = click.IntRange(1, 65535)


@click.command("up")
@click.option("--temporal", is_flag=True, help="Start the Temporal server too.")
@click.option("--detach", is_flag=True, help="Return when the servers serve; `wex down` stops them.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder of the stack's data.  [default: .wex]")
@click.option("--postgres-port", type=_PORT, help="Port of PostgreSQL.  [default: as last time, or a free one]")
@click.option("--kafka-port", type=_PORT, help="Port of Kafka.  [default: as last time, or a free one]")
@click.option("--temporal-port", type=_PORT, help="Port of Temporal.  [default: as last time, or a free one]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of export lines.")
def command(
    *,
    temporal: bool,
    detach: bool,
    data_dir: Path | None,
    postgres_port: int | None,
    kafka_port: int | None,
    temporal_port: int | None,
    as_json: bool,
) -> None:
    """Start PostgreSQL and Kafka (and Temporal) on this machine and print the settings to use them.

    Progress goes to standard error, the settings to standard output: eval "$(wex up --detach)" takes them over.
    Without --detach the servers run until Ctrl-C.
    """
    if os.name == "nt":
        message = "the local stack needs Linux or macOS"
        raise WexError(message, "Run `wex up` in WSL, or use docker-compose.yml.")
    from consumer.local.stack import LocalStack, Ports

    folder = settings.load(data_dir=data_dir).data_dir
    ports = Ports(postgres=postgres_port, kafka=kafka_port, temporal=temporal_port)
    stack = LocalStack(folder, temporal=temporal, ports=ports, report=_say)
    with signals_as_interrupts():
        stack.start()
        if detach:
            stack.release()
            _show(stack, folder, as_json=as_json)
        else:
            _show_and_wait(stack, folder, as_json=as_json)


def _show_and_wait(stack: LocalStack, folder: Path, *, as_json: bool) -> None:
    """Stay until a signal, which is the ordinary end, or until a server dies, which is an error."""
    try:
        _show(stack, folder, as_json=as_json)
        _say("Ctrl-C stops them.")
        stack.wait()
    except KeyboardInterrupt:
        _say("stopping")
    finally:
        stack.stop()


def _show(stack: LocalStack, folder: Path, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(stack.describe().to_json()))
    else:
        for field, value in stack.settings.items():
            click.echo(f"export WEX_{field.upper()}={shlex.quote(value)}")
    _warn_of_environment(stack, folder)
    flag = (
        ""
        if folder == settings.Settings.model_fields["data_dir"].default
        else f" --data-dir {shlex.quote(str(folder))}"
    )
    _say(
        f"The servers run; wex commands{f' with{flag}' if flag else ' in this folder'} find them. Stop: wex down{flag}"
    )


def _warn_of_environment(stack: LocalStack, folder: Path) -> None:
    """Say which variables keep other commands from finding the stack: the environment beats the stack file."""
    seen = settings.load(data_dir=folder)
    for field, value in stack.settings.items():
        found = getattr(seen, field)
        if (found.get_secret_value() if hasattr(found, "get_secret_value") else found) != value:
            _say(f"Note: WEX_{field.upper()} is set in this shell to something else, and wins over this stack.")


def _say(line: str) -> None:
    click.echo(line, err=True)
