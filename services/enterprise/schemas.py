"""What clients ask for and are answered; their docstrings and descriptions are the API's documentation."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field

from shared.auth.sessions import Credentials
from shared.web.validation import EnterpriseName, Identifier, PersonName, Phone, RequestModel, Text


class EnterpriseRegistration(RequestModel):
    taxpayer_id: Identifier = Field(max_length=40, description="15, 17, 18 or 20 characters, spaces tolerated")
    name: EnterpriseName = Field(max_length=100)
    contact_name: PersonName = Field(max_length=50)
    contact_phone: Phone
    address: Text | None = Field(default=None, max_length=200)


class EnterpriseChange(RequestModel):
    name: EnterpriseName | None = Field(default=None, max_length=100)
    contact_name: PersonName | None = Field(default=None, max_length=50)
    contact_phone: Phone | None = None
    address: Text | None = Field(default=None, max_length=200)


class EnterpriseRead(BaseModel):
    id: UUID
    account: str
    taxpayer_id: str
    name: str
    contact_name: str
    contact_phone: str
    address: str | None
    must_change_password: bool
    created_at: datetime


class EnterpriseAccount(EnterpriseRead):
    initial_password: str = Field(description="the same for every enterprise; must be changed at the first login")


class LoginRequest(Credentials):
    taxpayer_id: Identifier = Field(max_length=40)
    captcha_id: UUID | None = Field(
        default=None, description="needed after failed logins (`captcha_required`); checked first, and spent"
    )
    captcha_answer: Identifier = Field(default="", max_length=20)
