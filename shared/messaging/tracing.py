"""Spans of the backbone: one per event published and one per event consumed, each in the event's own trace."""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from opentelemetry.trace import StatusCode

from shared.messaging.events import Message, Received
from shared.messaging.topology import Queue
from shared.observability.telemetry import bind_trace
from shared.observability.tracing import SpanKind, enabled, span, start_span, traceparent_of

# The envelope's attribute comes before its data, and nobody else's key of this name can.
_TRACEPARENT = re.compile(rb'"traceparent":"([^"]+)"')


@contextmanager
def consuming(queue: Queue, batch: Sequence[Received[Any]]) -> Iterator[Sequence[Received[Any]]]:
    """Give the batch, whose events from here on are children of their own span in the consumer.

    A single event's trace goes on; several events are a trace of their own that links to each of theirs.
    """
    if len(batch) == 1:
        with span(queue.service, f"process {queue.name}", SpanKind.CONSUMER, batch[0].traceparent) as only:
            yield [replace(batch[0], traceparent=traceparent_of(only))] if enabled() else batch
    elif not enabled():
        bind_trace(None)
        yield batch
    else:
        links = [received.traceparent for received in batch]
        with ExitStack() as stack, span(queue.service, f"batch {queue.name}", SpanKind.CONSUMER, None, links) as whole:
            parts = []
            for received in batch:
                part = start_span(
                    queue.service,
                    f"process {queue.name}",
                    SpanKind.CONSUMER,
                    received.traceparent,
                    [traceparent_of(whole)],
                )
                stack.callback(part.end)
                parts.append(replace(received, traceparent=traceparent_of(part)))
            yield parts


def note_published(
    service: str, messages: Sequence[Message], results: Sequence[Exception | None], started: int
) -> None:
    """Export a span for each message, from `started` (nanoseconds since the epoch) until now."""
    if not enabled():
        return
    ended = time.time_ns()
    for message, error in zip(messages, results, strict=True):
        match = _TRACEPARENT.search(message.body)
        parent = match[1].decode() if match else None
        published = start_span(service, f"publish {message.routing_key}", SpanKind.PRODUCER, parent, start_time=started)
        if error is not None:
            published.set_status(StatusCode.ERROR, type(error).__name__)
        published.end(ended)
