"""Which spans a published and a consumed event leaves, and under which parent its effects go on."""

from dataclasses import replace
from unittest.mock import Mock
from uuid import uuid4

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from shared.messaging import Message, Queue, Received
from shared.messaging.tracing import consuming, note_published
from shared.observability.telemetry import bind_trace, current_traceparent, new_traceparent
from tests.support.backbone import FIRST, Pinged
from tests.support.clock import START
from tests.support.events import message

QUEUE: Queue = FIRST


def received(traceparent: str | None) -> Received[Pinged]:
    return Received(uuid4(), START, traceparent, Pinged(name="traced"))


def trace_of(traceparent: str | None) -> str:
    assert traceparent is not None
    return traceparent.split("-")[1]


def trace(span: ReadableSpan) -> str:
    context = span.get_span_context()
    assert context is not None
    return f"{context.trace_id:032x}"


def identity(span: ReadableSpan) -> str:
    context = span.get_span_context()
    assert context is not None
    return f"{context.span_id:016x}"


def parent(span: ReadableSpan) -> str | None:
    return f"{span.parent.span_id:016x}" if span.parent else None


class TestConsuming:
    def test_one_event_goes_on_in_its_own_trace(self, exporter: InMemorySpanExporter) -> None:
        origin = new_traceparent()
        with consuming(QUEUE, [received(origin)]) as (only,):
            assert current_traceparent() == only.traceparent != origin
        (span,) = exporter.get_finished_spans()
        assert (span.name, trace(span), parent(span)) == ("process test.first", trace_of(origin), origin.split("-")[2])
        assert only.traceparent == f"00-{trace(span)}-{identity(span)}-01"

    def test_several_events_are_a_trace_that_links_to_each_of_theirs(self, exporter: InMemorySpanExporter) -> None:
        origins = [new_traceparent(), new_traceparent(), None]
        batch = [received(origin) for origin in origins]
        with consuming(QUEUE, batch) as parts:
            assert not exporter.get_finished_spans()
            assert [part.event for part in parts] == [item.event for item in batch]
        whole = next(span for span in exporter.get_finished_spans() if span.name == "batch test.first")
        own = {identity(span): span for span in exporter.get_finished_spans() if span is not whole}
        assert len(own) == 3
        assert [f"{link.context.trace_id:032x}" for link in whole.links] == [trace_of(one) for one in origins[:2]]
        for origin, part in zip(origins, parts, strict=True):
            assert part.traceparent is not None
            span = own[part.traceparent.split("-")[2]]
            assert span.name == "process test.first"
            assert parent(span) == (origin and origin.split("-")[2])
            assert trace(span) == trace_of(part.traceparent) != trace(whole)
            assert [f"{link.context.span_id:016x}" for link in span.links] == [identity(whole)]

    def test_without_an_exporter_the_events_stay_as_they_are(self) -> None:
        bind_trace(before := new_traceparent())
        origin = new_traceparent()
        batch = [received(origin), received(None)]
        with consuming(QUEUE, batch) as parts:
            assert parts is batch
            assert trace_of(current_traceparent()) not in (trace_of(before), trace_of(origin))
        with consuming(QUEUE, batch[:1]) as parts:
            assert parts == batch[:1]
            assert current_traceparent() == origin
        bind_trace(None)


class TestPublished:
    def test_each_message_has_a_span_in_its_own_trace(self, exporter: InMemorySpanExporter) -> None:
        origin = new_traceparent()
        bind_trace(origin)
        traced = message(Pinged(name="a"))
        bind_trace(None)
        messages = [traced, replace(traced, body=b"of no trace")]
        note_published("test", messages, [None, ValueError("a person's name")], started=1_000)
        confirmed, failed = exporter.get_finished_spans()
        assert {span.name for span in (confirmed, failed)} == {"publish test.pinged.v1"}
        assert (trace(confirmed), parent(confirmed)) == (trace_of(origin), origin.split("-")[2])
        assert parent(failed) is None
        assert confirmed.status.status_code is StatusCode.UNSET
        assert (failed.status.status_code, failed.status.description) == (StatusCode.ERROR, "ValueError")
        assert confirmed.start_time == 1_000
        assert confirmed.end_time == failed.end_time
        assert confirmed.end_time is not None
        assert confirmed.end_time > 1_000

    def test_without_an_exporter_nothing_is_done(self) -> None:
        untouched = Mock(spec=Message)
        note_published("test", [untouched], [None], started=0)
        assert untouched.mock_calls == []
