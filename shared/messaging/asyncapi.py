"""AsyncAPI 3 document of the event backbone, generated from the topology table and the contracts."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from shared.messaging.events import Envelope, Event
from shared.messaging.topology import EXCHANGE, Queue


def document(producers: Mapping[str, Sequence[type[Event]]], queues: Sequence[Queue]) -> dict[str, Any]:
    """Write the AsyncAPI document as a JSON object."""
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    for service, events in producers.items():
        for event in events:
            key = event.routing_key()
            messages[key] = {
                "name": event.type,
                "title": event.type,
                "summary": (event.__doc__ or event.type).strip().split("\n")[0],
                "contentType": "application/cloudevents+json",
                "payload": _payload(event),
            }
            channels[key] = {
                "address": key,
                "messages": {key: {"$ref": f"#/components/messages/{key}"}},
                "bindings": {
                    "amqp": {
                        "is": "routingKey",
                        "exchange": {"name": EXCHANGE, "type": "topic", "durable": True},
                        "bindingVersion": "0.3.0",
                    }
                },
            }
            operations[f"{service}.send.{key}"] = {"action": "send", "channel": {"$ref": f"#/channels/{key}"}}
    for queue in queues:
        for key in queue.routing_keys:
            operations[f"{queue.name}.receive.{key}"] = {
                "action": "receive",
                "channel": {"$ref": f"#/channels/{key}"},
                "summary": f"{queue.service} hears this on the queue {queue.name}, dead letters go to {queue.dead}",
            }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "ganzheng events",
            "version": "1",
            "description": "CloudEvents 1.0 in structured mode. Personal data travels only as a sealed block."
            " An event is sent once to each queue that hears it, under the routing key `<address>.to.<queue>`.",
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages},
    }


def _payload(event: type[Event]) -> dict[str, Any]:
    template = f"#/components/messages/{event.routing_key()}/payload/$defs/{{model}}"
    schema = Envelope.model_json_schema(ref_template=template)
    data = event.model_json_schema(ref_template=template)
    definitions = schema.pop("$defs", {}) | data.pop("$defs", {})
    schema["properties"]["data"] = data
    schema["properties"]["type"] = {"const": event.type}
    if definitions:
        schema["$defs"] = definitions
    return schema


def render(producers: Mapping[str, Sequence[type[Event]]], queues: Sequence[Queue]) -> str:
    return json.dumps(document(producers, queues), ensure_ascii=False, indent=2, sort_keys=True) + "\n"
