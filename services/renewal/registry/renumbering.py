"""A certificate of the registry that gets another number."""

from uuid import uuid4

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from services.renewal.container import RenewalContainer
from services.renewal.domain import number_key
from services.renewal.errors import CertificateTaken
from services.renewal.models import HeldCertificate, Person
from services.renewal.registry import queries, sealing
from services.renewal.registry.file import RegisteredCertificate
from shared.persistence.db import violates


async def renumber(
    container: RenewalContainer,
    session: AsyncSession,
    person: Person,
    held: HeldCertificate,
    right: RegisteredCertificate,
) -> None:
    """Give the certificate its right number, and keep the wrong one as void. Raises CertificateTaken."""
    wrong, sealed_wrong = held.certificate_number, held.sealed_number
    await check_alike(container, session, person, held, right.number)
    known = (await queries.certificates_like(session, [right.number])).get(right.number)
    if known is not None:
        # Removed, or a wrong number itself: the trail remembers that.
        await queries.forget_certificate(session, known.id)
    held.certificate_number, held.sealed_number = right.number, sealing.ciphertext(container.cipher, right)
    try:
        await session.flush()
    except IntegrityError as error:
        if violates(error, "uq_held_certificates_certificate_number"):
            raise CertificateTaken from None
        raise
    session.add(
        HeldCertificate(
            id=uuid4(),
            person_id=person.id,
            post=held.post,
            certificate_number=wrong,
            sealed_number=sealed_wrong,
            valid_until=held.valid_until,
            voided_at=held.updated_at,
            corrected_to=held.id,
            created_at=held.updated_at,
            updated_at=held.updated_at,
        )
    )


async def check_alike(
    container: RenewalContainer, session: AsyncSession, person: Person, held: HeldCertificate, number: str
) -> None:
    """Raises CertificateTaken for a number that is another valid certificate's, or one of them in another writing.

    Of another person's in another writing only if this one's was not that before: an import takes it and warns.
    """
    was_alike = number_key(number) == number_key(held.certificate_number)
    for other in (await queries.certificates_like(session, [number])).values():
        is_void = other.application_id is None and other.voided_at is not None
        if other.id == held.id or is_void or other.right is not None:
            continue
        shown = other.shown_number(container.cipher)
        if other.owner == person.id_number_index:
            raise CertificateTaken(f"该人员已登记证书 {shown}，是同一本证书的，请移除重复的一本")
        if other.number == number:
            raise CertificateTaken
        if not was_alike:
            raise CertificateTaken(
                f"与另一人员已登记的证书编号 {shown} 只差开头的0或书写方式，请与原件核对；"
                "登记在另一人员名下有误的，请先更正或移除那一本"
            )
