"""RabbitMQ's definitions: users, permissions, policies, and the queues of the topology table as the code declares them.

A service may declare, bind and consume only what is its own, and say only its own events, each to who hears it. The
exchange is nobody's, so it is here; the queues are here as well, so that nothing waits for their owners' first start.
"""

import base64
import hashlib
import re
import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from shared.contracts.topology import PRODUCERS, QUEUES
from shared.messaging.topology import EXCHANGE, Part, addresses

VHOST = "ganzheng"
# Celery makes and removes queues of its own, so it has a vhost of its own.
CELERY_VHOST = "celery"
CELERY_USER = "certnumber"
# Beyond this a queue refuses: what is published stays in the outbox, what fails stays in the queue that it came from.
MAX_QUEUE_BYTES = 1024**3
PARTS = [part for queue in QUEUES for part in queue.parts()]


def definitions(passwords: Mapping[str, str]) -> dict[str, Any]:
    """Build the document for `load_definitions`; `passwords` are by service."""
    return {
        "vhosts": [{"name": VHOST}, {"name": CELERY_VHOST}],
        "users": [_user(service, password) for service, password in passwords.items()],
        "permissions": [
            *(_permission(service) for service in passwords),
            {"user": CELERY_USER, "vhost": CELERY_VHOST, "configure": ".*", "write": ".*", "read": ".*"},
        ],
        "topic_permissions": [_topic_permission(service) for service in passwords],
        "policies": [
            {
                "vhost": VHOST,
                "name": "bounded",
                "pattern": _any_of(part.name for part in PARTS),
                "apply-to": "queues",
                "priority": 0,
                "definition": {"max-length-bytes": MAX_QUEUE_BYTES, "overflow": "reject-publish"},
            }
        ],
        "exchanges": [
            {
                "name": EXCHANGE,
                "vhost": VHOST,
                "type": "topic",
                "durable": True,
                "auto_delete": False,
                "internal": False,
                "arguments": {},
            }
        ],
        "queues": [
            {"name": part.name, "vhost": VHOST, "durable": True, "auto_delete": False, "arguments": part.arguments}
            for part in PARTS
        ],
        "bindings": [
            {
                "source": EXCHANGE,
                "vhost": VHOST,
                "destination": part.name,
                "destination_type": "queue",
                "routing_key": key,
                "arguments": {},
            }
            for part in PARTS
            for key in part.keys
        ],
    }


def _any_of(names: Iterable[str]) -> str:
    return f"^({'|'.join(re.escape(name) for name in dict.fromkeys(names))})$"


def _user(name: str, password: str) -> dict[str, Any]:
    salt = secrets.token_bytes(4)
    digest = hashlib.sha256(salt + password.encode()).digest()
    return {
        "name": name,
        "password_hash": base64.b64encode(salt + digest).decode(),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": [],
    }


def _permission(service: str) -> dict[str, str]:
    """Binding a queue takes the right to write to it, declaring one that dead-letters the right to read it. No exchange
    may be configured: one of another kind would know no keys, and so no topic permissions."""
    own = [part.name for part in _own_parts(service)]
    return {
        "user": service,
        "vhost": VHOST,
        "configure": _any_of(own),
        "write": _any_of([EXCHANGE, *own]),
        "read": _any_of([EXCHANGE, *own]),
    }


def _topic_permission(service: str) -> dict[str, str]:
    """Nobody says what is another's to say, or puts anything into another's queue, or listens to more than is his."""
    keys = [event.routing_key() for event in PRODUCERS[service]]
    said = [*keys, *(address for key in keys for address in addresses(QUEUES, key))]
    own = [part.name for part in _own_parts(service)]
    heard = [key for part in _own_parts(service) for key in part.keys]
    return {
        "user": service,
        "vhost": VHOST,
        "exchange": EXCHANGE,
        "write": _any_of([*said, *own]),
        "read": _any_of(heard),
    }


def _own_parts(service: str) -> list[Part]:
    return [part for queue in QUEUES if queue.service == service for part in queue.parts()]
