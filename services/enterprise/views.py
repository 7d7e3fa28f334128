"""Makes of rows what clients see; answers are built nowhere else."""

from services.enterprise.domain import INITIAL_PASSWORD
from services.enterprise.models import Enterprise
from services.enterprise.schemas import EnterpriseAccount, EnterpriseRead
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


def new_account(cipher: FieldCipher, row: Enterprise) -> EnterpriseAccount:
    """Raises DecryptionFailed."""
    return EnterpriseAccount(**dict(enterprise(cipher, row)), initial_password=INITIAL_PASSWORD)
