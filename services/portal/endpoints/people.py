"""The registrars' look at one person, and what they put right there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import Response

from services.portal.api.renewal import HeldCertificateRead, RegistryPersonRead
from services.portal.context import Registrar, SignedIn
from services.portal.gateway import Refused
from services.portal.reference import posts
from services.portal.routing import page_router
from shared.errors import NotFound

router = page_router()

API = "/renewal/v1/registry"
PAGE = "/registry/people"
LABELS = {
    "name": "姓名",
    "certificate_number": "证书编号",
    "post": "岗位",
    "valid_until": "有效期至",
    "reason": "原因",
}


@router.get("/registry/people")
async def person_form(context: Registrar) -> Response:
    return context.page("registry/people.html", person=None, value="")


@router.post("/registry/people")
async def find_person(context: Registrar) -> Response:
    """Show the person as the answer to the form itself, because an id number is never part of an address."""
    number = context.field("id_number")
    try:
        person = await context.get(RegistryPersonRead, f"{API}/people", params={"id_number": number})
    except Refused as problem:
        return context.page(
            "registry/people.html",
            problem.status,
            person=None,
            value=number,
            problem=None if problem.errors else problem.detail,
            errors=problem.errors,
        )
    return context.page("registry/people.html", person=person, value="")


@router.get("/registry/people/{person_id}")
async def show_person(context: Registrar, person_id: UUID) -> Response:
    return context.page("registry/people.html", person=await _person(context, person_id), value="")


async def _person(context: SignedIn, person_id: UUID) -> RegistryPersonRead:
    return await context.get(RegistryPersonRead, f"{API}/people/{person_id}")


def _held(person: RegistryPersonRead, certificate_id: UUID) -> HeldCertificateRead:
    """Raises NotFound."""
    for held in person.certificates:
        if held.id == certificate_id:
            return held
    raise NotFound


@dataclass(frozen=True)
class Change:
    """What a registrar is about to do: `path` of the API, the page that asks for it, and what it says when done."""

    path: str
    template: str
    notice: str


async def _change(
    context: SignedIn, person_id: UUID, certificate_id: UUID | None, change: Change, values: Mapping[str, str]
) -> Response:
    """Do it, or with `values` first ask what the API would make of them; show the form again for what it refuses."""
    fields = {**values, "reason": context.field("reason"), "updated_at": context.field("updated_at")}
    body = {name: value for name, value in fields.items() if value or name == "valid_until"}
    shown: dict[str, Any] = {"values": fields, "after": None}
    status, rehearse = 200, bool(values) and context.field("confirmed") != "yes"
    if context.field("back") != "yes":
        try:
            if values:
                params = {"dry_run": rehearse}
                after = await context.patch(RegistryPersonRead, change.path, json=body, params=params)
            else:
                after = await context.post(RegistryPersonRead, change.path, json=body, once=True)
        except Refused as problem:
            if problem.status == 404:
                raise
            status, errors = problem.status, problem.errors
            if problem.code == "certificate_taken" and values:
                errors["certificate_number"] = problem.detail
            shown |= {"problem": problem.detail, "errors": errors}
        else:
            if not rehearse:
                return context.redirect(f"{PAGE}/{person_id}", change.notice)
            shown["after"] = after
    return await _asking(context, person_id, certificate_id, change, status, shown)


async def _asking(
    context: SignedIn,
    person_id: UUID,
    certificate_id: UUID | None,
    change: Change,
    status: int = 200,
    shown: Mapping[str, Any] | None = None,
) -> Response:
    """The form, or the question whether to go on, beside what is registered now."""
    person = await _person(context, person_id)
    held = _held(person, certificate_id) if certificate_id else None
    given = {"values": None, "after": None, **(shown or {})}
    if held and given["after"]:
        given["after"] = _held(given["after"], held.id)
    return context.page(
        change.template,
        status,
        person=person,
        held=held,
        posts=[(post.code, post.name) for post in await posts(context)],
        labels=LABELS,
        **given,
    )


def _renaming(person_id: UUID) -> Change:
    return Change(f"{API}/people/{person_id}", "registry/name.html", "person-corrected")


def _correction(certificate_id: UUID) -> Change:
    path = f"{API}/certificates/{certificate_id}"
    return Change(path, "registry/correction.html", "certificate-corrected")


def _removal(certificate_id: UUID) -> Change:
    path = f"{API}/certificates/{certificate_id}/removal"
    return Change(path, "registry/removal.html", "certificate-removed")


def _restoration(certificate_id: UUID) -> Change:
    path = f"{API}/certificates/{certificate_id}/restoration"
    return Change(path, "registry/restoration.html", "certificate-restored")


@router.get("/registry/people/{person_id}/name")
async def name_form(context: Registrar, person_id: UUID) -> Response:
    return await _asking(context, person_id, None, _renaming(person_id))


@router.post("/registry/people/{person_id}/name")
async def correct_name(context: Registrar, person_id: UUID) -> Response:
    return await _change(context, person_id, None, _renaming(person_id), {"name": context.field("name")})


@router.get("/registry/people/{person_id}/certificates/{certificate_id}/correction")
async def correction_form(context: Registrar, person_id: UUID, certificate_id: UUID) -> Response:
    return await _asking(context, person_id, certificate_id, _correction(certificate_id))


@router.post("/registry/people/{person_id}/certificates/{certificate_id}/correction")
async def correct_certificate(context: Registrar, person_id: UUID, certificate_id: UUID) -> Response:
    values = {name: context.field(name) for name in ("certificate_number", "post", "valid_until")}
    return await _change(context, person_id, certificate_id, _correction(certificate_id), values)


@router.get("/registry/people/{person_id}/certificates/{certificate_id}/removal")
async def removal_form(context: Registrar, person_id: UUID, certificate_id: UUID) -> Response:
    return await _asking(context, person_id, certificate_id, _removal(certificate_id))


@router.post("/registry/people/{person_id}/certificates/{certificate_id}/removal")
async def remove_certificate(context: Registrar, person_id: UUID, certificate_id: UUID) -> Response:
    return await _change(context, person_id, certificate_id, _removal(certificate_id), {})


@router.get("/registry/people/{person_id}/certificates/{certificate_id}/restoration")
async def restoration_form(context: Registrar, person_id: UUID, certificate_id: UUID) -> Response:
    return await _asking(context, person_id, certificate_id, _restoration(certificate_id))


@router.post("/registry/people/{person_id}/certificates/{certificate_id}/restoration")
async def restore_certificate(context: Registrar, person_id: UUID, certificate_id: UUID) -> Response:
    return await _change(context, person_id, certificate_id, _restoration(certificate_id), {})
