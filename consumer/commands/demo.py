"""`wex demo`: the whole path on real servers, checked row by row."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import click

from consumer.commands import options, output
from consumer.errors import ExitCode

FOLDER = "demo"  # below the data folder, so that the demonstration never touches a stack in use


@click.command("demo")
@options.data_dir
@click.option("--copies", type=click.IntRange(17, 200), default=18, show_default=True, help="Workflows of each kind.")
@options.as_json
def command(*, data_dir: Path | None, copies: int, as_json: bool) -> None:
    """Run real Temporal workflows of twelve kinds through the whole path, and compare every row with the server.

    Starts PostgreSQL, Kafka and Temporal, consumes what the workers publish, compares; then publishes what the server
    decided, compares again, and shows a list, one execution and statistics. Exit code 4: a row differs.
    """
    from consumer.local.demo.play import play

    folder = options.load_settings(data_dir=data_dir).data_dir.absolute() / FOLDER
    outcome = None
    with options.errors_for_people():
        outcome = play(folder, copies, _say, (lambda _: None) if as_json else _show)
    for problem in outcome.problems:
        _say(f"wrong: {problem}")
    if as_json:
        found = {field.name: getattr(outcome, field.name) for field in fields(outcome)}
        output.print_json(found | {"summary": outcome.summary})
    else:
        click.echo(
            f"\nlook around: {os.path.relpath(sys.argv[0])} up --data-dir {os.path.relpath(folder)}\n{outcome.summary}"
        )
    if outcome.problems:
        raise click.exceptions.Exit(ExitCode.DIFFERENT)


def _say(line: str) -> None:
    click.echo(line, err=True)


def _show(environment: Mapping[str, str]) -> None:
    """Show what users see, by the commands that they use."""
    from consumer.settings import environment as inherited

    for arguments in (["list", "-n", "16"], ["get", "with-child-0"], ["stats", "Wait"]):
        click.echo(f"\n$ wex {' '.join(arguments)}")
        sys.stdout.flush()
        command = [sys.executable, "-m", "consumer", *arguments]
        subprocess.run(command, env={**inherited(), **environment}, check=True)  # noqa: S603 - our own command line
