"""Tables of the enterprise service."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from shared.auth.tables import Account
from shared.persistence.cipher import FieldCipher
from shared.persistence.db import new_registry

# The contexts that bind encrypted taxpayer ids to their columns.
TAXPAYER_ID = "enterprise.taxpayer_id"
EXCEPTED_ID = "enterprise.excepted_taxpayer_id"


class Base(DeclarativeBase):
    registry = new_registry()


class Enterprise(Account, Base):
    """An enterprise and its one account.

    The taxpayer id is encrypted, because that of a sole proprietor contains an id number. `identity_index` is the blind
    index of its identity, which makes old and new forms of one taxpayer id the same account.
    """

    __tablename__ = "enterprises"
    taxpayer_id: Mapped[str]
    identity_index: Mapped[str] = mapped_column(unique=True)
    contact_name: Mapped[str]
    contact_phone: Mapped[str]
    address: Mapped[str | None]
    revision: Mapped[int]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    def account_name(self, cipher: FieldCipher) -> str:
        """Decrypt the taxpayer id. Raises DecryptionFailed."""
        return cipher.decrypt(self.taxpayer_id, TAXPAYER_ID)

    @property
    def role_set(self) -> frozenset[str]:
        return frozenset({"enterprise"})

    @property
    def is_active(self) -> bool:
        return True


class TaxpayerException(Base):
    """A taxpayer id that an administrator has seen on the business licence though its check character is wrong."""

    __tablename__ = "taxpayer_exceptions"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    taxpayer_id: Mapped[str]
    taxpayer_id_index: Mapped[str] = mapped_column(unique=True)
    reason: Mapped[str]
    added_by: Mapped[str]
    added_at: Mapped[datetime]

    __table_args__ = (sa.Index(None, "added_at", "id"),)
