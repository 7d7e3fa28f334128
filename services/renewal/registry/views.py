"""Makes of the registry's rows and results what registrars see."""

from services.renewal.domain import LABELS
from services.renewal.registry.schemas import (
    HeldCertificateRead,
    ImportRead,
    PersonApplicationRead,
    RegistryPersonRead,
    RowErrorRead,
)
from services.renewal.registry.service import ImportReport, RegistryPerson
from shared.values.idnumber import mask


def import_report(report: ImportReport) -> ImportRead:
    return ImportRead(
        rows=report.rows,
        created=report.created,
        updated=report.updated,
        unchanged=report.unchanged,
        failed=report.failed,
        errors=[
            RowErrorRead(row=row, column=error.column, code=error.code, message=error.message)
            for row, error in report.errors
        ],
    )


def person(found: RegistryPerson) -> RegistryPersonRead:
    return RegistryPersonRead(
        name=found.person.name,
        id_number_masked=mask(found.id_number),
        sex=found.person.sex,
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
