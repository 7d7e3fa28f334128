"""Spans, in the trace whose id the log lines carry. Without an exporter only that context is kept, at next to no cost.

The context travels as a traceparent (`telemetry.py`), also through the outbox and the numbering's rows, where the
packaged instrumentations would lose it. Spans never quote an exception: its text may hold personal data.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)

from shared.observability.telemetry import TRACEPARENT, bind_trace

__all__ = ["SpanKind", "configure_tracing", "enabled", "export_to", "flush", "span", "start_span", "traceparent_of"]

# With all retries: a collector that is away must not hold up the end of a process.
EXPORT_SECONDS = 3

_processor: SpanProcessor | None = None


def configure_tracing() -> None:
    """Export as OpenTelemetry's own variables say, if OTEL_EXPORTER_OTLP_ENDPOINT is among them."""
    if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        export_to(BatchSpanProcessor(OTLPSpanExporter(timeout=EXPORT_SECONDS)))


def export_to(processor: SpanProcessor | None) -> None:
    """Hand the spans that begin from now on to `processor`; None ends that."""
    global _processor  # noqa: PLW0603 - one per process, like the loggers
    _processor = processor
    _tracer.cache_clear()


def enabled() -> bool:
    return _processor is not None


def flush() -> None:
    """Export what has ended, for a process that is about to end without Python's own clean-up."""
    if _processor is not None:
        _processor.force_flush(5000)


@cache
def _tracer(service: str) -> Tracer:
    # A provider for each service: the embedded run is several of them in one process.
    provider = TracerProvider(resource=Resource.create({"service.name": f"ganzheng-{service}"}))
    if _processor is not None:
        provider.add_span_processor(_processor)
    return provider.get_tracer("ganzheng")


def start_span(
    service: str,
    name: str,
    kind: SpanKind,
    parent: str | None,
    links: Iterable[str | None] = (),
    start_time: int | None = None,
) -> Span:
    """Start a span under the traceparent `parent`, or the first of a new trace; whoever starts it has to end it."""
    if _processor is None:
        return INVALID_SPAN
    above = _context_of(parent)
    return _tracer(service).start_span(
        name,
        Context() if above is None else set_span_in_context(NonRecordingSpan(above), Context()),
        kind,
        links=[Link(linked) for linked in map(_context_of, links) if linked is not None],
        start_time=start_time,
    )


@contextmanager
def span(
    service: str, name: str, kind: SpanKind, parent: str | None, links: Iterable[str | None] = ()
) -> Iterator[Span]:
    """Begin an action, as `bind_trace` does, that is also a span; an exception marks it as failed."""
    if _processor is None:
        bind_trace(parent)
        yield INVALID_SPAN
        return
    started = start_span(service, name, kind, parent, links)
    bind_trace(traceparent_of(started))
    try:
        yield started
    except BaseException as error:
        started.set_status(StatusCode.ERROR, type(error).__name__)
        raise
    finally:
        started.end()


def traceparent_of(started: Span) -> str:
    context = started.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def _context_of(traceparent: str | None) -> SpanContext | None:
    match = TRACEPARENT.fullmatch(traceparent or "")
    if match is None:
        return None
    trace_id, span_id, flags = (int(part, 16) for part in match.groups())
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))
