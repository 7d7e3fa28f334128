"""Spans, kept where a test can look at them."""

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared.observability.tracing import export_to


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    """Whatever ends while the test runs."""
    exporter = InMemorySpanExporter()
    export_to(SimpleSpanProcessor(exporter))
    yield exporter
    export_to(None)
