"""Wiring of the review service."""

import httpx2
from fastapi import FastAPI

from services.review.consumers import SUBSCRIPTIONS
from services.review.endpoints import ROUTERS
from services.review.models import PERSON_AT_REST, Item
from services.review.service.resync import Reminder
from services.review.settings import ReviewSettings
from shared.persistence.rotation import Encrypted
from shared.runtime.container import Container, build_container
from shared.runtime.resync import repeat
from shared.runtime.service import Service
from shared.values.clock import Clock
from shared.web.app import create_app as create_service_app


def build(
    settings: ReviewSettings, *, clock: Clock | None = None, client: httpx2.AsyncClient | None = None
) -> Container:
    return build_container(Container, "review", settings, clock=clock, client=client)


def create_app(container: Container) -> FastAPI:
    return create_service_app(
        container,
        title="赣证 review",
        description="Reviewers' login, the review desk, decisions and the audit trail.",
        routers=ROUTERS,
    )


async def keep_asking(container: Container) -> None:
    """Repeat decisions that have no answer, until cancelled."""
    await repeat(container, Reminder(container).remind)


SERVICE = Service(
    "review",
    ReviewSettings,
    build,
    create_app,
    SUBSCRIPTIONS,
    jobs=(keep_asking,),
    encrypted=(Encrypted(Item.person, PERSON_AT_REST),),
)
