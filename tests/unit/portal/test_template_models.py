"""Templates name only fields that the API's answers have: a renamed one fails here, not in a page."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from services.portal.api import certnumber, enterprise, renewal, review
from services.portal.articles import Article
from services.portal.context import Account
from services.portal.endpoints.desk import Batch, Seen
from services.portal.endpoints.registry import ImportLine
from services.portal.endpoints.statistics import Chart
from services.portal.filters import Filters
from services.portal.forms import Remains
from services.portal.pages import HERE
from shared.web.door import Full
from tests.unit.portal.template_types import faults

TEMPLATES = HERE / "templates"
AUDIT = review.AuditRead | renewal.AuditRead | enterprise.AuditRead | certnumber.AuditRead
# What pages are given; below, by folder or template, what else or what instead.
EVERYWHERE: Mapping[str, Any] = {"account": Account}
GIVEN: Mapping[str, Mapping[str, Any]] = {
    "account/registered.html": {"enterprise": enterprise.EnterpriseAccount},
    "account/profile.html": {"values": enterprise.EnterpriseRead},
    "admin/audit.html": {"entries": list[tuple[AUDIT, Any]]},
    "admin/exception_revocation.html": {"exception": enterprise.ExceptionRead},
    "admin/exceptions.html": {"page": enterprise.PageExceptionRead},
    "admin/name_and_roles.html": {"values": review.ReviewerAccount},
    "admin/password.html": {"reviewer": review.ReviewerAccount | review.ReviewerCreated},
    "admin/password_reset.html": {"reviewer": review.ReviewerAccount},
    "admin/reviewer.html": {"reviewer": review.ReviewerAccount},
    "admin/reviewer_new.html": {"values": review.ReviewerAccount},
    "admin/reviewers.html": {"page": review.PageReviewerAccount},
    "admin/series.html": {"page": certnumber.PageSeriesRead},
    "admin/series_form.html": {
        "series": certnumber.SeriesRead,
        "values": certnumber.SeriesRead,
        "posts": list[renewal.PostRead],
        "preview": certnumber.SeriesPreview,
    },
    "applications": {
        "application": renewal.ApplicationDetail,
        "applications": list[renewal.ApplicationRead],
        "image": renewal.ImageRead,
        "images": dict[str, renewal.ImageRead],
        "reasons": list[renewal.ReasonRead],
        "result": renewal.EligibilityRead,
    },
    "desk/batch.html": {"batch": Batch, "items": list[review.ItemRead], "row": Seen},
    "desk/cells.html": {"item": review.ItemRead | review.ItemDetail},
    "desk/item.html": {
        "item": review.ItemDetail,
        "near": review.NeighbourRead,
        "neighbours": review.NeighboursRead,
    },
    "desk/list.html": {"filters": Filters, "items": list[review.ItemRead]},
    "desk/states.html": {"items": list[review.ItemRead]},
    "desk/status.html": {"item": review.ItemRead | review.ItemDetail},
    "continue.html": {"again": Remains},
    "error.html": {"again": Remains, "waiting": Full},
    "login": {"captcha": review.CaptchaRead, "again": Remains},
    "ui.html": {"again": Remains, "waiting": Full},
    "waiting.html": {"waiting": Full},
    "public": {
        "article": Article,
        "articles": Sequence[Article],
        "certificate": certnumber.CertificateRead,
        "notices": Sequence[Article],
    },
    "registry/outcome.html": {"outcome": ImportLine},
    "registry": {"person": renewal.RegistryPersonRead, "held": renewal.HeldCertificateRead},
    "registry/correction.html": {"after": renewal.HeldCertificateRead},
    "registry/name.html": {"after": renewal.RegistryPersonRead},
    "registry/step.html": {"step": ImportLine},
    "statistics": {"chart": Chart, "figures": review.StatisticsRead, "proof": certnumber.Proof},
}
# Macros, and what is no answer of the API: words by code, forms' fields, a loop's own.
FREE = {"cells", "errors", "labels", "loop", "path", "refusal", "request", "text", "ui", "values", "words"} | {
    *("actions", "asked_at", "columns", "kinds", "names", "results", "roles", "tabs", "totals", "trails", "typed")
}


def given(template: str) -> dict[str, Any]:
    """What the template's names are."""
    return {**EVERYWHERE, **GIVEN.get(template.split("/", maxsplit=1)[0], {}), **GIVEN.get(template, {})}


@pytest.mark.parametrize("template", sorted(str(file.relative_to(TEMPLATES)) for file in TEMPLATES.rglob("*.html")))
def test_every_field_that_a_template_names_is_one(template: str) -> None:
    assert faults((TEMPLATES / template).read_text(), given(template), FREE) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("{{ item.nme }}", ["1: ItemDetail has no nme"]),
        ("{% for image in item.images %}{{ image.widht }}{% endfor %}", ["1: ImageRead has no widht"]),
        ("{% set last = item.revisions[0] if x %}{{ last.at }}", ["1: RevisionRead has no at"]),
        ("{{ item.held | map(attribute='number') | join }}", ["1: HeldCertificate has no number"]),
        ("{% with note = item.refusal or none %}{{ note.words }}{% endwith %}", ["1: Note has no words"]),
        ("{{ tiem.name }}", ["1: what is tiem?"]),
        ("{% if item.decisions %}{{ item.decisions[0].reviewer | upper }}{% endif %}", []),
    ],
)
def test_a_wrong_field_is_found_wherever_it_stands(source: str, found: list[str]) -> None:
    assert faults(source, {"item": review.ItemDetail}) == found
