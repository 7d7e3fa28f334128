"""An enterprise's applications: list, eligibility, draft, pictures, submission, progress, cancellation."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Response
from starlette.datastructures import UploadFile

from services.portal.errors import PictureTooLarge
from services.portal.filters import Filters
from services.portal.forms import page_router
from services.portal.gateway import ApiProblem, Refused
from services.portal.visit import Enterprise, Visit, live, response_of
from services.portal.words import KINDS, Kind
from shared.web.validation import Ids

router = page_router()

API = "/renewal/v1/applications"
# What changes without the enterprise doing anything. A numbered certificate may yet be withdrawn, but not soon.
WAITING = {"pending_review", "approved"}
EDITABLE = {"draft", "rejected"}
# Codes of refusals that are about the whole application.
OUTDATED = {"stale_revision", "wrong_state"}
# The buttons that submit; "resubmit" although nothing was changed.
SUBMITTING = {"submit", "resubmit"}
PICTURE_BYTES = 5 * 1024 * 1024


def _shown(application: Mapping[str, Any]) -> dict[str, Any]:
    """What the pages of one application, and the parts of them, are made of."""
    images = {image["kind"]: image for image in application["images"]}
    return {
        "application": application,
        "images": images,
        "missing": [kind for kind in KINDS if kind not in images],
        # What has to be changed since the rejection: "post", a kind of picture, or nothing in particular.
        "fault": application["reason_field"] if application["corrected"] is False else "",
        "waiting": application["status"] in WAITING,
    }


async def _application_page(
    visit: Visit, application_id: UUID, status: int = 200, *, refusal: ApiProblem | None = None, **context: Any
) -> Response:
    """The page as things are now; what was chosen and is not saved stays chosen."""
    address = f"{API}/{application_id}"
    application = await visit.api("GET", address)
    editable = application["status"] in EDITABLE
    shown = {**_shown(application), "editable": editable, "refusal": refusal, "uncorrected": False}
    if editable:
        chosen = visit.field("post") if visit.request.method == "POST" else ""
        shown |= {"result": await visit.api("GET", f"{address}/eligibility"), "chosen": chosen or application["post"]}
    return visit.page("applications/application.html", status, **{**shown, **context})


async def _refused(visit: Visit, application_id: UUID, problem: Refused) -> Response:
    """The application as it is now, with what was refused on top."""
    errors = problem.errors | dict.fromkeys(problem.document.get("kinds", ()), "还没有上传")
    return await _application_page(visit, application_id, problem.status, refusal=problem, errors=errors)


def _revision(visit: Visit) -> int | str:
    text = visit.field("revision")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else text


@router.get("/applications")
async def list_applications(visit: Enterprise) -> Response:
    filters = Filters.of_query(visit.request.url.query, visit.seal_key)
    try:
        found = await visit.api("GET", API, params={**filters.search, **filters.place})
    except Refused as problem:
        return visit.page(
            "applications/list.html",
            problem.status,
            applications=None,
            values=filters.values,
            errors=problem.errors,
            problem=problem.detail,
        )
    cursor = found["next_cursor"]
    return visit.page(
        "applications/list.html",
        applications=found["items"],
        values=filters.values,
        next_url=f"/applications?{filters.at(cursor)}" if cursor else "",
        first_url=f"/applications?{filters.at(None)}" if filters.place.get("cursor") else "",
        live=any(application["status"] in WAITING for application in found["items"]),
    )


@router.post("/applications/search")
async def search_applications(visit: Enterprise) -> Response:
    form = {name: visit.field(name) for name in visit.form}
    return visit.redirect(f"/applications?{Filters.of_form(form, visit.seal_key).query}")


@router.get("/applications/rows")
async def list_rows(visit: Enterprise, application_ids: Annotated[Ids, Query()]) -> Response:
    """The rows of a list that is open, as they are now."""
    asked = {"application_ids": ",".join(map(str, application_ids)), "limit": len(application_ids)}
    found = await visit.api("GET", API, params=asked)
    page = visit.page("applications/rows.html", applications=found["items"])
    return live(page, any(application["status"] in WAITING for application in found["items"]))


@router.get("/applications/new")
async def new_application(visit: Enterprise) -> Response:
    return visit.page("applications/new.html", id_number="")


@router.post("/applications/checks")
async def check(visit: Enterprise) -> Response:
    return await _checked(visit)


async def _checked(visit: Visit, refusal: Refused | None = None) -> Response:
    """Who the id number is and what the person may apply for, or the form for the number with what is wrong."""
    id_number = visit.field("id_number")
    try:
        result = await visit.api("POST", "/renewal/v1/eligibility-checks", json={"id_number": id_number})
    except Refused as problem:
        errors = {"id_number": problem.detail} if problem.code == "person_not_found" else problem.errors
        return visit.page(
            "applications/new.html", problem.status, id_number=id_number, errors=errors, problem=problem.detail
        )
    return visit.page(
        "applications/check.html",
        refusal.status if refusal else 200,
        result=result,
        id_number=id_number,
        chosen=visit.field("post"),
        errors=refusal.errors if refusal else {},
        problem=refusal.detail if refusal else None,
    )


@router.post("/applications")
async def create(visit: Enterprise) -> Response:
    body = {"id_number": visit.field("id_number"), "post": visit.field("post")}
    if same := await _same_draft(visit):
        return visit.redirect(f"/applications/{same}", "draft-open")
    try:
        application = await visit.api("POST", API, json=body, once=True)
    except Refused as problem:
        return await _checked(visit, problem)
    return visit.redirect(f"/applications/{application['id']}", "draft-saved")


async def _same_draft(visit: Visit) -> str | None:
    """The id of a draft of this enterprise for the person and the post of the form."""
    asked = {"status": "draft", "name": visit.field("name"), "limit": 100}
    try:
        found = await visit.api("GET", API, params=asked)
    except Refused:
        return None
    wanted = (visit.field("id_number_masked"), visit.field("post"))
    return next((each["id"] for each in found["items"] if (each["id_number_masked"], each["post"]) == wanted), None)


@router.get("/applications/{application_id}")
async def show(visit: Enterprise, application_id: UUID) -> Response:
    return await _application_page(visit, application_id)


@router.get("/applications/{application_id}/status")
async def show_status(visit: Enterprise, application_id: UUID) -> Response:
    """The part of the page that follows itself."""
    application = await visit.api("GET", f"{API}/{application_id}")
    page = visit.page("applications/status.html", **_shown(application))
    return live(page, application["status"] in WAITING)


@router.post("/applications/{application_id}")
async def save(visit: Enterprise, application_id: UUID) -> Response:
    """All that the page holds, part by part, so that one that is refused leaves the others saved; then submit it."""
    address, revision = f"{API}/{application_id}", _revision(visit)
    refused: dict[str, ApiProblem] = {}
    if post := visit.field("post"):
        try:
            await visit.api("PATCH", address, json={"post": post, "revision": revision})
        except ApiProblem as problem:
            refused["post"] = problem
    for kind in KINDS:
        try:
            await _store(visit, application_id, kind, visit.form.get(kind))
        except ApiProblem as problem:
            refused[kind] = problem
    outdated = next((problem for problem in refused.values() if problem.code in OUTDATED), None)
    own = {part: problem for part, problem in refused.items() if problem.code not in OUTDATED}
    action = visit.field("action")
    # Sent twice, the second finds the application submitted by the first: then the submission answers as it did.
    if own or action not in SUBMITTING:
        if not refused:
            return visit.redirect(f"/applications/{application_id}", "saved")
        errors = {part: problem.errors.get(part, problem.detail) for part, problem in own.items()}
        status = (outdated or next(iter(refused.values()))).status
        return await _application_page(visit, application_id, status, refusal=outdated, errors=errors)
    if action == "submit" and revision != 0 and (await visit.api("GET", address))["corrected"] is False:
        return await _application_page(visit, application_id, uncorrected=True)
    return await _move(visit, application_id, "submission", "submitted")


async def _store(visit: Visit, application_id: UUID, kind: Kind, file: object) -> bool:
    """Whether there was a file to be stored. Raises ApiProblem."""
    if not (isinstance(file, UploadFile) and file.filename):
        return False
    if file.size and file.size > PICTURE_BYTES:
        # The gateway would refuse it without a word.
        raise Refused(413, {"code": PictureTooLarge.code, "detail": PictureTooLarge.detail})
    await visit.api("PUT", f"{API}/{application_id}/images/{kind}", files={"file": ("picture", file.file)})
    return True


@router.get("/applications/{application_id}/images/{kind}")
async def show_image(visit: Enterprise, application_id: UUID, kind: Kind) -> Response:
    return response_of(await visit.fetch("GET", f"{API}/{application_id}/images/{kind}"))


@router.post("/applications/{application_id}/images/{kind}")
async def upload(visit: Enterprise, application_id: UUID, kind: Kind) -> Response:
    """One picture, as soon as it is chosen: for the script, which puts the answer into the page."""
    status, errors = 200, {}
    try:
        if not await _store(visit, application_id, kind, visit.form.get("file")):
            status, errors = 422, {kind: "请选择照片"}
    except ApiProblem as problem:
        # Also a store that is away is said beside the slot: the other pictures are not lost by it.
        status, errors = problem.status, {kind: problem.detail}
    application = await visit.api("GET", f"{API}/{application_id}")
    return visit.page("applications/uploaded.html", status, **_shown(application), errors=errors, kind=kind)


@router.get("/applications/{application_id}/commitment-letter")
async def show_letter(visit: Enterprise, application_id: UUID) -> Response:
    letter = await visit.fetch("GET", f"{API}/{application_id}/commitment-letter")
    return response_of(letter, "content-disposition")


@router.get("/applications/{application_id}/cancellation")
async def confirm_cancellation(visit: Enterprise, application_id: UUID) -> Response:
    application = await visit.api("GET", f"{API}/{application_id}")
    return visit.page("applications/cancellation.html", application=application)


@router.post("/applications/{application_id}/cancellation")
async def cancel(visit: Enterprise, application_id: UUID) -> Response:
    return await _move(visit, application_id, "cancellation", "cancelled")


async def _move(visit: Visit, application_id: UUID, step: str, notice: str) -> Response:
    try:
        await visit.api("POST", f"{API}/{application_id}/{step}", json={"revision": _revision(visit)}, once=True)
    except Refused as problem:
        return await _refused(visit, application_id, problem)
    return visit.redirect(f"/applications/{application_id}", notice)
