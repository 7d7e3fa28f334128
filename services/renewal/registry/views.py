"""Makes of the registry's rows and results what registrars see."""

from services.renewal.domain import LABELS
from services.renewal.registry.file import RowError
from services.renewal.registry.people import RegistryPerson
from services.renewal.registry.report import ImportReport
from services.renewal.registry.schemas import (
    HeldCertificateRead,
    ImportRead,
    PersonApplicationRead,
    RegistryPersonRead,
    RenamingRead,
    RowErrorRead,
)
from shared.persistence.cipher import FieldCipher
from shared.values.idnumber import mask


def import_report(report: ImportReport) -> ImportRead:
    return ImportRead(
        rows=report.rows,
        created=report.created,
        updated=report.updated,
        unchanged=report.unchanged,
        failed=report.failed,
        flagged=report.flagged,
        renamings=report.renamings,
        errors=[_row(*each) for each in report.errors],
        warnings=[_row(*each) for each in report.warnings],
        renamed=[
            RenamingRead(row=each.row, id_number_masked=each.id_number_masked, old=each.old, new=each.new)
            for each in report.renamed
        ],
    )


def _row(number: int, error: RowError) -> RowErrorRead:
    return RowErrorRead(row=number, column=error.column, code=error.code, message=error.message)


def person(cipher: FieldCipher, found: RegistryPerson) -> RegistryPersonRead:
    return RegistryPersonRead(
        id=found.person.id,
        updated_at=found.person.updated_at,
        name=found.person.name,
        id_number_masked=mask(found.id_number),
        sex=found.person.sex,
        birth_date=found.person.birth_date,
        certificates=[
            HeldCertificateRead(
                id=row.id,
                certificate_number=row.shown_number(cipher),
                post=row.post,
                post_name=post_name,
                valid_until=row.valid_until,
                source="registry" if row.application_id is None else "platform",
                replaced=row.replaced_by is not None,
                voided_at=row.voided_at,
                void_reason=row.void_reason,
                corrected_to=right.shown_number(cipher) if right else None,
                updated_at=row.updated_at,
            )
            for row, post_name, right in found.certificates
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
