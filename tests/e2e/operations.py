"""Every operation of the four OpenAPI documents, and a world in which their path ids exist."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import httpx2

from deploy.embedded.platform import Platform
from deploy.journey import application_in, decide, desk_item, import_people, submit_application
from deploy.synthetic import id_number, person_name
from tests.support.platform import ENTERPRISE_PASSWORD, REVIEWER_PASSWORD, Harness

SERVICES = ("enterprise", "renewal", "review", "certnumber")
# What ends the caller's own session or locks its account is called by accounts of their own.
SELF_HARMING = {("DELETE", "/sessions/current"), ("PUT", "/password")}


@dataclass(frozen=True)
class Operation:
    service: str
    method: str
    path: str
    definition: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.service} {self.method} {self.path}"

    def url(self, ids: Mapping[str, str]) -> str:
        return f"/api/{self.service}/v1{self.path.format_map(ids)}"

    @property
    def key(self) -> tuple[str, str, str]:
        return self.service, self.method, self.path

    @property
    def is_public(self) -> bool:
        return not self.definition.get("security")

    @property
    def media_type(self) -> str | None:
        return next(iter(self.definition.get("requestBody", {}).get("content", {})), None)

    def parameters(self, where: str) -> list[str]:
        return [str(p["name"]) for p in self.definition.get("parameters", ()) if p["in"] == where]


def operations(platform: Platform, service: str | None = None) -> list[Operation]:
    return [
        Operation(name, method.upper(), path, definition)
        for name, app in platform.apps.items()
        if service in {None, name}
        for path, methods in app.openapi()["paths"].items()
        for method, definition in methods.items()
    ]


def person(sequence: int) -> str:
    return id_number("male", date(1988, 8, 8), sequence)


@dataclass
class World:
    """`ids` are the path parameters of a certified application; `drafts` an application that may be changed."""

    harness: Harness
    tokens: dict[str, str]
    ids: dict[str, str]
    draft: str
    pending: str

    def token(self, operation: Operation) -> str:
        """Of a caller who may call the operation."""
        staff = operation.service in {"review", "certnumber"} or operation.path.startswith(
            ("/registry", "/audit", "/taxpayer-exceptions", "/enterprises/lookup")
        )
        spare = "spare " if (operation.method, operation.path) in SELF_HARMING else ""
        return self.tokens[spare + ("reviewer" if staff else "enterprise")]

    def valid(self, operation: Operation) -> Any:
        """A JSON body the operation would accept, or None."""
        return self.bodies().get(operation.key)

    def bodies(self) -> dict[tuple[str, str, str], Any]:
        item = {"application_id": self.pending, "revision": 1, "decision_no": 0}
        enterprise = {"name": "某某建设", "contact_name": "联系人", "contact_phone": "0791-88888888", "address": "南昌"}
        layout = {"name": "测试编号", "layout": "T{post}{serial:05}", "posts": ["10"], "yearly": False, "active": False}
        change = {"reason": "与原件不符", "updated_at": "2026-01-31T00:00:00Z"}
        enterprise_login = {"taxpayer_id": "91360199MA00000012", "password": "no password"}
        review_login = {
            "username": "nobody",
            "password": "no password",
            "captcha_id": self.pending,
            "captcha_answer": "ABCDE",
        }
        return {
            ("enterprise", "POST", "/enterprises"): {"taxpayer_id": "91360199MA00000012", **enterprise},
            ("enterprise", "POST", "/enterprises/lookup"): {"taxpayer_id": "91360199MA00000012"},
            ("enterprise", "PATCH", "/me"): enterprise,
            ("enterprise", "POST", "/sessions"): enterprise_login,
            ("enterprise", "POST", "/sessions/refresh"): {"refresh_token": "no token"},
            ("enterprise", "POST", "/browser-sessions"): enterprise_login,
            ("enterprise", "POST", "/browser-sessions/access"): {"session_id": "no session"},
            ("enterprise", "POST", "/browser-sessions/rotation"): {"session_id": "no session"},
            ("enterprise", "PUT", "/password"): {"old_password": ENTERPRISE_PASSWORD, "new_password": "short"},
            ("enterprise", "POST", "/taxpayer-exceptions"): {
                "taxpayer_id": "91350211M0000XUF46",
                "reason": "已核对营业执照原件",
            },
            ("enterprise", "POST", "/taxpayer-exceptions/{exception_id}/revocation"): {"reason": "看错执照"},
            ("renewal", "POST", "/eligibility-checks"): {"id_number": person(0), "post": "10"},
            ("renewal", "POST", "/applications"): {"id_number": person(0), "post": "10"},
            ("renewal", "PATCH", "/applications/{application_id}"): {"post": "40", "revision": 0},
            ("renewal", "POST", "/applications/{application_id}/image-swap"): {"kinds": ["id-front", "id-back"]},
            ("renewal", "POST", "/applications/{application_id}/submission"): {"revision": 0},
            ("renewal", "POST", "/applications/{application_id}/cancellation"): {"revision": 7},
            ("renewal", "PATCH", "/registry/people/{person_id}"): {"name": "某某", **change},
            ("renewal", "PATCH", "/registry/certificates/{certificate_id}"): {"valid_until": "2031-05-31", **change},
            ("renewal", "POST", "/registry/certificates/{certificate_id}/removal"): change,
            ("renewal", "POST", "/registry/certificates/{certificate_id}/restoration"): change,
            ("review", "POST", "/sessions"): review_login,
            ("review", "POST", "/sessions/refresh"): {"refresh_token": "no token"},
            ("review", "POST", "/browser-sessions"): review_login,
            ("review", "POST", "/browser-sessions/access"): {"session_id": "no session"},
            ("review", "POST", "/browser-sessions/rotation"): {"session_id": "no session"},
            ("review", "PUT", "/password"): {"old_password": REVIEWER_PASSWORD, "new_password": "short"},
            ("review", "POST", "/decisions"): {
                "action": "approve",
                "items": [item | {"revision": 9}],
                "reason_code": "other",
                "comment": "说明",
            },
            ("review", "POST", "/reviewers"): {"username": "someone", "name": "某某", "roles": ["reviewer"]},
            ("review", "PATCH", "/reviewers/{reviewer_id}"): {"name": "某某", "roles": ["reviewer"], "disabled": False},
            ("certnumber", "POST", "/series"): layout,
            ("certnumber", "POST", "/series/preview"): layout,
            ("certnumber", "PATCH", "/series/{series_id}"): layout,
        }

    async def call(self, operation: Operation, ids: Mapping[str, str] | None = None, **options: Any) -> httpx2.Response:
        """`ids` replace the world's own; `token` the caller who may call the operation."""
        token = options.pop("token", None)
        return await self.harness.request(
            operation.method,
            operation.url({**self.ids, **(ids or {})}),
            self.token(operation) if token is None else token,
            **options,
        )


async def seed(harness: Harness) -> World:
    """A draft, a submitted and a certified application, and people to apply for."""
    api = harness.api
    enterprise, reviewer = await harness.enterprise(), await harness.reviewer()
    await harness.reviewer("other-reviewer", ("reviewer",))
    lines = [f"{person(n)},{person_name(n)},,," for n in range(5)]
    await import_people(api, reviewer, [*lines, f"{person(0)},{person_name(0)},30,旧0000000009,"])
    known = await api.call("GET", "renewal", f"/registry/people?id_number={person(0)}", token=reviewer)
    body = {"taxpayer_id": "91350211M0000XUF45", "reason": "已核对营业执照原件"}
    exception = await api.call("POST", "enterprise", "/taxpayer-exceptions", token=reviewer, json=body, expect=201)
    body = {"id_number": person(1), "post": "10"}
    draft = await api.call("POST", "renewal", "/applications", token=enterprise, json=body, expect=201)
    pending = await submit_application(api, enterprise, person(2), "40", seed=1)
    certified = await submit_application(api, enterprise, person(3), "40", seed=2)
    await desk_item(api, reviewer, pending["id"], "pending_review", 1)
    await desk_item(api, reviewer, certified["id"], "pending_review", 1)
    await decide(api, reviewer, "approve", certified["id"], 1)
    number = (await application_in(api, enterprise, certified["id"], "certified"))["certificate_number"]
    series = await api.call("GET", "certnumber", "/series", token=reviewer)
    reviewers = await api.call("GET", "review", "/reviewers", token=reviewer)
    return World(
        harness,
        {
            "enterprise": enterprise,
            "reviewer": reviewer,
            "spare enterprise": await harness.enterprise(),
            "spare reviewer": await harness.reviewer("spare-reviewer"),
        },
        {
            "application_id": certified["id"],
            "kind": "id-front",
            "number": number,
            "series_id": series["items"][0]["id"],
            "person_id": known["id"],
            "exception_id": exception["id"],
            "certificate_id": known["certificates"][0]["id"],
            "reviewer_id": next(r["id"] for r in reviewers["items"] if r["username"] == "other-reviewer"),
        },
        draft["id"],
        pending["id"],
    )
