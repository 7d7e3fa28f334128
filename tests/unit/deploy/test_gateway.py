"""deploy/gateway: the paths of the HTTP contract, and nothing else, lead where they must."""

import re
from typing import Any

import pytest

from deploy.embedded.platform import SERVICES
from services.portal.app import LIMITS as PORTAL_LIMITS
from services.renewal.app import BODY_LIMITS
from services.renewal.app import ROUTERS as RENEWAL
from shared.web.middleware import DEFAULT_BODY_LIMIT
from tests.unit.deploy.files import compose, gateway

ROUTES = gateway("routes.yaml")["http"]
ROUTERS: dict[str, dict[str, Any]] = ROUTES["routers"]
COMMAND = compose()["services"]["gateway"]["command"]


def body_limit(router_name: str) -> int:
    """Bytes that the gateway lets through on this route."""
    limits = [
        ROUTES["middlewares"][name]["buffering"]["maxRequestBodyBytes"]
        for name in ROUTERS[router_name]["middlewares"]
        if "buffering" in ROUTES["middlewares"][name]
    ]
    assert len(limits) == 1
    return int(limits[0])


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_reached_under_its_prefix(service: str) -> None:
    assert ROUTERS[service]["rule"] == f"PathPrefix(`/api/{service}/v1`)"
    assert ROUTERS[service]["service"] == service
    assert ROUTES["services"][service]["loadBalancer"]["servers"] == [{"url": f"http://{service}-api:8000"}]
    assert body_limit(service) > DEFAULT_BODY_LIMIT


def test_uploads_have_routes_of_their_own() -> None:
    paths = {f"/api/renewal/v1{route.path}" for part in RENEWAL for route in part.routes}  # type: ignore[attr-defined]
    (imports,) = re.findall(r"Path\(`(.+)`\)", ROUTERS["renewal-imports"]["rule"])
    assert imports in paths
    (pictures,) = re.findall(r"PathRegexp\(`(.+)`\)", ROUTERS["renewal-pictures"]["rule"])
    assert [path for path in paths if re.search(pictures, path)] == [
        "/api/renewal/v1/applications/{application_id}/images/{kind}"
    ]


def test_a_service_refuses_what_is_too_large_before_the_gateway_does() -> None:
    limits = {pattern: size for pattern, size, _ in (*BODY_LIMITS, *PORTAL_LIMITS)}
    assert body_limit("renewal-pictures") > limits[r"/images/[^/]+$"]
    assert body_limit("portal") > limits[r"/images/[a-z-]+$"]
    (applications,) = re.findall(r"PathRegexp\(`(.+)`\)", ROUTERS["portal-applications"]["rule"])
    assert body_limit("portal-applications") > limits[applications]


@pytest.mark.parametrize("router_name", ["renewal-imports", "portal-imports"])
def test_an_import_tells_its_progress_as_it_comes(router_name: str) -> None:
    """Traefik's buffering would hold the answer back until it is whole."""
    middlewares = [ROUTES["middlewares"][name] for name in ROUTERS[router_name]["middlewares"]]
    assert not any("buffering" in middleware for middleware in middlewares)
    assert any("inFlightReq" in middleware for middleware in middlewares)


def test_whatever_is_named_is_there() -> None:
    for name in ("routes.yaml", "grafana.yaml", "tls.yaml"):
        http = gateway(name)["http"]
        for router_name, route in http["routers"].items():
            assert route["service"] in http.get("services", {}) or route["service"].endswith("@internal")
            assert set(route.get("middlewares", [])) <= http.get("middlewares", {}).keys(), router_name
    flags = [flag.partition("=")[2] for flag in COMMAND if ".http.middlewares=" in flag]
    named = {name.removesuffix("@file") for flag in flags for name in flag.split(",")}
    assert named <= ROUTES["middlewares"].keys()
    hosts = [
        server["url"].removeprefix("http://").partition(":")[0]
        for service in ROUTES["services"].values()
        for server in service["loadBalancer"]["servers"]
    ]
    assert set(hosts) <= compose()["services"].keys()


def test_every_way_in_limits_each_visitor() -> None:
    doors = {"web", "websecure", "portal"}
    flags = {flag.removeprefix("--entryPoints.").partition(".http.middlewares=")[::2] for flag in COMMAND}
    limited = {door: value for door, value in flags if value}
    assert limited.keys() == doors
    for value in limited.values():
        kinds = {kind for name in value.split(",") for kind in ROUTES["middlewares"][name.removesuffix("@file")]}
        assert kinds == {"rateLimit", "inFlightReq"}


def test_links_to_pictures_reach_the_store_unchanged_and_only_to_read() -> None:
    pictures = ROUTERS["pictures"]
    assert "Host(`s3.localhost`)" in pictures["rule"]
    assert "(Method(`GET`) || Method(`HEAD`))" in pictures["rule"]
    assert ROUTES["services"]["pictures"]["loadBalancer"]["passHostHeader"] is True
    kinds = {kind for name in pictures["middlewares"] for kind in ROUTES["middlewares"][name]}
    assert kinds == {"inFlightReq", "headers", "retry"}


def test_the_access_log_keeps_no_address_and_no_path() -> None:
    assert "--accessLog.fields.defaultMode=drop" in COMMAND
    assert "--accessLog.fields.headers.defaultMode=drop" in COMMAND
    kept = {flag.partition(".names.")[2].removesuffix("=keep") for flag in COMMAND if flag.endswith("=keep")}
    assert not any(re.search("Path|Line|Addr|Client|Host|Username|Query|Cookie|Authorization", name) for name in kept)


def test_without_its_routes_the_gateway_is_not_well() -> None:
    """Traefik goes on with none when it cannot read them."""
    assert "--ping.manualRouting=true" in COMMAND
    assert not any(flag.startswith("--ping.entryPoint") for flag in COMMAND)
    assert ROUTERS["alive"] == {"rule": "Path(`/ping`)", "entryPoints": ["ping"], "service": "ping@internal"}
