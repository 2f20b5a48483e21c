"""Undoing a client's payload codec, so that encrypted or compressed payloads can be read where the codec is at hand."""

from __future__ import annotations

import logging

from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.converter import PayloadCodec, WorkflowSerializationContext

log = logging.getLogger(__name__)


async def decoded(entry: HistoryEvent, client: Client, workflow_id: str) -> HistoryEvent:
    """Return an event of a history with the payloads that events carry decoded by the client's codec, if it has one."""
    if client.data_converter.payload_codec is None:
        return entry
    context = WorkflowSerializationContext(namespace=client.namespace, workflow_id=workflow_id)
    codec = client.data_converter.with_context(context).payload_codec
    assert codec is not None
    plain = HistoryEvent()
    plain.CopyFrom(entry)
    try:
        await _decode(plain, codec)
    except Exception as error:  # noqa: BLE001 - a codec is the user's code; without it the payload becomes a marker
        what = "the payload codec cannot decode event %s of %s: %s"
        log.warning(what, entry.event_id, workflow_id, error, extra={"event": "payload_undecodable"})
        return entry
    return plain


async def _decode(entry: HistoryEvent, codec: PayloadCodec) -> None:
    match entry.WhichOneof("attributes"):
        case "workflow_execution_started_event_attributes":
            start = entry.workflow_execution_started_event_attributes
            await codec.decode_wrapper(start.input)
            for payload in start.memo.fields.values():
                payload.CopyFrom((await codec.decode([payload]))[0])
        case "workflow_execution_completed_event_attributes":
            await codec.decode_wrapper(entry.workflow_execution_completed_event_attributes.result)
        case "workflow_execution_failed_event_attributes":
            await codec.decode_failure(entry.workflow_execution_failed_event_attributes.failure)
        case _:
            pass
