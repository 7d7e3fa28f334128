"""Real histories of applications: what each queue heard, what the enterprise did, and where each service ended."""

import dataclasses
import io
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from services.certnumber.container import CertnumberContainer
from services.certnumber.models import Approval, LedgerEntry
from services.certnumber.queries import LOCK_SERIES
from services.renewal.container import RenewalContainer
from services.renewal.models import Application, Enterprise, HeldCertificate, Image, Person, Submission
from services.renewal.registry import service as registry
from services.renewal.registry.file import FIELDS
from services.renewal.service import applications
from services.review.models import PERSON_AT_REST, Decision, Item, ItemRevision
from shared.auth.tokens import Principal
from shared.contracts.topology import QUEUES
from shared.messaging import Envelope, Message
from shared.persistence.db import Database
from shared.runtime.container import Container
from tests.support.numbering import Asleep
from tests.support.office import Office, line, new_certificate

Row = dict[str, Any]
State = tuple[str, int, int]

SCRIPTS: dict[str, Sequence[str]] = {
    "numbered": ("submit", "approve"),
    "cancelled": ("submit", "cancel"),
    "rejected and cancelled": ("submit", "reject", "cancel"),
    "refused": ("submit", "import", "approve", "reject"),
    "approved again": ("submit", "reject", "submit", "approve", "withdraw", "approve"),
    "withdrawn before the number": ("submit", "hold", "approve", "withdraw", "release", "approve"),
    "withdrawn twice": ("submit", "approve", "withdraw", "approve", "withdraw", "reject", "submit", "approve"),
    "withdrawn and rejected": ("submit", "approve", "withdraw", "reject"),
    "numbered at the second attempt": ("submit", "break", "approve", "mend"),
}


@dataclass(frozen=True)
class Command:
    """What somebody did over HTTP, and the application's state they saw."""

    what: str
    seen: State
    table: bytes = b""


@dataclass
class History:
    """`heard` is by queue: each message with the number of commands that had been given before it."""

    application: UUID
    enterprise: UUID
    start: Mapping[sa.Table, Sequence[Row]]
    commands: list[Command] = field(default_factory=list)
    heard: dict[str, list[tuple[Message, int]]] = field(default_factory=lambda: {queue.name: [] for queue in QUEUES})
    end: dict[str, Any] = field(default_factory=dict)


async def rows(session: AsyncSession, table: sa.Table, *where: sa.ColumnElement[bool]) -> list[Row]:
    query = sa.select(table).where(*where).order_by(*table.primary_key)
    return [dict(row._mapping) for row in await session.execute(query)]


def table_of(model: Any) -> sa.Table:
    table: sa.Table = model.__table__
    return table


async def state(session: AsyncSession, application: UUID) -> State:
    found = (await session.scalars(sa.select(Application).where(Application.id == application))).one()
    await session.refresh(found)
    return found.status.value, found.revision, found.decision_no


async def give(container: RenewalContainer, history: History, command: Command) -> None:
    """Carry out a command on renewal itself."""
    if command.what == "import":
        registrar = Principal("review", uuid4(), uuid4(), "登记员", frozenset({"registrar"}), False)
        async for _ in registry.import_registry(container, registrar, io.BytesIO(command.table)):
            pass
        return
    act = applications.submit_application if command.what == "submit" else applications.cancel_application
    async with container.database.transaction() as session:
        await act(container, session, history.enterprise, history.application, command.seen[1])


class Recorder:
    """Plays scripts on a platform, one after the other, and listens to its bus."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._current: History | None = None
        self._known: set[UUID] = set()
        self._publish = office.harness.platform.bus.publish
        office.harness.platform.bus.publish = self._listen  # type: ignore[method-assign]

    async def _listen(self, messages: Sequence[Message]) -> list[Exception | None]:
        for message in messages:
            envelope = Envelope.model_validate_json(message.body)
            history = self._current
            if history and envelope.subject == str(history.application) and message.id not in self._known:
                self._known.add(message.id)
                for queue in QUEUES:
                    if message.routing_key in queue.routing_keys:
                        history.heard[queue.name].append((message, len(history.commands)))
        return await self._publish(messages)

    async def play(self, script: Sequence[str]) -> History:
        office = self._office
        person = await office.person("60", "70")
        draft = await office.draft(person, "10")
        history = self._current = await self._start(UUID(draft["id"]))
        async with AsyncExitStack() as held:
            for step in script:
                match step:
                    case "submit" | "cancel" | "import":
                        await self._command(history, step, person)
                    case "hold":
                        database = office.harness.platform.containers["certnumber"].database
                        session = await held.enter_async_context(database.transaction())
                        await session.execute(LOCK_SERIES)
                    case "release":
                        await held.aclose()
                    case "break" | "mend":
                        await self._series(None if step == "mend" else ["99"])
                    case _:
                        await self._decide(history, step)
                if "hold" not in script or step in {"submit", "release"}:
                    await office.quiet()
        await office.quiet()
        self._current = None
        history.end = {
            "renewal": await renewal_end(office.renewal.database, history.application),
            "review": await review_end(office.harness.platform.containers["review"], history.application),
            "certnumber": await certnumber_end(
                office.harness.platform.containers["certnumber"].database, history.application
            ),
        }
        return history

    async def _start(self, application: UUID) -> History:
        async with self._office.renewal.database.transaction() as session:
            [row] = await rows(session, table_of(Application), Application.id == application)
            start = {
                table_of(Enterprise): await rows(session, table_of(Enterprise), Enterprise.id == row["enterprise_id"]),
                table_of(Person): await rows(session, table_of(Person), Person.id == row["person_id"]),
                table_of(HeldCertificate): await rows(
                    session, table_of(HeldCertificate), HeldCertificate.person_id == row["person_id"]
                ),
                table_of(Application): [row],
                table_of(Image): await rows(session, table_of(Image), Image.application_id == application),
            }
        return History(application, row["enterprise_id"], start)

    async def _command(self, history: History, what: str, person: str) -> None:
        async with self._office.renewal.database.transaction() as session:
            seen = await state(session, history.application)
        table = "\n".join([",".join(FIELDS), line(person, "80", new_certificate())]).encode()
        command = Command(what, seen, table if what == "import" else b"")
        history.commands.append(command)
        await give(self._office.renewal, history, command)

    async def _decide(self, history: History, action: str) -> None:
        application = str(history.application)
        revision = (await self._office.read(application))["revision"]
        await self._office.decide(action, application, revision)
        await self._office.item(application, decision_pending=False)

    async def _series(self, posts: list[str] | None) -> None:
        call, token = self._office.harness.api.call, self._office.reviewer
        [series] = (await call("GET", "certnumber", "/series", token=token))["items"]
        await call("PATCH", "certnumber", f"/series/{series['id']}", token=token, json={"posts": posts})


async def renewal_end(database: Database, application: UUID) -> Any:
    """The application, what was submitted, and the person's certificates with whether they hold."""
    async with database.transaction() as session:
        [row] = await rows(session, table_of(Application), Application.id == application)
        told = ("status", "revision", "decision_no", "post", "last_approval", "certificate_number", "reason_code",
                "numbering_failure")  # fmt: skip
        held = await rows(session, table_of(HeldCertificate), HeldCertificate.person_id == row["person_id"])
        submitted = await rows(session, table_of(Submission), Submission.application_id == application)
    return (
        {name: row[name] for name in told},
        {entry["certificate_number"]: (entry["post"], entry["voided_at"] is None) for entry in held},
        {entry["revision"]: (entry["post"], entry["images"]) for entry in submitted},
    )


async def review_end(container: Container, application: UUID) -> Any:
    """Everything but what seals it: the item, its revisions and the decisions."""
    async with container.database.transaction() as session:
        items = await rows(session, table_of(Item), Item.application_id == application)
        revisions = await rows(session, table_of(ItemRevision), ItemRevision.application_id == application)
        decisions = await rows(session, table_of(Decision), Decision.application_id == application)
    for item in items:
        item["person"] = container.cipher.decrypt(item["person"], PERSON_AT_REST)
    return items, revisions, decisions


async def certnumber_end(database: Database, application: UUID) -> Any:
    """Which approvals hold a number and which are withdrawn; void numbers depend on when numbering ran."""
    async with database.transaction() as session:
        approvals = await rows(session, table_of(Approval), Approval.application_id == application)
        ledger = await rows(session, table_of(LedgerEntry), LedgerEntry.application_id == application)
    told = ("status", "previous_approval", "post", "post_name", "enterprise_name", "holder_masked", "approved_at")
    return (
        {row["decision_no"]: tuple(row[name] for name in told) for row in approvals},
        {row["decision_no"] for row in ledger if row["state"] == "valid"},
    )


def on(container: Any, url: str) -> Any:
    """The same service on another database."""
    copy = dataclasses.replace(container, database=Database(url, pool_size=4))
    copy.dependencies = {}
    if isinstance(copy, CertnumberContainer):
        # The test numbers when it wants to.
        copy.waker = Asleep()
    return copy


async def record(office: Office) -> dict[str, History]:
    """The history of every script."""
    recorder = Recorder(office)
    return {name: await recorder.play(script) for name, script in SCRIPTS.items()}
