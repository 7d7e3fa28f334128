from datetime import datetime

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from shared.auth.sessions import Account
from shared.db import new_registry


class Base(DeclarativeBase):
    registry = new_registry()


class Enterprise(Account, Base):
    """An enterprise and its one account. `identity` makes old and new forms of one taxpayer id the same account."""

    __tablename__ = "enterprises"
    taxpayer_id: Mapped[str] = mapped_column(unique=True)
    identity: Mapped[str] = mapped_column(unique=True)
    contact_name: Mapped[str]
    contact_phone: Mapped[str]
    address: Mapped[str | None]
    revision: Mapped[int]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    @property
    def account_name(self) -> str:
        return self.taxpayer_id

    @property
    def role_set(self) -> frozenset[str]:
        return frozenset({"enterprise"})

    @property
    def is_active(self) -> bool:
        return True
