"""The command line `wex`: a table of commands, imported when they run, and one place that turns errors into exits."""

from __future__ import annotations

import os
import sys
from importlib import import_module

import click

from consumer import names
from consumer.errors import ExitCode, WexError

# name: (module that defines a click command or group of the same name, summary shown by `wex --help`)
COMMANDS = {
    "up": ("consumer.commands.up", "Start PostgreSQL and Kafka (and Temporal) on this machine."),
    "down": ("consumer.commands.down", "Stop the local servers."),
    "demo": ("consumer.commands.demo", "Run real workflows through the whole path and check every row."),
    "migrate": ("consumer.commands.migrate", "Bring the database schema up to date."),
    "consume": ("consumer.commands.consume", "Apply events from Kafka to PostgreSQL until stopped."),
    "publish": ("consumer.commands.publish", "Publish one lifecycle event."),
    "get": ("consumer.commands.get", "Show one execution with its workflow."),
    "list": ("consumer.commands.list", "List executions, by filters and page by page."),
    "count": ("consumer.commands.count", "Count executions, by filters and in groups."),
    "watch": ("consumer.commands.watch", "Show what runs, what just failed and how many, again and again."),
    "tree": ("consumer.commands.tree", "Show an execution with its descendants."),
    "chain": ("consumer.commands.chain", "Show the runs before and behind an execution."),
    "stuck": ("consumer.commands.stuck", "List what is open and gives no sign of life."),
    "top-errors": ("consumer.commands.top_errors", "Count the errors of what ended, by type and message."),
    "stats": ("consumer.commands.stats", "Count and time the executions of a workflow."),
    "delete": ("consumer.commands.delete", "Hide an execution by publishing `deleted`."),
    "purge": ("consumer.commands.purge", "Delete executions that ended, or were hidden, long ago."),
    "purges": ("consumer.commands.purges", "List what was purged, go on with it, revoke it."),
    "dead-letter": ("consumer.commands.dead_letter", "List and show the records that were set aside."),
    "incidents": ("consumer.commands.incidents", "Show why partitions are halted, and let them go on."),
    "doctor": ("consumer.commands.doctor", "Look for what is wrong with servers, topics, rights, lag, clocks."),
    "verify": ("consumer.commands.verify", "Prove that the table equals the log, or name what differs."),
    "repair": ("consumer.commands.repair", "Give the rows that differ what the log says."),
    "replay": ("consumer.commands.replay", "Rebuild the table from the log, compare, swap, take back."),
    "archive": ("consumer.commands.archive", "Keep what topics hold in files, for longer than Kafka does."),
    "schema": ("consumer.commands.schema", "Print the contract: JSON Schema, AsyncAPI, examples, a page."),
    "lint": ("consumer.commands.lint", "Say what is wrong with events, or what rows they make."),
    "temporal": ("consumer.commands.temporal", "Publish what the Temporal server decided."),
}


class LazyGroup(click.Group):
    """A group that knows its commands' names and summaries without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Name the commands in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import a command when it is wanted."""
        if cmd_name not in COMMANDS:
            return None
        command = import_module(COMMANDS[cmd_name][0]).command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """List the commands from the table, so that help stays instant."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(package_name="workflow-executions", prog_name="wex")
def wex() -> None:
    """Workflow Executions: what is running, what failed and why, who started it, how long it takes."""


def main() -> None:
    """Run `wex` and end the process with the exit code that fits."""
    try:
        _run()
    finally:
        _let_go_of_lost_readers()


def _let_go_of_lost_readers() -> None:
    """Drop what nobody reads any more, or Python fails at it in the end and makes another exit code of it."""
    for stream in filter(None, (sys.stdout, sys.stderr)):  # a process may be started without them
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _run() -> None:
    try:
        names.check()
        sys.exit(wex(standalone_mode=False) or ExitCode.OK)
    except WexError as error:
        click.secho(f"wex: {error.message}", fg="red", err=True)
        if error.remedy:
            click.echo(error.remedy, err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        sys.exit(ExitCode.ERROR)
