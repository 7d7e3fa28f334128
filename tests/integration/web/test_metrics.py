"""Requests are counted by route template; nothing that a caller chooses becomes a label."""

from shared.observability.metrics import exposition
from tests.integration.web.service import SERVICE, Service


async def counted(method: str, route: str, status: int) -> int:
    name = "ganzheng_http_request_seconds_count"
    line = f'{name}{{method="{method}",route="{route}",service="{SERVICE}",status="{status}"}} '
    found = [
        shown.removeprefix(line) for shown in (await exposition([])).decode().splitlines() if shown.startswith(line)
    ]
    return int(float(found[0])) if found else 0


async def test_a_request_counts_for_its_route(service: Service) -> None:
    before = await counted("GET", "/things/{name}", 200)
    for name in ("one", "two"):
        assert (await service.http.get(f"/things/{name}", params={"hint": "three"})).status_code == 200
    assert await counted("GET", "/things/{name}", 200) == before + 2


async def test_what_a_caller_invents_is_no_label(service: Service) -> None:
    unmatched, crashed = await counted("other", "unmatched", 404), await counted("POST", "/things", 500)
    assert (await service.http.request("CANARY", "/canary-path?canary=1")).status_code == 404
    assert (await service.http.post("/things", json={"name": "canary-name", "then": "crash"})).status_code == 500
    assert await counted("other", "unmatched", 404) == unmatched + 1
    assert await counted("POST", "/things", 500) == crashed + 1
    assert "canary" not in (await exposition([])).decode().lower()
