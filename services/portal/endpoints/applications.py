"""The pages of an enterprise's applications: list, eligibility, draft, pictures, submission, progress, cancellation."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Response
from starlette.datastructures import UploadFile

from services.portal.api.renewal import ApplicationDetail, ApplicationRead, EligibilityRead, PageApplicationRead
from services.portal.context import Enterprise, SignedIn, polling_fragment, response_of
from services.portal.errors import PictureTooLarge
from services.portal.filters import Filters
from services.portal.gateway import ApiProblem, ProblemDocument, Refused
from services.portal.routing import page_router
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
SIDES: tuple[Kind, Kind] = ("id-front", "id-back")
# What is wrong with the pictures that a refusal names.
PICTURES = {"images_missing": "还没有上传", "duplicate_image": "与另一处是同一张图片"}
PICTURE_BYTES = 5 * 1024 * 1024


def _shown(application: ApplicationDetail) -> dict[str, Any]:
    """Collect what the pages of one application, and the parts of them, are made of."""
    images = {image.kind: image for image in application.images}
    return {
        "application": application,
        "images": images,
        "missing": [kind for kind in KINDS if kind not in images],
        # What has to be changed since the rejection: "post", a kind of picture, or nothing in particular.
        "fault": application.reason_field if application.corrected is False else "",
        "waiting": application.status in WAITING,
    }


async def _application_page(
    context: SignedIn, application_id: UUID, status: int = 200, *, refusal: ApiProblem | None = None, **more: Any
) -> Response:
    """Show the page as things are now; what was chosen and is not saved stays chosen."""
    address = f"{API}/{application_id}"
    application = await context.get(ApplicationDetail, address)
    editable = application.status in EDITABLE
    shown = {**_shown(application), "editable": editable, "refusal": refusal, "uncorrected": False}
    if editable:
        chosen = context.field("post") if context.request.method == "POST" else ""
        result = await context.get(EligibilityRead, f"{address}/eligibility")
        shown |= {"result": result, "chosen": chosen or application.post}
    return context.page("applications/application.html", status, **{**shown, **more})


async def _refused(context: SignedIn, application_id: UUID, problem: Refused) -> Response:
    """Show the application as it is now, with what was refused on top."""
    errors = problem.errors | dict.fromkeys(problem.document.kinds, PICTURES.get(problem.code, problem.detail))
    return await _application_page(context, application_id, problem.status, refusal=problem, errors=errors)


def _revision(context: SignedIn) -> int | str:
    text = context.field("revision")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else text


@router.get("/applications")
async def list_applications(context: Enterprise) -> Response:
    filters = Filters.of_query(context.request.url.query, context.account.seal_key)
    try:
        found = await context.get(PageApplicationRead, API, params={**filters.search, **filters.place})
    except Refused as problem:
        return context.page(
            "applications/list.html",
            problem.status,
            applications=None,
            values=filters.values,
            errors=problem.errors,
            problem=problem.detail,
        )
    cursor = found.next_cursor
    return context.page(
        "applications/list.html",
        applications=found.items,
        values=filters.values,
        next_url=f"/applications?{filters.at(cursor)}" if cursor else "",
        first_url=f"/applications?{filters.at(None)}" if filters.place.get("cursor") else "",
        polling=any(application.status in WAITING for application in found.items),
    )


@router.post("/applications/search")
async def search_applications(context: Enterprise) -> Response:
    form = {name: context.field(name) for name in context.form}
    return context.redirect(f"/applications?{Filters.of_form(form, context.account.seal_key).query}")


@router.get("/applications/rows")
async def list_rows(context: Enterprise, application_ids: Annotated[Ids, Query()]) -> Response:
    """Answer with the rows of a list that is open, as they are now."""
    asked = {"application_ids": ",".join(map(str, application_ids)), "limit": len(application_ids)}
    found = await context.get(PageApplicationRead, API, params=asked)
    page = context.page("applications/rows.html", applications=found.items)
    return polling_fragment(page, any(application.status in WAITING for application in found.items))


@router.get("/applications/new")
async def new_application(context: Enterprise) -> Response:
    return context.page("applications/new.html", id_number="")


@router.post("/applications/checks")
async def check(context: Enterprise) -> Response:
    return await _checked(context)


async def _checked(context: SignedIn, refusal: Refused | None = None) -> Response:
    """Show who the id number is and what the person may apply for, or the form for the number with what is wrong."""
    id_number = context.field("id_number")
    try:
        result = await context.post(EligibilityRead, "/renewal/v1/eligibility-checks", json={"id_number": id_number})
    except Refused as problem:
        errors = {"id_number": problem.detail} if problem.code == "person_not_found" else problem.errors
        return context.page(
            "applications/new.html", problem.status, id_number=id_number, errors=errors, problem=problem.detail
        )
    return context.page(
        "applications/check.html",
        refusal.status if refusal else 200,
        result=result,
        id_number=id_number,
        chosen=context.field("post"),
        errors=refusal.errors if refusal else {},
        problem=refusal.detail if refusal else None,
    )


@router.post("/applications")
async def create(context: Enterprise) -> Response:
    body = {"id_number": context.field("id_number"), "post": context.field("post")}
    if same := await _same_draft(context):
        return context.redirect(f"/applications/{same}", "draft-open")
    try:
        application = await context.post(ApplicationRead, API, json=body, once=True)
    except Refused as problem:
        return await _checked(context, problem)
    return context.redirect(f"/applications/{application.id}", "draft-saved")


async def _same_draft(context: SignedIn) -> UUID | None:
    """Find a draft of this enterprise for the person and the post of the form."""
    asked = {"status": "draft", "name": context.field("name"), "limit": 100}
    try:
        found = await context.get(PageApplicationRead, API, params=asked)
    except Refused:
        return None
    wanted = (context.field("id_number_masked"), context.field("post"))
    return next((each.id for each in found.items if (each.id_number_masked, each.post) == wanted), None)


@router.get("/applications/{application_id}")
async def show(context: Enterprise, application_id: UUID) -> Response:
    return await _application_page(context, application_id)


@router.get("/applications/{application_id}/status")
async def show_status(context: Enterprise, application_id: UUID) -> Response:
    """Answer with the part of the page that follows itself."""
    application = await context.get(ApplicationDetail, f"{API}/{application_id}")
    page = context.page("applications/status.html", **_shown(application))
    return polling_fragment(page, application.status in WAITING)


@router.post("/applications/{application_id}")
async def save(context: Enterprise, application_id: UUID) -> Response:
    """Save all that the page holds, part by part, so that a refused one leaves the others saved; then submit it."""
    address, revision = f"{API}/{application_id}", _revision(context)
    refused: dict[str, ApiProblem] = {}
    if post := context.field("post"):
        try:
            await context.send("PATCH", address, json={"post": post, "revision": revision})
        except ApiProblem as problem:
            refused["post"] = problem
    for kind in KINDS:
        try:
            await _store(context, application_id, kind, context.form.get(kind))
        except ApiProblem as problem:
            refused[kind] = problem
    outdated = next((problem for problem in refused.values() if problem.code in OUTDATED), None)
    own = {part: problem for part, problem in refused.items() if problem.code not in OUTDATED}
    action = context.field("action")
    if action == "swap" and not refused:
        return await _move(context, application_id, "image-swap", "swapped", {"kinds": SIDES})
    # Sent twice, the second finds the application submitted by the first: then the submission answers as it did.
    if own or action not in SUBMITTING:
        if not refused:
            return context.redirect(f"/applications/{application_id}", "saved")
        errors = {part: problem.errors.get(part, problem.detail) for part, problem in own.items()}
        status = (outdated or next(iter(refused.values()))).status
        return await _application_page(context, application_id, status, refusal=outdated, errors=errors)
    if action == "submit" and revision != 0 and (await context.get(ApplicationDetail, address)).corrected is False:
        return await _application_page(context, application_id, uncorrected=True)
    return await _move(context, application_id, "submission", "submitted", {"revision": revision})


async def _store(context: SignedIn, application_id: UUID, kind: Kind, file: object) -> bool:
    """Store the file, if there is one, and tell whether there was. Raises ApiProblem."""
    if not (isinstance(file, UploadFile) and file.filename):
        return False
    if file.size and file.size > PICTURE_BYTES:
        # The gateway would refuse it without a word.
        raise Refused(413, ProblemDocument(code=PictureTooLarge.code, detail=PictureTooLarge.detail))
    await context.send("PUT", f"{API}/{application_id}/images/{kind}", files={"file": ("picture", file.file)})
    return True


@router.get("/applications/{application_id}/images/{kind}")
async def show_image(context: Enterprise, application_id: UUID, kind: Kind) -> Response:
    return await context.picture(f"{API}/{application_id}/images/{kind}")


@router.post("/applications/{application_id}/images/{kind}")
async def upload(context: Enterprise, application_id: UUID, kind: Kind) -> Response:
    """Store one picture as soon as it is chosen: for the script, which puts the answer into the page."""
    status, errors = 200, {}
    try:
        if not await _store(context, application_id, kind, context.form.get("file")):
            status, errors = 422, {kind: "请选择照片"}
    except ApiProblem as problem:
        # Also a store that is away is said beside the slot: the other pictures are not lost by it.
        status, errors = problem.status, {kind: problem.detail}
    application = await context.get(ApplicationDetail, f"{API}/{application_id}")
    return context.page("applications/uploaded.html", status, **_shown(application), errors=errors, kind=kind)


@router.get("/applications/{application_id}/commitment-letter")
async def show_letter(context: Enterprise, application_id: UUID) -> Response:
    letter = await context.fetch(f"{API}/{application_id}/commitment-letter")
    return response_of(letter, "content-disposition")


@router.get("/applications/{application_id}/cancellation")
async def confirm_cancellation(context: Enterprise, application_id: UUID) -> Response:
    application = await context.get(ApplicationDetail, f"{API}/{application_id}")
    return context.page("applications/cancellation.html", application=application)


@router.post("/applications/{application_id}/cancellation")
async def cancel(context: Enterprise, application_id: UUID) -> Response:
    return await _move(context, application_id, "cancellation", "cancelled", {"revision": _revision(context)})


async def _move(context: SignedIn, application_id: UUID, step: str, notice: str, body: Mapping[str, Any]) -> Response:
    try:
        await context.send("POST", f"{API}/{application_id}/{step}", json=body, once=True)
    except Refused as problem:
        return await _refused(context, application_id, problem)
    return context.redirect(f"/applications/{application_id}", notice)
