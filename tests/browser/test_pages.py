"""Every page in both sizes: nothing serious for axe, nothing beyond the window's edge, a picture to look at."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

import pytest
from playwright.async_api import Browser

from services.portal.articles import NOTICES
from services.portal.endpoints import ROUTERS
from tests.browser.conftest import Site
from tests.browser.steps import PASSWORD, log_in_enterprise, log_in_reviewer
from tests.browser.stock import Stock, fill
from tests.browser.user import User, new_user

# Answers that are no page of their own.
PARTS = {
    "/review",
    "/{issuer}/captcha",
    "/applications/rows",
    "/applications/{application_id}/status",
    "/applications/{application_id}/images/{kind}",
    "/applications/{application_id}/commitment-letter",
    "/review/items/states",
    "/review/items/{application_id}/status",
    "/review/items/{application_id}/images/{kind}",
    "/certificates/{number}/qr.svg",
    "/registry/imports/template",
}


@dataclass(frozen=True)
class Sight:
    """`values` fill in the route's parameters, {application_id} with the application in that status, {certificate_id}
    with the certificate that is held, or removed."""

    name: str
    who: str
    route: str
    values: Mapping[str, str] = field(default_factory=dict)
    status: int = 200

    def path(self, stock: Stock) -> str:
        known = {
            "number": stock.number,
            "reviewer_id": stock.reviewer_id,
            "series_id": stock.series_id,
            "exception_id": stock.exception_id,
            "person_id": stock.registered["person_id"],
            "slug": NOTICES[0].slug,
            **self.values,
        }
        if "application_id" in known:
            known["application_id"] = stock.applications[known["application_id"]]
        if "certificate_id" in known:
            known["certificate_id"] = stock.registered[known["certificate_id"]]
        return self.route.format_map(known)


def application(status: str) -> dict[str, str]:
    return {"application_id": status}


SIGHTS = (
    Sight("front-page", "visitor", "/"),
    Sight("policies", "visitor", "/policies"),
    Sight("news", "visitor", "/news"),
    Sight("notices", "visitor", "/notices"),
    Sight("notice", "visitor", "/notices/{slug}"),
    Sight("downloads", "visitor", "/downloads"),
    Sight("manual-enterprise", "visitor", "/manuals/{name}", {"name": "enterprise"}),
    Sight("manual-reviewer", "visitor", "/manuals/{name}", {"name": "reviewer"}),
    Sight("certificates", "visitor", "/certificates"),
    Sight("certificate-valid", "visitor", "/certificates/{number}"),
    Sight("certificate-unknown", "visitor", "/certificates/{number}", {"number": "00707109999999"}, status=404),
    Sight("registration-form", "visitor", "/enterprise/registration"),
    Sight("login-enterprise", "visitor", "/{issuer}/login", {"issuer": "enterprise"}),
    Sight("login-review", "visitor", "/{issuer}/login", {"issuer": "review"}),
    Sight("nowhere", "visitor", "/nowhere", status=404),
    Sight("list", "enterprise", "/applications"),
    Sight("new", "enterprise", "/applications/new"),
    *(
        Sight(f"own-{status}", "enterprise", "/applications/{application_id}", application(status))
        for status in ("draft", "cancelled")
    ),
    Sight("cancellation", "enterprise", "/applications/{application_id}/cancellation", application("pending_review")),
    Sight("profile", "enterprise", "/enterprise/profile"),
    Sight("password", "enterprise", "/password"),
    Sight("items", "reviewer", "/review/items"),
    *(
        Sight(f"item-{status}", "reviewer", "/review/items/{application_id}", application(status))
        for status in ("certified", "cancelled")
    ),
    Sight("statistics", "reviewer", "/review/statistics"),
    Sight("proof", "reviewer", "/review/proof"),
    Sight("imports", "reviewer", "/registry/imports"),
    Sight("people", "reviewer", "/registry/people"),
    Sight("person", "reviewer", "/registry/people/{person_id}"),
    Sight("person-name", "reviewer", "/registry/people/{person_id}/name"),
    *(
        Sight(
            f"certificate-{step}",
            "reviewer",
            f"/registry/people/{{person_id}}/certificates/{{certificate_id}}/{step}",
            {"certificate_id": which},
        )
        for step, which in (("correction", "held"), ("removal", "held"), ("restoration", "removed"))
    ),
    Sight("reviewers", "reviewer", "/admin/reviewers"),
    Sight("reviewer-new", "reviewer", "/admin/reviewers/new"),
    Sight("reviewer", "reviewer", "/admin/reviewers/{reviewer_id}"),
    Sight("password-reset", "reviewer", "/admin/reviewers/{reviewer_id}/password-reset"),
    Sight("series", "reviewer", "/admin/series"),
    Sight("series-new", "reviewer", "/admin/series/new"),
    Sight("series-one", "reviewer", "/admin/series/{series_id}"),
    Sight("exceptions", "reviewer", "/admin/taxpayer-exceptions"),
    Sight("exception-revocation", "reviewer", "/admin/taxpayer-exceptions/{exception_id}/revocation"),
    Sight("audit", "reviewer", "/admin/audit"),
    Sight("audit-renewal", "reviewer", "/admin/audit?trail=renewal"),
    Sight("audit-series", "reviewer", "/admin/audit?trail=certnumber"),
)


@pytest.fixture(scope="module")
async def stock(site: Site) -> Stock:
    return await fill(site.api, [site.person("符合条件，未持证")[0] for _ in range(5)], PASSWORD)


@pytest.fixture(scope="module")
async def users(site: Site, browser: Browser, stock: Stock) -> AsyncIterator[dict[str, User]]:
    found = {who: await new_user(browser, site.base) for who in ("visitor", "enterprise", "reviewer")}
    await found["enterprise"].go("/enterprise/login")
    await log_in_enterprise(found["enterprise"], stock.taxpayer, stock.password)
    await found["reviewer"].go("/review/login")
    await log_in_reviewer(found["reviewer"])
    yield found
    for user in found.values():
        await user.context.close()


def test_no_page_is_forgotten() -> None:
    routes = {route.path for router in ROUTERS for route in router.routes if "GET" in route.methods}  # type: ignore[attr-defined]
    assert {sight.route.partition("?")[0] for sight in SIGHTS} - {"/nowhere"} == routes - PARTS
    assert routes >= PARTS
    assert len({sight.name for sight in SIGHTS}) == len(SIGHTS)


@pytest.mark.parametrize("sight", SIGHTS, ids=lambda sight: sight.name)
async def test_page_is_in_order(sight: Sight, stock: Stock, users: dict[str, User]) -> None:
    user = users[sight.who]
    user.refused = {sight.status}
    answer = await user.page.goto(sight.path(stock))
    assert answer
    assert answer.status == sight.status
    await user.look(sight.name)
    user.blame()
