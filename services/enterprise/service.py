"""Use cases of the enterprise service."""

from collections.abc import Sequence
from uuid import UUID, uuid4

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from services.enterprise import queries
from services.enterprise.audit import AuditAction
from services.enterprise.domain import INITIAL_PASSWORD, account_identity, shown_id
from services.enterprise.errors import (
    EnterpriseExists,
    EnterpriseNotFound,
    ExceptionExists,
    ExceptionNotFound,
)
from services.enterprise.models import EXCEPTED_ID, TAXPAYER_ID, Enterprise, TaxpayerException
from services.enterprise.schemas import (
    EXCEPTED,
    EnterpriseChange,
    EnterpriseRegistration,
    ExceptionAddition,
    ExceptionRevocation,
    LoginRequest,
)
from shared.audit import trail
from shared.audit.endpoints import Alternatives
from shared.audit.trail import AuditEntry
from shared.auth.captcha import Captchas
from shared.auth.passwords import hash_now
from shared.auth.sessions import Checked, Sessions
from shared.auth.tokens import Principal
from shared.contracts.enterprise import EnterpriseRegistered, EnterprisesDigest, EnterpriseUpdated
from shared.contracts.renewal import EnterprisesResyncRequested
from shared.persistence.db import violates
from shared.runtime import resync
from shared.runtime.container import Container
from shared.values.idnumber import mask
from shared.values.taxpayer import InvalidTaxpayerId, identity, validate
from shared.web.pagination import PageRequest, split_page

# Published, so one hash will do for all accounts, and no registration waits for one while it holds a connection.
_INITIAL_HASH = hash_now(INITIAL_PASSWORD)


async def register_enterprise(
    container: Container, session: AsyncSession, registration: EnterpriseRegistration
) -> Enterprise:
    """Add an enterprise with its account, and tell of it. Raises EnterpriseExists."""
    taxpayer_id = registration.taxpayer_id
    now = container.clock.now()
    enterprise = Enterprise(
        id=uuid4(),
        taxpayer_id=container.cipher.encrypt(taxpayer_id, TAXPAYER_ID),
        identity_index=container.cipher.blind_index(identity(taxpayer_id)),
        name=registration.name,
        contact_name=registration.contact_name,
        contact_phone=registration.contact_phone,
        address=registration.address,
        password_hash=_INITIAL_HASH,
        must_change_password=True,
        revision=1,
        created_at=now,
        updated_at=now,
    )
    session.add(enterprise)
    try:
        await session.flush()
    except IntegrityError as error:
        if violates(error, "uq_enterprises_identity_index"):
            raise EnterpriseExists from None
        raise
    event = EnterpriseRegistered(enterprise_id=enterprise.id, revision=enterprise.revision, name=enterprise.name)
    container.outbox.add(session, event, now)
    if taxpayer_id == EXCEPTED.get():
        trail.add(session, now, None, AuditAction.exception_used, shown_id(taxpayer_id), {})
    return enterprise


async def excepted_id(container: Container, session: AsyncSession, text: object) -> str:
    """Give the taxpayer id that was typed if it is an exception, else nothing."""
    try:
        taxpayer_id = validate(text, check_digit=False) if isinstance(text, str) else ""
    except InvalidTaxpayerId:
        return ""
    found = await queries.find_exception(session, container.cipher.blind_index(taxpayer_id))
    return taxpayer_id if found else ""


async def list_exceptions(session: AsyncSession, page: PageRequest) -> tuple[Sequence[TaxpayerException], str | None]:
    """A page of exceptions, newest first, and the cursor of the next one."""
    return split_page(await queries.list_exceptions(session, page), page, lambda row: (row.added_at, row.id))


async def add_exception(
    container: Container, session: AsyncSession, principal: Principal, addition: ExceptionAddition
) -> TaxpayerException:
    """Let this id register. Raises EnterpriseExists, ExceptionExists."""
    taxpayer_id = addition.taxpayer_id
    cipher, now = container.cipher, container.clock.now()
    # The right id of an enterprise with one character mistyped: it would open the same account.
    if await queries.find_enterprise_by_identity(session, cipher.blind_index(identity(taxpayer_id))):
        raise EnterpriseExists
    exception = TaxpayerException(
        id=uuid4(),
        taxpayer_id=cipher.encrypt(taxpayer_id, EXCEPTED_ID),
        taxpayer_id_index=cipher.blind_index(taxpayer_id),
        reason=addition.reason,
        added_by=principal.name,
        added_at=now,
    )
    session.add(exception)
    try:
        await session.flush()
    except IntegrityError as error:
        if violates(error, "uq_taxpayer_exceptions_taxpayer_id_index"):
            raise ExceptionExists from None
        raise
    detail = {"reason": addition.reason}
    trail.add(session, now, principal, AuditAction.exception_added, shown_id(taxpayer_id), detail)
    return exception


async def revoke_exception(
    container: Container,
    session: AsyncSession,
    principal: Principal,
    exception_id: UUID,
    revocation: ExceptionRevocation,
) -> None:
    """Take an exception back. Raises ExceptionNotFound."""
    revoked = await queries.take_exception(session, exception_id)
    if revoked is None:
        raise ExceptionNotFound
    taxpayer_id = container.cipher.decrypt(revoked.taxpayer_id, EXCEPTED_ID)
    detail = {"reason": revocation.reason}
    trail.add(session, container.clock.now(), principal, AuditAction.exception_revoked, shown_id(taxpayer_id), detail)


async def find_account(session: AsyncSession, enterprise_id: UUID, *, lock: bool = False) -> Enterprise | None:
    """Find the account of a session, for shared.auth.endpoints."""
    return await queries.find_enterprise(session, enterprise_id, lock=lock)


async def read_enterprise(session: AsyncSession, enterprise_id: UUID) -> Enterprise:
    """Read the enterprise that is logged in."""
    return await queries.get_enterprise(session, enterprise_id)


async def look_up(container: Container, session: AsyncSession, taxpayer_id: str) -> Enterprise:
    """Find the enterprise that logs in with this id, in its old form or its new. Raises EnterpriseNotFound."""
    found = await queries.find_enterprise_by_identity(session, container.cipher.blind_index(identity(taxpayer_id)))
    if found is None:
        raise EnterpriseNotFound
    return found


async def change_enterprise(
    container: Container, session: AsyncSession, enterprise_id: UUID, change: EnterpriseChange
) -> Enterprise:
    """Change name, contact or address; a new name is told to the other services."""
    enterprise = await queries.lock_enterprise(session, enterprise_id)
    renamed = change.name not in (None, enterprise.name)
    for field in change.model_fields_set:
        value = getattr(change, field)
        if value is not None or field == "address":
            setattr(enterprise, field, value)
    enterprise.updated_at = container.clock.now()
    if renamed:
        enterprise.revision += 1
        event = EnterpriseUpdated(enterprise_id=enterprise.id, revision=enterprise.revision, name=enterprise.name)
        container.outbox.add(session, event, enterprise.updated_at)
    return enterprise


async def log_in(container: Container, sessions: Sessions, login: LoginRequest, address: str) -> Checked:
    """Check captcha, if there is one, and password; gives the account for which a session may now be opened.

    Raises WrongCaptcha, CaptchaRequired, AccountLocked, LoginDelayed, WrongCredentials.
    """
    if login.captcha_id is not None:
        captchas = Captchas(container.database, container.clock, container.cipher)
        await captchas.spend(login.captcha_id, login.captcha_answer)
    key = account_identity(login.taxpayer_id)
    account = None
    if key is not None:
        async with container.database.transaction() as session:
            account = await queries.find_enterprise_by_identity(session, container.cipher.blind_index(key))
    # All forms of one taxpayer id share one limit, whether there is such an account or not: else the limit would tell.
    name = account.account_name(container.cipher) if account else key or login.taxpayer_id
    return await sessions.check_login(account, name, login, address)


async def narrow_audit(container: Container, session: AsyncSession, taxpayer_id: str | None) -> Alternatives:
    """Entries about this id, or the other form by which its enterprise registered; they hold it as it is shown."""
    if taxpayer_id is None:
        return []
    # Entries of before hold every id masked.
    subjects = {shown_id(taxpayer_id), mask(taxpayer_id)}
    if key := account_identity(taxpayer_id):
        account = await queries.find_enterprise_by_identity(session, container.cipher.blind_index(key))
        name = account.account_name(container.cipher) if account else taxpayer_id
        subjects |= {shown_id(name), mask(name)}
    return [AuditEntry.subject.in_(subjects)]


async def name_subjects(_session: AsyncSession, _entries: Sequence[AuditEntry]) -> dict[UUID, str]:
    """Give no other words than the masked id, by which people know what an entry is about."""
    return {}


async def tell_digest(container: Container, session: AsyncSession) -> None:
    """Say how many enterprises there are at which revision, for others to compare."""
    await resync.tell(container, session, queries.versions(), EnterprisesDigest)


async def say_again(container: Container, session: AsyncSession, request: EnterprisesResyncRequested) -> None:
    """Tell the present state of what the asking service has not heard of."""
    ids = await resync.lacking(container, session, queries.versions(), request)
    states = [
        EnterpriseUpdated(enterprise_id=row.id, revision=row.revision, name=row.name)
        for row in await queries.list_enterprises(session, ids)
    ]
    container.outbox.add(session, states, container.clock.now())
