"""HTTP routes of the registry, for reviewers with the role registrar."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated
from uuid import UUID

from fastapi import File, Query, Request, Response, UploadFile
from fastapi.responses import StreamingResponse

from services.renewal.endpoints import BINARY, OwnContainer
from services.renewal.errors import (
    BeingNumbered,
    CertificateNotFound,
    CertificateNotRemoved,
    CertificateTaken,
    CertificateVoid,
    IdNumberInvalid,
    NothingToCorrect,
    PersonNotFound,
    PlatformCertificate,
    RegistryChanged,
    RegistryValueInvalid,
    TableInvalid,
)
from services.renewal.registry import people, service, views
from services.renewal.registry.report import ImportReport
from services.renewal.registry.schemas import (
    CertificateCorrection,
    ImportDone,
    ImportProgress,
    ImportRead,
    PersonCorrection,
    RegistryChange,
    RegistryPersonRead,
)
from services.renewal.registry.template import template_xlsx
from shared.auth.access import allow
from shared.auth.tokens import Principal
from shared.web.openapi import problems
from shared.web.problems import problem_document, problem_of
from shared.web.routing import Session, transactional_router
from shared.web.validation import Identifier

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
NDJSON = "application/x-ndjson"
LINES = (
    '{"rows_done": 2000, "rows_total": 2012}\n{"rows_done": 2012, "rows_total": 2012}\n'
    '{"report": {"rows": 2012, "created": 0, "updated": 0, "unchanged": 2012, "failed": 0, "errors": []}}\n'
)
Step = int | ImportReport

router = transactional_router(prefix="/registry")
Registrar = Annotated[Principal, allow("registrar")]
Rehearsed = Annotated[bool, Query(description="only answer what it would be; nothing is written")]


# A stored answer would keep the request's transaction open for as long as the import takes, and the database ends one
# that idles. None is needed: the same table again changes nothing.
@router.post(
    "/imports",
    response_model=ImportRead,
    responses={
        200: {"description": "the report", "content": {NDJSON: {"schema": {"type": "string"}, "example": LINES}}},
        **problems(TableInvalid),
    },
    openapi_extra={"x-idempotent": False},
)
async def import_registry(
    request: Request,
    container: OwnContainer,
    principal: Registrar,
    file: Annotated[
        UploadFile, File(description="XLSX, or CSV in UTF-8, GB 18030 or UTF-16; at most 20 MiB and 100,000 rows")
    ],
    dry_run: Annotated[bool, Query(description="only report what the import would do; nothing is written")] = False,
) -> ImportRead | StreamingResponse:
    """Import people and the certificates they hold. Importing the same table again changes nothing.

    With `Accept: application/x-ndjson` the answer is a stream of lines: the progress after every chunk of rows
    (`rows_total` is null where it is not known) and, last, either the report or the problem that ended the import.
    A row that cannot be read or taken is in `errors` and harms no other; `column` is "" if all of it is at fault.
    A table refused before the first line is a problem document as usual. Whoever leaves before the last line stops
    the import; the rows done are kept.
    """
    steps = service.import_registry(container, principal, file.file, dry_run=dry_run)
    if NDJSON in request.headers.get("accept", ""):
        total = await service.count_rows(file.file)
        return StreamingResponse(_lines(await anext(steps), steps, total), media_type=NDJSON)
    (report,) = [step async for step in steps if isinstance(step, ImportReport)]
    return views.import_report(report)


async def _lines(first: Step, steps: AsyncGenerator[Step], total: int | None) -> AsyncGenerator[str]:
    try:
        async with aclosing(steps):
            yield _line(first, total)
            async for step in steps:
                yield _line(step, total)
    except Exception as error:
        # The status is out already.
        yield json.dumps({"problem": problem_document(problem_of(error))}, ensure_ascii=False) + "\n"


def _line(step: Step, total: int | None) -> str:
    if isinstance(step, int):
        return ImportProgress(rows_done=step, rows_total=total).model_dump_json() + "\n"
    return ImportDone(report=views.import_report(step)).model_dump_json() + "\n"


@router.get(
    "/imports/template",
    response_class=Response,
    responses={200: {"description": "template", "content": {XLSX: {"schema": BINARY}}}},
)
async def get_template(_: Registrar) -> Response:
    """An empty table with the columns of an import."""
    headers = {"Content-Disposition": 'attachment; filename="registry-template.xlsx"'}
    return Response(template_xlsx(), media_type=XLSX, headers=headers)


@router.get("/people", responses=problems(IdNumberInvalid, PersonNotFound))
async def read_person(
    container: OwnContainer,
    session: Session,
    principal: Registrar,
    id_number: Annotated[Identifier, Query(max_length=40)],
) -> RegistryPersonRead:
    """What the platform knows of a person. The audit trail notes who looked."""
    found = await people.find_person(container, session, principal, id_number)
    return views.person(container.cipher, found)


@router.get("/people/{person_id}", responses=problems(PersonNotFound))
async def read_known_person(
    container: OwnContainer, session: Session, principal: Registrar, person_id: UUID
) -> RegistryPersonRead:
    """The same of a person found before."""
    found = await people.read_person(container, session, principal, person_id)
    return views.person(container.cipher, found)


CORRECTION_PROBLEMS = (RegistryChanged, BeingNumbered, NothingToCorrect, RegistryValueInvalid)
CERTIFICATE_PROBLEMS = (CertificateNotFound, PlatformCertificate, RegistryChanged, BeingNumbered)


@router.patch("/people/{person_id}", responses=problems(PersonNotFound, *CORRECTION_PROBLEMS))
async def correct_person(
    container: OwnContainer,
    session: Session,
    principal: Registrar,
    person_id: UUID,
    body: PersonCorrection,
    dry_run: Rehearsed = False,
) -> RegistryPersonRead:
    """Put a person's name right. Certificates that have been given keep the name they were given for."""
    found = await people.correct_person(container, session, principal, person_id, body)
    corrected = views.person(container.cipher, found)
    if dry_run:
        await session.rollback()
    return corrected


@router.patch(
    "/certificates/{certificate_id}",
    responses=problems(
        *CERTIFICATE_PROBLEMS, CertificateVoid, CertificateTaken, NothingToCorrect, RegistryValueInvalid
    ),
)
async def correct_certificate(
    container: OwnContainer,
    session: Session,
    principal: Registrar,
    certificate_id: UUID,
    body: CertificateCorrection,
    dry_run: Rehearsed = False,
) -> RegistryPersonRead:
    """Put an imported certificate right. A table that has what was wrong changes it back no more: its row is refused.

    One that the platform gave ends by withdrawing its approval.
    """
    found = await people.correct_certificate(container, session, principal, certificate_id, body)
    corrected = views.person(container.cipher, found)
    if dry_run:
        await session.rollback()
    return corrected


@router.post("/certificates/{certificate_id}/removal", responses=problems(*CERTIFICATE_PROBLEMS, CertificateVoid))
async def remove_certificate(
    container: OwnContainer, session: Session, principal: Registrar, certificate_id: UUID, body: RegistryChange
) -> RegistryPersonRead:
    """Remove an imported certificate that the person does not hold. It stays on record as void, and a row of an import
    does not bring it back; imported for another person, the number is that person's."""
    return views.person(
        container.cipher, await people.remove_certificate(container, session, principal, certificate_id, body)
    )


@router.post(
    "/certificates/{certificate_id}/restoration",
    responses=problems(*CERTIFICATE_PROBLEMS, CertificateNotRemoved, CertificateTaken),
)
async def restore_certificate(
    container: OwnContainer, session: Session, principal: Registrar, certificate_id: UUID, body: RegistryChange
) -> RegistryPersonRead:
    """Take a removal back."""
    return views.person(
        container.cipher, await people.restore_certificate(container, session, principal, certificate_id, body)
    )
