"""docs/asyncapi.json is AsyncAPI 3, complete and fresh."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from shared.contracts.topology import PRODUCERS, QUEUES
from shared.messaging.asyncapi import document, render

ROOT = Path(__file__).parents[2]
DOCUMENT = document(PRODUCERS, QUEUES)
SAMPLES = sorted((Path(__file__).parent / "samples").iterdir())


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def resolve(reference: str) -> Any:
    root, *steps = reference.split("/")
    assert root == "#", reference
    node: Any = DOCUMENT
    for step in steps:
        node = node[step.replace("~1", "/").replace("~0", "~")]
    return node


def test_is_fresh() -> None:
    assert (ROOT / "docs" / "asyncapi.json").read_text() == render(PRODUCERS, QUEUES), "run `make asyncapi`"
    subprocess.run([sys.executable, "-m", "tools.asyncapi", "--check"], cwd=ROOT, check=True)


def test_every_reference_resolves() -> None:
    found = set(references(DOCUMENT))
    assert len(found) > 2 * len(SAMPLES)
    for reference in found:
        assert isinstance(resolve(reference), dict), reference


def test_has_the_structure_of_asyncapi_3() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= set(DOCUMENT["info"])
    for name, channel in DOCUMENT["channels"].items():
        assert channel["address"] == name
        assert channel["bindings"]["amqp"]["is"] == "routingKey"
        assert [resolve(ref["$ref"])["name"] for ref in channel["messages"].values()] == [name.removesuffix(".v1")]
    for operation in DOCUMENT["operations"].values():
        assert operation["action"] in {"send", "receive"}
        assert operation["channel"]["$ref"].removeprefix("#/channels/") in DOCUMENT["channels"]


def test_every_event_is_sent_by_its_owner_and_received_by_its_queues() -> None:
    expected = {f"{service}.send.{event.routing_key()}" for service, events in PRODUCERS.items() for event in events}
    expected |= {f"{queue.name}.receive.{key}" for queue in QUEUES for key in queue.routing_keys}
    assert set(DOCUMENT["operations"]) == expected


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_the_payload_schema_describes_the_golden_sample(path: Path) -> None:
    sample = json.loads(path.read_text())
    payload = f"#/components/messages/{path.stem}/payload"
    # Validated within the whole document, as its inner references are written for it.
    validator = jsonschema_rs.validator_for({**DOCUMENT, "$ref": payload})
    assert [error.message for error in validator.iter_errors(sample)] == []
    assert not validator.is_valid({**sample, "type": "another.event"})
    assert not validator.is_valid({**sample, "data": {}})
