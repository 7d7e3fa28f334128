"""RabbitMQ's definitions say the same as the topology table."""

import base64
import hashlib
import re
from typing import Any

import pytest

from deploy.compose.definitions import CELERY_USER, CELERY_VHOST, VHOST, definitions
from shared.contracts.topology import PRODUCERS, QUEUES
from shared.messaging.topology import EXCHANGE, Queue

PASSWORDS = {service: f"password of {service}" for service in PRODUCERS}
DEFINITIONS = definitions(PASSWORDS)


def one(kind: str, **wanted: str) -> dict[str, Any]:
    found = [entry for entry in DEFINITIONS[kind] if wanted.items() <= entry.items()]
    assert len(found) == 1
    entry: dict[str, Any] = found[0]
    return entry


def allows(pattern: str, name: str) -> bool:
    return re.search(pattern, name) is not None


@pytest.mark.parametrize("queue", QUEUES, ids=lambda queue: queue.name)
def test_a_queue_is_declared_as_the_code_declares_it(queue: Queue) -> None:
    for name, arguments in (
        (queue.name, queue.arguments()),
        (queue.retry, queue.retry_arguments()),
        (queue.dead, queue.dead_arguments()),
    ):
        assert one("queues", name=name, vhost=VHOST)["arguments"] == arguments
        policy = one("policies", vhost=VHOST)
        assert allows(policy["pattern"], name)
        # A full queue refuses: dropping its oldest message would lose it.
        assert policy["definition"]["overflow"] == "reject-publish"
    for part in queue.parts():
        bound = {entry["routing_key"] for entry in DEFINITIONS["bindings"] if entry["destination"] == part.name}
        assert bound == set(part.keys)


@pytest.mark.parametrize("service", PRODUCERS)
def test_a_service_has_rights_to_its_own_queues_only(service: str) -> None:
    rights = one("permissions", user=service, vhost=VHOST)
    for queue in QUEUES:
        for name in (queue.name, queue.retry, queue.dead):
            for kind in ("configure", "write", "read"):
                assert allows(rights[kind], name) == (queue.service == service)
    for kind in ("configure", "write", "read"):
        for nobodys in ("amq.default", "amq.topic", "anything-else", f"{QUEUES[0].name}.more"):
            assert not allows(rights[kind], nobodys)
    assert allows(rights["write"], EXCHANGE)
    assert allows(rights["read"], EXCHANGE)
    assert not allows(rights["configure"], EXCHANGE)


@pytest.mark.parametrize("service", PRODUCERS)
def test_a_service_says_its_own_events_only_and_to_who_hears_them(service: str) -> None:
    rights = one("topic_permissions", user=service, vhost=VHOST, exchange=EXCHANGE)
    for owner, events in PRODUCERS.items():
        for key in (event.routing_key() for event in events):
            assert allows(rights["write"], key) == (owner == service)
            for queue in QUEUES:
                said = owner == service and key in queue.routing_keys
                assert allows(rights["write"], queue.address(key)) == said
                heard = queue.service == service and key in queue.routing_keys
                assert allows(rights["read"], queue.address(key)) == heard
    for queue in QUEUES:
        for name in (queue.name, queue.retry, queue.dead):
            assert allows(rights["write"], name) == (queue.service == service)
    assert not allows(rights["read"], "#")


def test_users_are_the_services_with_hashed_passwords() -> None:
    assert {user["name"] for user in DEFINITIONS["users"]} == PASSWORDS.keys()
    for user in DEFINITIONS["users"]:
        raw = base64.b64decode(user["password_hash"])
        assert raw[4:] == hashlib.sha256(raw[:4] + PASSWORDS[user["name"]].encode()).digest()
        assert user["tags"] == []
    assert not any(password in str(DEFINITIONS) for password in PASSWORDS.values())


def test_celery_is_apart() -> None:
    assert [entry["user"] for entry in DEFINITIONS["permissions"] if entry["vhost"] == CELERY_VHOST] == [CELERY_USER]
