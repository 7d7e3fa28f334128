"""What the enterprise service answers. Written by `make models` from its OpenAPI document."""

from uuid import UUID

from pydantic import AwareDatetime

from services.portal.api import Answer


class AccountRead(Answer):
    id: UUID
    name: str
    roles: list[str]


class AuditRead(Answer):
    id: UUID
    at: AwareDatetime
    actor_id: UUID | None = None
    actor: str | None = None
    action: str
    action_label: str
    subject: str | None = None
    subject_label: str | None = None
    detail: dict[str, object]


class BrowserAccess(Answer):
    access_token: str
    token_type: str = "Bearer"
    expires_in: int
    must_change_password: bool
    account: AccountRead
    seal_key: str


class BrowserSession(Answer):
    access_token: str
    token_type: str = "Bearer"
    expires_in: int
    must_change_password: bool
    account: AccountRead
    seal_key: str
    session_id: str


class CaptchaRead(Answer):
    captcha_id: UUID
    image: str
    expires_in: int
    answer: str | None = None


class EnterpriseAccount(Answer):
    id: UUID
    account: str
    taxpayer_id: str
    name: str
    contact_name: str
    contact_phone: str
    address: str | None = None
    must_change_password: bool
    created_at: AwareDatetime
    initial_password: str


class EnterpriseFound(Answer):
    id: UUID
    name: str


class EnterpriseRead(Answer):
    id: UUID
    account: str
    taxpayer_id: str
    name: str
    contact_name: str
    contact_phone: str
    address: str | None = None
    must_change_password: bool
    created_at: AwareDatetime


class ExceptionRead(Answer):
    id: UUID
    taxpayer_id: str
    reason: str
    added_by: str
    added_at: AwareDatetime


class PageAuditRead(Answer):
    items: list[AuditRead]
    next_cursor: str | None = None


class PageExceptionRead(Answer):
    items: list[ExceptionRead]
    next_cursor: str | None = None


class TokenPair(Answer):
    access_token: str
    token_type: str = "Bearer"
    expires_in: int
    must_change_password: bool
    refresh_token: str
