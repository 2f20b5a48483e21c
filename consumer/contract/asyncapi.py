"""The contract as an AsyncAPI 3 document: one channel, one message per verb, Kafka's bindings."""

from __future__ import annotations

from typing import Any

import orjson

from events import Verb, encode
from events.codec import CONTENT_TYPE
from events.examples import example
from events.models import type_of
from events.vocabulary import VERBS

CHANNEL = "workflow-executions"
_BINDING_VERSION = "0.5.0"


def asyncapi() -> dict[str, Any]:
    """Return the document; it refers to `publisher.schema.json` beside it."""
    messages = {str(verb): _message(verb) for verb in Verb}
    channel = {"$ref": f"#/channels/{CHANNEL}"}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Lifecycle events of workflow executions",
            "version": "1",
            "description": "CloudEvents 1.0 in structured JSON; `docs/event-contract.md` says what they mean.",
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {
            CHANNEL: {
                "address": CHANNEL,
                "description": "Every event of every execution. Repetitions and any order do no harm.",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
                "bindings": {"kafka": _topic()},
            }
        },
        "operations": {
            "publish": {"action": "send", "channel": channel, "summary": "Say what happened to a run."},
            "consume": {"action": "receive", "channel": channel, "summary": "Keep one row per execution."},
        },
        "components": {"messages": messages},
    }


def _topic() -> dict[str, Any]:
    # A compacted topic keeps one event of each execution and loses the others.
    return {
        "topic": CHANNEL,
        "topicConfiguration": {"cleanup.policy": ["delete"]},
        "bindingVersion": _BINDING_VERSION,
    }


def _message(verb: Verb) -> dict[str, Any]:
    headers = {"content-type": {"type": "string", "const": CONTENT_TYPE}}
    of_this_verb = {"properties": {"type": {"const": type_of(verb)}}}
    return {
        "name": type_of(verb),
        "title": str(verb),
        "summary": VERBS[verb].meaning,
        "contentType": CONTENT_TYPE,
        "headers": {"type": "object", "properties": headers},
        "payload": {"allOf": [{"$ref": "publisher.schema.json"}, of_this_verb]},
        "bindings": {"kafka": {"key": _key(), "bindingVersion": _BINDING_VERSION}},
        "examples": [
            {
                "name": str(verb),
                "headers": {"content-type": CONTENT_TYPE},
                "payload": orjson.loads(encode(example(verb))),
            }
        ],
    }


def _key() -> dict[str, str]:
    description = "the execution's id, a UUIDv5 of (namespace, temporal_workflow_id, temporal_run_id); murmur2 of it \
chooses the partition"
    return {"type": "string", "format": "uuid", "description": description}
