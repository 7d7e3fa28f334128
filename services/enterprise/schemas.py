"""What clients ask for and are answered; their docstrings and descriptions are the API's documentation."""

from contextvars import ContextVar
from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field

from services.enterprise.domain import EXCEPTION_HINT
from services.enterprise.errors import CheckDigitRight, TaxpayerIdInvalid
from shared.auth.sessions import Credentials
from shared.values.taxpayer import InvalidTaxpayerId, shaped, validate
from shared.web.validation import EnterpriseName, Identifier, PersonName, Phone, RequestModel, Text, refused

PHONES = ["0791-88888888"]


# The id that this request may bring though its check character is wrong. It is found before the body is read, so that
# all that is wrong with a registration can be said at once.
EXCEPTED: ContextVar[str] = ContextVar("excepted", default="")


def _valid(value: str) -> str:
    try:
        return validate(value, check_digit=value != EXCEPTED.get())
    except InvalidTaxpayerId as error:
        hint = f"。{EXCEPTION_HINT}" if error.reason == "check_digit" else ""
        raise refused(TaxpayerIdInvalid, error.message + hint) from None


def _wrong_only_in_its_check(value: str) -> str:
    try:
        validate(value)
    except InvalidTaxpayerId as error:
        if error.reason == "check_digit":
            return value
        raise refused(TaxpayerIdInvalid, error.message) from None
    raise refused(CheckDigitRight, CheckDigitRight.detail)


def _well_formed(value: str) -> str:
    try:
        return shaped(value)
    except InvalidTaxpayerId as error:
        raise refused(TaxpayerIdInvalid, error.message) from None


TaxpayerId = Annotated[Identifier, AfterValidator(_valid)]
ExceptedId = Annotated[Identifier, AfterValidator(_wrong_only_in_its_check)]
# Of an account that there may be: it may have a wrong check character, or be older than a rule.
AccountId = Annotated[Identifier, AfterValidator(_well_formed)]


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


class EnterpriseLookup(RequestModel):
    taxpayer_id: AccountId = Field(title="纳税人识别号", max_length=40, description="the whole id, old or new")


class EnterpriseFound(BaseModel):
    id: UUID
    name: str


class ExceptionAddition(RequestModel):
    taxpayer_id: ExceptedId = Field(
        title="纳税人识别号", max_length=40, description="exactly as on the business licence"
    )
    reason: Text = Field(title="依据", max_length=200, description="such as which licence was seen, and when")


class ExceptionRevocation(RequestModel):
    reason: Text = Field(title="原因", max_length=200)


class ExceptionRead(BaseModel):
    """A taxpayer id that may register though its check character is wrong. One that contains an id number is masked."""

    id: UUID
    taxpayer_id: str
    reason: str
    added_by: str
    added_at: datetime


class EnterpriseAccount(EnterpriseRead):
    initial_password: str = Field(description="the same for every enterprise; must be changed at the first login")


class LoginRequest(Credentials):
    taxpayer_id: Identifier = Field(title="企业账号（纳税人识别号）", max_length=40)
    captcha_id: UUID | None = Field(
        default=None, description="needed after failed logins (`captcha_required`); checked first, and spent"
    )
    captcha_answer: Identifier = Field(title="验证码", default="", max_length=20)
