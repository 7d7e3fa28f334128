"""RabbitMQ's definitions: users, permissions, policies, and the queues of the topology table as the code declares them.

The queues are here as well because a service may consume only from its own: whoever declares a queue that dead-letters
needs the right to read it, so the broker has them all before the first service comes.
"""

import base64
import hashlib
import re
import secrets
from collections.abc import Mapping
from typing import Any

from shared.contracts.topology import PRODUCERS, QUEUES
from shared.messaging.topology import EXCHANGE, Queue

VHOST = "ganzheng"
# Celery makes and removes queues of its own, so it has a vhost of its own.
CELERY_VHOST = "celery"
CELERY_USER = "certnumber"
# Beyond this a queue refuses: what is published stays in the outbox, what fails stays in the queue that it came from.
MAX_QUEUE_BYTES = 1024**3


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
                "pattern": _any_of(name for queue in QUEUES for name in _names(queue)),
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
            {"name": name, "vhost": VHOST, "durable": True, "auto_delete": False, "arguments": arguments}
            for queue in QUEUES
            for name, arguments in _names(queue).items()
        ],
        "bindings": [
            {
                "source": EXCHANGE,
                "vhost": VHOST,
                "destination": queue.name,
                "destination_type": "queue",
                "routing_key": key,
                "arguments": {},
            }
            for queue in QUEUES
            for key in queue.routing_keys
        ],
    }


def _names(queue: Queue) -> dict[str, dict[str, Any]]:
    return {
        queue.dead: queue.dead_arguments(),
        queue.retry: queue.retry_arguments(),
        queue.name: queue.arguments(),
    }


def _any_of(names: Any) -> str:
    return f"^({'|'.join(re.escape(name) for name in names)})$"


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
    """Everyone declares and binds the whole table (which takes writing), and reads only what is its own."""
    everything = [EXCHANGE, *(name for queue in QUEUES for name in _names(queue))]
    own = [name for queue in QUEUES if queue.service == service for name in (queue.name, queue.dead)]
    # The default exchange: a consumer sends to its own retry and dead-letter queues through it.
    default = ["amq.default"] if own else []
    return {
        "user": service,
        "vhost": VHOST,
        "configure": _any_of(everything),
        "write": _any_of([*everything, *default]),
        "read": _any_of([EXCHANGE, *own]),
    }


def _topic_permission(service: str) -> dict[str, str]:
    """Nobody says what is another's to say."""
    said = _any_of(event.routing_key() for event in PRODUCERS[service])
    return {"user": service, "vhost": VHOST, "exchange": EXCHANGE, "write": said, "read": ".*"}
