"""What the commands share: their options, the settings behind them, and how errors of the libraries reach a person."""

from __future__ import annotations

import asyncio
import getpass
import os
import re
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from consumer.errors import ExitCode, WexError

if TYPE_CHECKING:
    from consumer.settings import Settings
    from events.position import Position
    from store.reader import ExecutionReader

Command = TypeVar("Command", bound=Callable[..., Any])
Result = TypeVar("Result")

INSECURE = "consumer.insecure"  # where a command's context keeps that flag: no command has to hand it on


def _insecure(command: Command) -> Command:
    """Add `--insecure` to a command that has a server on the other side, once."""

    def keep(context: click.Context, _: click.Parameter, insecure: bool) -> None:
        context.meta[INSECURE] = insecure or None

    if any(parameter.name == "insecure" for parameter in getattr(command, "__click_params__", ())):
        return command
    text = "Allow plaintext to other machines.  [env: WEX_INSECURE]"
    return click.option("--insecure", is_flag=True, expose_value=False, callback=keep, help=text)(command)


def database_url(command: Command) -> Command:
    """Add the options of a command that connects to PostgreSQL."""
    return click.option("--database-url", metavar="URL", help="PostgreSQL.  [env: WEX_DATABASE_URL]")(
        _insecure(command)
    )


def kafka(command: Command) -> Command:
    """Add the options of a command that connects to Kafka."""
    text = "Kafka.  [env: WEX_KAFKA_BOOTSTRAP_SERVERS]"
    return click.option("--kafka-bootstrap-servers", metavar="HOST:PORT,…", help=text)(_insecure(command))


data_dir = click.option(
    "--data-dir", type=click.Path(path_type=Path), help="Folder of the local stack.  [env: WEX_DATA_DIR]"
)
namespace = click.option("--namespace", default="default", show_default=True, help="Namespace of the executions.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


JOBS_MAX = 64
JOBS_UNASKED = 8  # each takes two of PostgreSQL's connections, and memory


def _jobs() -> int:
    """Return how many processors this process may use, as far as that is a sensible number of processes."""
    affinity = getattr(os, "sched_getaffinity", None)
    return min(len(affinity(0)) if affinity else os.cpu_count() or 1, JOBS_UNASKED)


jobs = click.option(
    "--jobs",
    type=click.IntRange(1, JOBS_MAX),
    default=_jobs,
    show_default=f"one for each processor, at most {JOBS_UNASKED}",
    help="How many processes share the partitions, where there is much to fold; two connections each.",
)


archive = click.option(
    "--archive",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="FOLDER",
    help="An archive, to be read before the log.",
)


class Time(click.ParamType[datetime]):
    """A time as RFC 3339 has it; without an offset it is UTC."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:  # noqa: ANN401 - click's signature
        """Read a time."""
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time like 2026-11-24T03:00:00Z", param, ctx)
        return time if time.tzinfo else time.replace(tzinfo=UTC)


class PositionType(click.ParamType["Position"]):
    """A position as `wex publish` prints it."""

    name = "POSITION"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Position:  # noqa: ANN401 - click's signature
        """Read a position."""
        from events.position import Position

        found = re.fullmatch(r"(.+)/([0-9]{1,9})@([0-9]{1,18})", value)
        if found is None:
            self.fail(f"{value!r} is no position like workflow-executions/4@0", param, ctx)
        return Position(found[1], int(found[2]), int(found[3]))


def own_write(command: Command) -> Command:
    """Add the options by which a read waits for one's own write."""
    for option in (
        click.option(
            "--timeout", type=click.FloatRange(0), default=5.0, show_default=True, help="Seconds to wait for it."
        ),
        click.option("--at-least", type=PositionType(), help="Wait until this is applied: what `wex publish` printed."),
    ):
        command = option(command)
    return command


def one_execution(command: Command) -> Command:
    """Add what names one execution."""
    latest = "One run of a Temporal workflow id; the latest where absent."
    return click.argument("id", metavar="ID")(click.option("--run-id", metavar="RUN", help=latest)(command))


def scope(command: Command) -> Command:
    """Add the options that say which executions are compared."""
    at_most = click.IntRange(1, 100_000)
    described = "How many differences are described; all are counted."
    for option in (
        click.option("-n", "--limit", type=at_most, default=100, show_default=True, help=described),
        click.option("--since", type=Time(), help="Those that began then or later."),
        click.option("--workflow", metavar="ID", help="Those of this workflow."),
        click.option("--execution", type=click.UUID, metavar="ID", help="This one alone."),
        click.option("--seed", type=click.IntRange(0), help="Draws the sample; the same seed draws the same again."),
        click.option("--sample", type=click.IntRange(1), metavar="N", help="About so many, drawn at random."),
    ):
        command = option(command)
    return command


def servers(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say where the servers are, and pass the settings that they make."""

    @kafka
    @database_url
    @data_dir
    @wraps(command)
    def told(
        *, kafka_bootstrap_servers: str | None, database_url: str | None, data_dir: Path | None, **others: object
    ) -> None:
        flags = {"database_url": database_url, "data_dir": data_dir}
        command(settings=load_settings(kafka_bootstrap_servers=kafka_bootstrap_servers, **flags), **others)

    return told


def load_settings(**flags: object) -> Settings:
    """Return the settings with these flags over them; a flag that was not given leaves the word to the environment."""
    from consumer.settings import load

    context = click.get_current_context(silent=True)
    return load(**flags, insecure=context.meta.get(INSECURE) if context else None)


def whoever(actor: str | None) -> str:
    """Return who is named, or else who runs this process: a name, or a number where there is none for it."""
    try:
        return actor or getpass.getuser()
    except (KeyError, OSError):
        return f"user id {os.getuid()}"


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to its end, with the store's and the publisher's errors in words for people."""
    with errors_for_people():
        return asyncio.run(main)


def ask(url: str, question: Callable[[ExecutionReader], Coroutine[Any, Any, Result]]) -> Result:
    """Return what a reader of the database answers to a question, with its errors in words for people."""

    async def answer() -> Result:
        from store.reader import ExecutionReader

        async with ExecutionReader.connect(url) as reader:
            return await question(reader)

    return run(answer())


@contextmanager
def errors_of_the_log() -> Iterator[None]:
    """Turn errors about Kafka and about a shadow into errors with a remedy and an exit code."""
    from consumer.kafka_address import for_people
    from consumer.replay.log_reader import LogLostError
    from consumer.replay.processes import ProcessDiedError
    from consumer.source import SourceError
    from events.publisher import TopicError
    from store.shadow import BusyError

    try:
        yield
    except (SourceError, TopicError) as error:
        raise for_people(error) from error
    except LogLostError as error:
        raise WexError(str(error), "`wex incidents list` says what a consumer found wrong.") from error
    except ProcessDiedError as error:
        raise WexError(str(error), "Run it again; with fewer --jobs if memory is short.") from error
    except BusyError as error:
        raise WexError(str(error), "Wait for it, or stop it.", ExitCode.REFUSED) from error


@contextmanager
def errors_for_people() -> Iterator[None]:
    """Turn the errors of the layers below into errors with a remedy and an exit code."""
    from store.errors import (
        ExecutionQueryError,
        MigrationError,
        MisconfiguredError,
        StoreError,
        TooLongError,
        UnavailableError,
    )

    try:
        yield
    except UnavailableError as error:
        remedy = "Is the database running? `wex up` starts one; --database-url or WEX_DATABASE_URL names another."
        raise WexError(str(error), remedy, ExitCode.UNREACHABLE) from error
    except MisconfiguredError as error:
        remedy = "If a table or a schema is missing, run `wex migrate`; otherwise check the address and the rights."
        raise WexError(str(error), remedy) from error
    except MigrationError as error:
        raise WexError(str(error), exit_code=ExitCode.REFUSED) from error
    except ExecutionQueryError as error:
        cause = error.__cause__
        if isinstance(cause, ValueError):
            raise WexError(str(error), exit_code=ExitCode.USAGE) from error
        if isinstance(cause, TooLongError):
            raise WexError(str(error)) from error
        unreachable = isinstance(cause, UnavailableError)
        remedy = "" if unreachable else "If a table is missing, run `wex migrate`."
        raise WexError(str(error), remedy, ExitCode.UNREACHABLE if unreachable else ExitCode.ERROR) from error
    except StoreError as error:
        raise WexError(str(error)) from error
