"""Use cases of the enterprise service."""

from uuid import UUID, uuid4

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from services.enterprise import queries
from services.enterprise.domain import INITIAL_PASSWORD, account_identity
from services.enterprise.errors import EnterpriseExists
from services.enterprise.models import TAXPAYER_ID, Enterprise
from services.enterprise.schemas import EnterpriseChange, EnterpriseRegistration, LoginRequest
from shared.auth.captcha import Captchas
from shared.auth.passwords import hash_now
from shared.auth.sessions import Checked, Sessions
from shared.contracts.enterprise import EnterpriseRegistered, EnterpriseUpdated
from shared.persistence.db import violates
from shared.runtime.container import Container
from shared.values.taxpayer import identity

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
    return enterprise


async def find_account(session: AsyncSession, enterprise_id: UUID, *, lock: bool = False) -> Enterprise | None:
    """Find the account of a session, for shared.auth.endpoints."""
    return await queries.find_enterprise(session, enterprise_id, lock=lock)


async def read_enterprise(session: AsyncSession, enterprise_id: UUID) -> Enterprise:
    """Read the enterprise that is logged in."""
    return await queries.get_enterprise(session, enterprise_id)


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
