"""What the tests of numbering say to the service, and what they ask of its database."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from services.certnumber import views
from services.certnumber.numbering.allocation import assign_batch
from services.certnumber.numbering.waker import Waker
from services.certnumber.schemas import Proof
from services.certnumber.service.proof import prove
from services.certnumber.settings import CertnumberSettings
from shared.contracts.renewal import (
    PERSON_BLOCK,
    ApplicationState,
    PersonBlock,
    RenewalApprovalWithdrawn,
    RenewalApproved,
)
from shared.messaging import Consumer, Message, Outbox, Verdict
from shared.persistence.cipher import FieldCipher
from shared.persistence.db import Database
from shared.runtime.settings import new_key, parse_key, parse_keys
from shared.values.clock import SystemClock
from tests.support.clock import START
from tests.support.events import message


class Asleep(Waker):
    """Wakes nobody."""

    def wake(self) -> None:
        pass

    async def _act(self) -> None:
        raise NotImplementedError

    async def sweep(self) -> None:
        raise NotImplementedError


_KEYS = {name: new_key() for name in ("data", "index")}


def new_settings(url: str, **values: Any) -> CertnumberSettings:
    own = {"database_url": url, "data_keys": f"k1:{_KEYS['data']}", "index_key": _KEYS["index"]}
    return CertnumberSettings(**{"demo": True, **own, **values})


def environment(url: str, **values: str) -> dict[str, str]:
    """The same settings for another process, as variables."""
    own = {
        "demo": "true",
        "database_url": url,
        "data_keys": f"k1:{_KEYS['data']}",
        "index_key": _KEYS["index"],
        **values,
    }
    return {f"GANZHENG_{name.upper()}": value for name, value in own.items()}


_CIPHER = FieldCipher(parse_keys(f"k1:{_KEYS['data']}"), parse_key(_KEYS["index"]))
_PERSON = _CIPHER.seal(
    PersonBlock(name="张安宁", id_number="36019919900101001X", sex="male", birth_date=date(1990, 1, 1), held=()),
    PERSON_BLOCK,
)


def _state(application: UUID, decision_no: int, post: str) -> dict[str, Any]:
    return {
        "application_id": application,
        "application_number": "HZ0001",
        "change_no": decision_no + 1,
        "revision": 1,
        "decision_no": decision_no,
        "status": "approved",
        "person": _PERSON,
        "person_index": "0" * 64,
        "enterprise_id": uuid5(application, "enterprise"),
        "enterprise_name": "南昌一零企业",
        "post": post,
        "post_name": "土建施工员",
        "certificate_number": None,
        "images": (),
        "added_at": START,
        "submitted_at": START,
    }


def approved(
    application: UUID, decision_no: int = 1, previous: int | None = None, *, post: str = "10", at: datetime = START
) -> RenewalApproved:
    return RenewalApproved(
        **_state(application, decision_no, post),
        decision_id=uuid5(application, str(decision_no)),
        approved_at=at + timedelta(minutes=decision_no),
        previous_approval=previous,
    )


def withdrawn(application: UUID, approval: int = 1, *, post: str = "10") -> RenewalApprovalWithdrawn:
    return RenewalApprovalWithdrawn(
        **_state(application, approval + 1, post),
        decision_id=uuid5(application, str(approval + 1)),
        approval=approval,
        withdrawn_at=START + timedelta(hours=1),
        reason_code="mistake",
        comment="误审",
    )


def history(application: UUID, decisions: int) -> list[ApplicationState]:
    """Approval 1, its withdrawal 2, approval 3, … as `renewal` would tell it."""
    events: list[ApplicationState] = []
    for decision_no in range(1, decisions + 1):
        if decision_no % 2:
            events.append(approved(application, decision_no, decision_no - 2 if decision_no > 1 else None))
        else:
            events.append(withdrawn(application, decision_no - 1))
    return events


def redelivered(event: ApplicationState) -> Message:
    """The event under an id of its own, so that a second one is the same message come again."""
    return message(event, uuid5(NAMESPACE_OID, f"{event.application_id}{event.decision_no}"))


async def deliver(consumer: Consumer, messages: Iterable[Message]) -> None:
    outcomes = await consumer.process(list(messages))
    assert {outcome.verdict for outcome in outcomes} <= {Verdict.done}, outcomes


def assign(engine: sa.Engine, limit: int = 500) -> int:
    with Session(engine) as session, session.begin():
        return assign_batch(session, SystemClock(), Outbox("certnumber"), limit)


def assign_all(engine: sa.Engine, limit: int = 500) -> int:
    total = 0
    while count := assign(engine, limit):
        total += count
    return total


async def proof_of(database: Database) -> Proof:
    async with database.transaction() as session:
        return views.proof(await prove(session, SystemClock()))


async def fetch(source: Database | AsyncSession, statement: str, **values: Any) -> Sequence[sa.RowMapping]:
    if isinstance(source, AsyncSession):
        return (await source.execute(sa.text(statement), values)).mappings().all()
    async with source.transaction() as session:
        return await fetch(session, statement, **values)


async def events_of(database: Database, application: UUID) -> list[dict[str, Any]]:
    """What the outbox holds about an application, as {type, **data}, in order."""
    rows = await fetch(
        database,
        "SELECT envelope::json FROM outbox WHERE envelope::json ->> 'subject' = :subject ORDER BY id",
        subject=str(application),
    )
    return [{"type": row["envelope"]["type"], **row["envelope"]["data"]} for row in rows]
