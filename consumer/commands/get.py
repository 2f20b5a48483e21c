"""`wex get`: one execution with its workflow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from consumer.commands import options, output
from consumer.errors import ExitCode, WexError

if TYPE_CHECKING:
    from events.position import Position
    from store.execution import ExecutionWithWorkflow


@click.command("get")
@options.one_execution
@options.namespace
@click.option("--include-deleted", is_flag=True, help="Find it even if it is deleted.")
@options.own_write
@options.database_url
@options.data_dir
@options.as_json
def command(
    *,
    id: str,  # noqa: A002 - the argument's name
    run_id: str | None,
    namespace: str,
    include_deleted: bool,
    at_least: Position | None,
    timeout: float,
    database_url: str | None,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Show one execution with its workflow.

    ID is the execution's id (a UUID) or the workflow id in Temporal, which means its latest run. Exit code 3: there
    is none.
    """
    settings = options.load_settings(database_url=database_url, data_dir=data_dir)
    url = settings.database
    wait = {"at_least": at_least, "timeout": timeout}
    found = options.run(find(url, id, run_id, namespace=namespace, include_deleted=include_deleted, **wait))
    if as_json:
        output.print_json(found)
    else:
        _print(found)


async def find(
    url: str,
    id_: str,
    run_id: str | None,
    *,
    namespace: str,
    include_deleted: bool = False,
    **wait: Any,  # noqa: ANN401 - handed on to the reader
) -> ExecutionWithWorkflow:
    """Return an execution by its id or by its names.

    Raises:
        WexError: there is none.
    """
    from store.reader import ExecutionReader

    async with ExecutionReader.connect(url) as reader:
        found = None
        hidden: dict[str, Any] = {"namespace": namespace, "include_deleted": include_deleted}
        if run_id is None and (uuid := _uuid(id_)) is not None:
            found = await reader.get_by_id(uuid, **hidden, **wait)
        if found is None:
            found = await reader.get(id_, run_id, **hidden, **wait)
        exists = found is not None or await reader.any_exists(namespace=namespace)
    if found is not None:
        return found
    message = f"no execution {id_!r}" + (f" with run {run_id!r}" if run_id else "") + f" in namespace {namespace!r}"
    remedy = "" if exists else "Nothing has been applied there yet: is `wex consume` running?"
    raise WexError(message, remedy, ExitCode.NOT_FOUND)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _error_detail(error: Any) -> list[tuple[str, object]]:  # noqa: ANN401 - JSON
    """What an error says besides its message, the stack trace as the lines that it is."""
    if not isinstance(error, dict):
        return []
    return [(f"  {name.replace('_', ' ')}", value) for name, value in error.items() if name != "message"]


def _print(found: ExecutionWithWorkflow) -> None:
    workflow = found.workflow.id + (f" ({found.workflow.name})" if found.workflow.name else "")
    shown: list[tuple[str, object]] = [
        ("id", found.id),
        ("status", output.status_text(found.status) + (" [red](contested)[/red]" if found.contested else "")),
        ("workflow", workflow),
        ("temporal workflow", found.temporal_workflow_id),
        ("temporal run", found.temporal_run_id),
        ("namespace", found.namespace if found.namespace != "default" else None),
        ("orchestrator", found.orchestrator),
        ("attempt", found.attempt if found.attempt > 1 else None),
        ("scheduled for", found.scheduled_for),
        ("started", found.started_at if found.start_reported else "not reported"),
        ("ended", found.completed_at),
        ("took", output.elapsed(found)),
        ("started by", found.created_by),
        ("reason", found.reason),
        ("by", found.actor),
        ("error", found.error_message),
        *_error_detail(found.error),
        ("cancel requested", found.cancel_requested_at),
        ("deleted", found.deleted_at),
        ("next run", found.next_run_id),
        ("parent", found.parent),
        ("progress", found.progress),
        ("activities", found.activities_executed),
        ("labels", found.labels),
        ("input", found.input),
        ("output", found.output),
        ("last event", found.updated_at),
    ]
    output.print_card(shown)
