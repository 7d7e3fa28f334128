"""HTTP routes of the registry, for reviewers with the role registrar."""

from typing import Annotated

from fastapi import File, Query, Response, UploadFile

from services.renewal.domain import LABELS
from services.renewal.endpoints import BINARY, Deps
from services.renewal.errors import IdNumberInvalid, PersonNotFound, TableInvalid
from services.renewal.registry_file import template_xlsx
from services.renewal.schemas import (
    HeldCertificateRead,
    ImportRead,
    PersonApplicationRead,
    RegistryPersonRead,
    RowErrorRead,
)
from services.renewal.service import registry
from shared.auth.access import allow
from shared.auth.tokens import Principal
from shared.http import Session, transactional_router
from shared.idnumber import mask
from shared.openapi import problems

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

router = transactional_router(prefix="/registry")
Registrar = Annotated[Principal, allow("registrar")]


# A stored answer would keep the request's transaction open for as long as the import takes, and the database ends one
# that idles. None is needed: the same table again changes nothing.
@router.post("/imports", responses=problems(TableInvalid), openapi_extra={"x-idempotent": False})
async def import_registry(
    deps: Deps,
    principal: Registrar,
    file: Annotated[UploadFile, File(description="CSV in UTF-8 or XLSX, at most 20 MiB and 100,000 rows")],
) -> ImportRead:
    """Import people and the certificates they hold. Importing the same table again changes nothing."""
    report = await registry.import_registry(deps, principal, file.file)
    return ImportRead(
        rows=report.rows,
        created=report.created,
        updated=report.updated,
        unchanged=report.unchanged,
        failed=report.failed,
        errors=[
            RowErrorRead(row=row, column=column, code=code, message=message)
            for row, column, code, message in report.errors
        ],
    )


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
    deps: Deps,
    session: Session,
    principal: Registrar,
    id_number: Annotated[str, Query(min_length=1, max_length=40)],
) -> RegistryPersonRead:
    """What the platform knows of a person. The audit trail notes who looked."""
    found = await registry.read_person(deps, session, principal, id_number)
    return RegistryPersonRead(
        name=found.person.name,
        id_number_masked=mask(found.id_number),
        sex="female" if found.person.sex == "female" else "male",
        birth_date=found.person.birth_date,
        certificates=[
            HeldCertificateRead(
                certificate_number=row.certificate_number,
                post=row.post,
                post_name=post_name,
                valid_until=row.valid_until,
                source="registry" if row.application_id is None else "platform",
                replaced=row.replaced_by is not None,
                voided_at=row.voided_at,
            )
            for row, post_name in found.certificates
        ],
        applications=[
            PersonApplicationRead(
                application_id=row.id,
                post=row.post,
                post_name=post_name,
                status=row.status,
                status_label=LABELS[row.status],
            )
            for row, post_name in found.applications
        ],
    )
