"""The event backbone: outbox and relay on the way out, inbox and one wrapper on the way in.

Services and deploy import it, and of shared `contracts` and what is above; it knows no HTTP.
"""

from shared.messaging.announcing import Announcer, announce, listen
from shared.messaging.consumer import Consumer, Outcome, PredecessorMissing, Subscription, Verdict, traced
from shared.messaging.dead_letters import DeadLetter, DeadLetters
from shared.messaging.events import Envelope, Event, Message, Received
from shared.messaging.health import QueueMonitor
from shared.messaging.inprocess import InProcessBus
from shared.messaging.outbox import Outbox
from shared.messaging.rabbitmq import BrokerTimings, RabbitMQ
from shared.messaging.relay import Publisher, Relay
from shared.messaging.topology import Queue

__all__ = [
    "Announcer",
    "BrokerTimings",
    "Consumer",
    "DeadLetter",
    "DeadLetters",
    "Envelope",
    "Event",
    "InProcessBus",
    "Message",
    "Outbox",
    "Outcome",
    "PredecessorMissing",
    "Publisher",
    "Queue",
    "QueueMonitor",
    "RabbitMQ",
    "Received",
    "Relay",
    "Subscription",
    "Verdict",
    "announce",
    "listen",
    "traced",
]
