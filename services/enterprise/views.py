"""Makes of rows what clients see; answers are built nowhere else."""

from services.enterprise.domain import INITIAL_PASSWORD, shown_id
from services.enterprise.models import EXCEPTED_ID, Enterprise, TaxpayerException
from services.enterprise.schemas import EnterpriseAccount, EnterpriseFound, EnterpriseRead, ExceptionRead
from shared.persistence.cipher import FieldCipher


def enterprise(cipher: FieldCipher, row: Enterprise) -> EnterpriseRead:
    """Raises DecryptionFailed."""
    taxpayer_id = row.account_name(cipher)
    return EnterpriseRead(
        id=row.id,
        account=taxpayer_id,
        taxpayer_id=taxpayer_id,
        name=row.name,
        contact_name=row.contact_name,
        contact_phone=row.contact_phone,
        address=row.address,
        must_change_password=row.must_change_password,
        created_at=row.created_at,
    )


def found(row: Enterprise) -> EnterpriseFound:
    return EnterpriseFound(id=row.id, name=row.name)


def exception(cipher: FieldCipher, row: TaxpayerException) -> ExceptionRead:
    """Raises DecryptionFailed."""
    return ExceptionRead(
        id=row.id,
        taxpayer_id=shown_id(cipher.decrypt(row.taxpayer_id, EXCEPTED_ID)),
        reason=row.reason,
        added_by=row.added_by,
        added_at=row.added_at,
    )


def new_account(cipher: FieldCipher, row: Enterprise) -> EnterpriseAccount:
    """Raises DecryptionFailed."""
    return EnterpriseAccount(**dict(enterprise(cipher, row)), initial_password=INITIAL_PASSWORD)
