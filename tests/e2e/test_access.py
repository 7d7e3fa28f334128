"""Every route of the OpenAPI documents × every kind of caller, against a literal table of who may call what."""

import secrets
from datetime import timedelta
from uuid import uuid4

from deploy.journey import log_in_enterprise
from deploy.synthetic import taxpayer_id
from shared.auth.tokens import Principal, SigningKeys
from tests.e2e.operations import operations
from tests.support.platform import Harness

ANYONE = "anonymous forged new-enterprise enterprise new-reviewer reviewer registrar admin"
STAFF = "reviewer registrar admin"
# Who gets past the gate; whoever is not named must be refused.
ALLOWED = {
    "enterprise POST /enterprises": ANYONE,
    "enterprise POST /captchas": ANYONE,
    "enterprise POST /sessions": ANYONE,
    "enterprise POST /sessions/refresh": ANYONE,
    "enterprise POST /browser-sessions": ANYONE,
    "enterprise POST /browser-sessions/access": ANYONE,
    "enterprise POST /browser-sessions/rotation": ANYONE,
    "enterprise DELETE /sessions/current": "new-enterprise enterprise",
    "enterprise PUT /password": "new-enterprise enterprise",
    "enterprise GET /me": "new-enterprise enterprise",
    "enterprise PATCH /me": "enterprise",
    "enterprise GET /.well-known/jwks.json": ANYONE,
    "enterprise POST /enterprises/lookup": "admin",
    "enterprise GET /taxpayer-exceptions": "admin",
    "enterprise POST /taxpayer-exceptions": "admin",
    "enterprise POST /taxpayer-exceptions/{exception_id}/revocation": "admin",
    "enterprise GET /audit": "admin",
    "renewal GET /posts": "enterprise reviewer registrar admin",
    "renewal POST /eligibility-checks": "enterprise",
    "renewal POST /applications": "enterprise",
    "renewal GET /applications": "enterprise",
    "renewal GET /applications/{application_id}": "enterprise",
    "renewal GET /applications/{application_id}/eligibility": "enterprise",
    "renewal PATCH /applications/{application_id}": "enterprise",
    "renewal PUT /applications/{application_id}/images/{kind}": "enterprise",
    "renewal GET /applications/{application_id}/images/{kind}": "enterprise reviewer",
    "renewal POST /applications/{application_id}/image-swap": "enterprise",
    "renewal GET /applications/{application_id}/commitment-letter": "enterprise",
    "renewal POST /applications/{application_id}/submission": "enterprise",
    "renewal POST /applications/{application_id}/cancellation": "enterprise",
    "renewal POST /registry/imports": "registrar",
    "renewal GET /registry/imports/template": "registrar",
    "renewal GET /registry/people": "registrar",
    "renewal GET /registry/people/{person_id}": "registrar",
    "renewal PATCH /registry/people/{person_id}": "registrar",
    "renewal PATCH /registry/certificates/{certificate_id}": "registrar",
    "renewal POST /registry/certificates/{certificate_id}/removal": "registrar",
    "renewal POST /registry/certificates/{certificate_id}/restoration": "registrar",
    "renewal GET /audit": "admin",
    "review POST /captchas": ANYONE,
    "review POST /sessions": ANYONE,
    "review POST /sessions/refresh": ANYONE,
    "review POST /browser-sessions": ANYONE,
    "review POST /browser-sessions/access": ANYONE,
    "review POST /browser-sessions/rotation": ANYONE,
    "review DELETE /sessions/current": f"new-reviewer {STAFF}",
    "review PUT /password": f"new-reviewer {STAFF}",
    "review GET /me": f"new-reviewer {STAFF}",
    "review GET /.well-known/jwks.json": ANYONE,
    "review GET /items": "reviewer admin",
    "review GET /items/{application_id}": "reviewer admin",
    "review GET /items/{application_id}/neighbours": "reviewer admin",
    "review GET /statistics": "reviewer admin",
    "review GET /reasons": "reviewer admin",
    "review POST /decisions": "reviewer",
    "review GET /audit": "admin",
    "review GET /reviewers": "admin",
    "review POST /reviewers": "admin",
    "review GET /reviewers/{reviewer_id}": "admin",
    "review PATCH /reviewers/{reviewer_id}": "admin",
    "review POST /reviewers/{reviewer_id}/password-reset": "admin",
    "certnumber GET /certificates/{number}": ANYONE,
    "certnumber GET /series": "admin",
    "certnumber POST /series": "admin",
    "certnumber POST /series/preview": "admin",
    "certnumber GET /series/{series_id}": "admin",
    "certnumber PATCH /series/{series_id}": "admin",
    "certnumber GET /proof": STAFF,
    "certnumber GET /audit": "admin",
}
# What opens before the initial password is changed: whoever has no business there is refused for that alone.
OPEN_AT_FIRST = {key for key, callers in ALLOWED.items() if "new-" in callers}
NOWHERE = str(uuid4())
IDS = {
    "application_id": NOWHERE,
    "reviewer_id": NOWHERE,
    "series_id": NOWHERE,
    "number": "0",
    "kind": "id-front",
} | dict.fromkeys(("person_id", "certificate_id", "exception_id"), NOWHERE)


async def _tokens(harness: Harness) -> dict[str, str]:
    taxpayer = taxpayer_id(9_999_999)
    body = {"taxpayer_id": taxpayer, "name": "新企业", "contact_name": "联系人", "contact_phone": "0791-88888888"}
    registered = await harness.api.call("POST", "enterprise", "/enterprises", json=body, expect=201)
    assert registered["initial_password"] == "111111"
    newcomer = await log_in_enterprise(harness.api, taxpayer, registered["initial_password"])
    admin = await harness.reviewer("admin", ("admin",))
    account = {"username": "newcomer", "name": "新人", "roles": ["reviewer", "registrar", "admin"]}
    created = await harness.api.call("POST", "review", "/reviewers", token=admin, json=account, expect=201)
    captcha = await harness.api.call("POST", "review", "/captchas", expect=201)
    login = {
        "username": "newcomer",
        "password": created["initial_password"],
        "captcha_id": captcha["captcha_id"],
        "captcha_answer": captcha["answer"],
    }
    return {
        "anonymous": "",
        "forged": _forged(harness),
        "new-enterprise": newcomer["access_token"],
        "enterprise": await harness.enterprise(),
        "new-reviewer": (await harness.api.call("POST", "review", "/sessions", json=login, expect=201))["access_token"],
        "reviewer": await harness.reviewer("reviewer", ("reviewer",)),
        "registrar": await harness.reviewer("registrar", ("registrar",)),
        "admin": admin,
    }


def _forged(harness: Harness) -> str:
    """Everything right but the key."""
    key_id = next(iter(harness.platform.containers["review"].signing.public_keys()))
    keys = SigningKeys("review", {key_id: secrets.token_bytes(32)})
    roles = frozenset({"enterprise", "reviewer", "registrar", "admin"})
    principal = Principal("review", uuid4(), uuid4(), "某某", roles, must_change_password=False)
    return keys.sign(principal, harness.clock.now(), timedelta(minutes=5))


def _expected(key: str, caller: str) -> tuple[int, str] | None:
    if caller in ALLOWED[key].split():
        return None
    if caller == "anonymous":
        return 401, "unauthenticated"
    if caller == "forged":
        return 401, "invalid_token"
    if caller.startswith("new-") and key not in OPEN_AT_FIRST:
        return 403, "password_change_required"
    return 403, "forbidden"


async def test_every_route_and_caller(embedded: Harness) -> None:
    # Ending one's own session comes last.
    routes = sorted(operations(embedded.platform), key=lambda operation: operation.method == "DELETE")
    assert {str(route) for route in routes} == set(ALLOWED), "every route needs a decision, and every decision a route"
    wrong = []
    for caller, token in (await _tokens(embedded)).items():
        for route in routes:
            expected = _expected(str(route), caller)
            response = await embedded.request(route.method, route.url(IDS), token)
            got = None
            if response.status_code in {401, 403}:
                got = response.status_code, response.json()["code"]
            if got != expected:
                wrong.append(f"{caller}: {route} gives {got}, not {expected}")
    assert not wrong, "\n".join(wrong)


async def test_documents_tell_the_truth(shared_embedded: Harness) -> None:
    platform = shared_embedded.platform
    for route in operations(platform):
        is_public = ALLOWED[str(route)] == ANYONE
        assert route.is_public == is_public, route
        assert is_public or {"401", "403"} <= route.definition["responses"].keys(), route
    documented = {(route.service, route.method, route.path) for route in operations(platform)}
    served = {
        (name, method, route.path)
        for name, app in platform.apps.items()
        for route in app.state.routes
        for method in route.methods
    }
    assert served - documented == set()
