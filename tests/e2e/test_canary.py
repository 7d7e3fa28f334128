"""What is nobody's business stays out of logs, metrics and traces, whatever is done and whatever goes wrong."""

from collections.abc import AsyncIterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from deploy.embedded.postgres import free_port
from deploy.journey import (
    Api,
    application_in,
    decide,
    desk_item,
    import_people,
    log_in_reviewer,
    register_enterprise,
    submit_application,
)
from deploy.synthetic import id_number
from tests.support.collector import collecting
from tests.support.platform import REVIEWER, REVIEWER_PASSWORD
from tests.support.processes import demo, ready
from tests.support.stack import Stack
from tests.support.wait import PATIENCE, until

NAME = "欧阳金丝雀"
PASSWORD = "Canary-2026-pass"
PHONE = "0791-88888888"


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(timeout=PATIENCE, trust_env=False) as client:
        yield client


async def leave_traces(api: Api, reviewer_name: str, reviewer_password: str) -> list[str]:
    """A whole story with its mishaps; returns what must not be found anywhere."""
    taxpayer, enterprise = await register_enterprise(api, "南昌金丝雀建设有限公司", PASSWORD)
    reviewer = await log_in_reviewer(api, reviewer_name, reviewer_password)
    person = id_number()
    invalid = person[:-1] + ("0" if person[-1] != "0" else "1")
    await import_people(api, reviewer, [f"{person},{NAME},,,", f"{invalid},{NAME},,,"])

    check = partial(api.call, "POST", "renewal", "/eligibility-checks", token=enterprise)
    await check(json={"id_number": person})
    await check(json={"id_number": invalid}, expect=422)
    await api.call("GET", "renewal", f"/registry/people?id_number={person}", token=reviewer)
    await api.call("GET", "review", f"/items?id_number={person}&name={quote(NAME)}", token=reviewer)
    wrong = {"taxpayer_id": taxpayer, "password": f"{PASSWORD}x"}
    await api.call("POST", "enterprise", "/sessions", json=wrong, expect=401)
    await api.call("GET", "renewal", "/applications", token=f"{enterprise}x", expect=401)

    application = await submit_application(api, enterprise, person, "10")
    await desk_item(api, reviewer, application["id"], "pending_review", application["revision"])
    await decide(api, reviewer, "approve", application["id"], application["revision"])
    await application_in(api, enterprise, application["id"], "certified")
    return [person, invalid, NAME, quote(NAME), PHONE, PASSWORD, taxpayer, enterprise, reviewer, reviewer_password]


async def metrics_of(http: httpx2.AsyncClient, base: str) -> str:
    answer = await http.get(f"{base}/metrics")
    assert answer.status_code == 200
    assert "# HELP ganzheng_" in answer.text
    return answer.text


def assert_clean(canaries: list[str], **places: str) -> None:
    for place, text in places.items():
        assert [canary for canary in canaries if canary in text] == [], place


async def test_embedded(http: httpx2.AsyncClient, tmp_path: Path) -> None:
    port, metrics = free_port(), free_port()
    base = f"http://127.0.0.1:{port}"
    with collecting() as collector:
        settings: dict[str, Any] = {
            "GANZHENG_LOG_LEVEL": "INFO",
            "GANZHENG_METRICS_PORT": str(metrics),
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        }
        with demo(tmp_path, port, **settings) as process:
            await until(partial(ready, http, base), what="the platform to be ready")
            # The published password of the demo is in its greeting.
            *canaries, _ = await leave_traces(Api(http, base), "demo-reviewer", "Ganzheng-demo-1")
            measured = await metrics_of(http, f"http://127.0.0.1:{metrics}")
            process.stop()
        log = process.log.read_text()
    assert '"event": "http.request"' in log
    assert 'queue="renewal.numbers"' in measured
    traced = b"".join(collector.bodies).decode(errors="replace")
    assert "process renewal.numbers" in traced
    assert_clean(canaries, log=log, metrics=measured, traces=traced)


async def test_full_stack(stack: Stack) -> None:
    canaries = await leave_traces(stack.api, REVIEWER, REVIEWER_PASSWORD)

    async def exported() -> bool:
        return any(span.name == "process renewal.numbers" for span in stack.collector.spans)

    await until(exported, what="the spans")
    measured = [await metrics_of(stack.http, base) for base in stack.operations.values()]
    log = stack.processes.logs()
    assert '"event": "http.request"' in log
    traced = b"".join(stack.collector.bodies).decode(errors="replace")
    assert_clean(canaries, log=log, metrics="".join(chain(measured)), traces=traced)
