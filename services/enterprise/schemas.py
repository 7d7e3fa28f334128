"""What clients ask for and are answered; their docstrings and descriptions are the API's documentation."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field

from services.enterprise.errors import TaxpayerIdInvalid
from shared.auth.sessions import Credentials
from shared.values.taxpayer import InvalidTaxpayerId, validate
from shared.web.validation import EnterpriseName, Identifier, PersonName, Phone, RequestModel, Text, refused

PHONES = ["0791-88888888"]


def _valid(value: str) -> str:
    try:
        return validate(value)
    except InvalidTaxpayerId as error:
        raise refused(TaxpayerIdInvalid, error.message) from None


TaxpayerId = Annotated[Identifier, AfterValidator(_valid)]


class EnterpriseRegistration(RequestModel):
    taxpayer_id: TaxpayerId = Field(
        title="纳税人识别号", max_length=40, description="15, 17, 18 or 20 characters, spaces tolerated"
    )
    name: EnterpriseName = Field(title="企业名称", max_length=100)
    contact_name: PersonName = Field(title="联系人", max_length=50)
    contact_phone: Phone = Field(title="联系电话", examples=PHONES)
    address: Text | None = Field(title="企业地址", default=None, max_length=200)


class EnterpriseChange(RequestModel):
    name: EnterpriseName | None = Field(title="企业名称", default=None, max_length=100)
    contact_name: PersonName | None = Field(title="联系人", default=None, max_length=50)
    contact_phone: Phone | None = Field(title="联系电话", default=None, examples=PHONES)
    address: Text | None = Field(title="企业地址", default=None, max_length=200)


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
    taxpayer_id: Identifier = Field(title="企业账号（纳税人识别号）", max_length=40)
    captcha_id: UUID | None = Field(
        default=None, description="needed after failed logins (`captcha_required`); checked first, and spent"
    )
    captcha_answer: Identifier = Field(title="验证码", default="", max_length=20)
