"""One trace from the reviewer's request to the certificate: outbox, relay, broker, consumers, Celery task."""

from collections.abc import Iterable

import httpx2
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from deploy.journey import (
    Api,
    application_in,
    desk_item,
    import_people,
    log_in_reviewer,
    register_enterprise,
    submit_application,
)
from deploy.synthetic import id_number
from tests.support.collector import Exported
from tests.support.platform import BASE, ENTERPRISE_PASSWORD, REVIEWER, REVIEWER_PASSWORD, Harness
from tests.support.stack import Stack
from tests.support.wait import until

TRACE, GATEWAY = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
# Service, span, and whose child it is.
CHAIN = {
    ("review", "POST /decisions", "the gateway"),
    ("review", "publish review.approved.v1", "POST /decisions"),
    ("renewal", "process renewal.decisions", "POST /decisions"),
    ("renewal", "publish renewal.approved.v1", "process renewal.decisions"),
    ("review", "process review.applications", "process renewal.decisions"),
    ("certnumber", "process certnumber.approvals", "process renewal.decisions"),
    ("certnumber", "certnumber.assign_numbers", "process certnumber.approvals"),
    ("certnumber", "number", "process certnumber.approvals"),
    ("certnumber", "publish certnumber.assigned.v1", "number"),
    ("renewal", "process renewal.numbers", "number"),
    ("renewal", "publish renewal.certified.v1", "process renewal.numbers"),
    ("review", "process review.applications", "process renewal.numbers"),
}


async def approve(http: httpx2.AsyncClient, api: Api, base: str, reviewer: str) -> None:
    """A new application; the request that approves it comes through a gateway that traces."""
    person = id_number()
    _, enterprise = await register_enterprise(api, "南昌追踪建设有限公司", ENTERPRISE_PASSWORD)
    await import_people(api, reviewer, [f"{person},测试人员,,,"])
    application = await submit_application(api, enterprise, person, "10")
    await desk_item(api, reviewer, application["id"], "pending_review", application["revision"])
    headers = {"Authorization": f"Bearer {reviewer}", "traceparent": f"00-{TRACE}-{GATEWAY}-01"}
    body = {"action": "approve", "items": [{"application_id": application["id"], "revision": application["revision"]}]}
    answer = await http.post(f"{base}/api/review/v1/decisions", headers=headers, json=body)
    assert answer.headers["traceparent"].startswith(f"00-{TRACE}-")
    await application_in(api, enterprise, application["id"], "certified")


def chain(spans: Iterable[Exported]) -> set[tuple[str, str, str]]:
    own = [span for span in spans if span.trace == TRACE]
    names = {span.id: span.name for span in own} | {GATEWAY: "the gateway"}
    return {(span.service.removeprefix("ganzheng-"), span.name, names.get(span.parent, "unknown")) for span in own}


def _exported(span: ReadableSpan) -> Exported:
    context = span.get_span_context()
    assert context is not None
    parent = f"{span.parent.span_id:016x}" if span.parent else ""
    service = str(span.resource.attributes["service.name"])
    return Exported(service, span.name, f"{context.trace_id:032x}", f"{context.span_id:016x}", parent)


async def test_embedded(embedded: Harness, exporter: InMemorySpanExporter) -> None:
    await approve(embedded.http, embedded.api, BASE, await embedded.reviewer())

    def complete() -> bool:
        return chain(map(_exported, exporter.get_finished_spans())) == CHAIN

    await until(complete, what="the whole chain in one trace")


async def test_full_stack(stack: Stack) -> None:
    reviewer = await log_in_reviewer(stack.api, REVIEWER, REVIEWER_PASSWORD)
    await approve(stack.http, stack.api, stack.bases["review"], reviewer)
    await until(lambda: chain(stack.collector.spans) == CHAIN, what="the whole chain in one trace")
