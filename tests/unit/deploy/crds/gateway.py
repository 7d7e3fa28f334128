"""Gateway API."""

from typing import Literal

from tests.unit.deploy.crds.parts import Duration, Name, Part, Reference, Resource


class Tls(Part):
    mode: Literal["Terminate"]
    certificate_refs: list[Reference]


class Listener(Part):
    name: Name
    port: int
    protocol: Literal["HTTP", "HTTPS"]
    hostname: str
    tls: Tls | None = None
    allowed_routes: dict[Literal["namespaces"], dict[Literal["from"], Literal["Same"]]]


class GatewaySpec(Part):
    gateway_class_name: Name
    listeners: list[Listener]


class Gateway(Resource):
    api_version: Literal["gateway.networking.k8s.io/v1"]
    spec: GatewaySpec


class ParentRef(Reference):
    section_name: Name


class Redirect(Part):
    scheme: Literal["https"]
    status_code: Literal[301, 302]


class Header(Part):
    name: str
    value: str


class Filter(Part):
    type: Literal["RequestRedirect", "ResponseHeaderModifier"]
    request_redirect: Redirect | None = None
    response_header_modifier: dict[Literal["set", "add"], list[Header]] | None = None


class PathMatch(Part):
    type: Literal["PathPrefix", "Exact"]
    value: str


class Match(Part):
    path: PathMatch


class BackendRef(Reference):
    port: int


class RouteRule(Part):
    matches: list[Match] | None = None
    filters: list[Filter] | None = None
    timeouts: dict[Literal["request", "backendRequest"], Duration] | None = None
    backend_refs: list[BackendRef] | None = None


class HTTPRouteSpec(Part):
    parent_refs: list[ParentRef]
    hostnames: list[str]
    rules: list[RouteRule]


class HTTPRoute(Resource):
    api_version: Literal["gateway.networking.k8s.io/v1"]
    spec: HTTPRouteSpec
