"""Wiring of the certnumber service."""

import httpx2
from fastapi import FastAPI

from services.certnumber.consumers import SUBSCRIPTIONS
from services.certnumber.container import CertnumberContainer
from services.certnumber.endpoints import audit, router
from services.certnumber.metrics import sample_numbering
from services.certnumber.numbering.waker import CeleryWaker, EagerWaker
from services.certnumber.settings import CertnumberSettings
from services.certnumber.tasks import create_celery
from shared.runtime.container import Container, build_container
from shared.runtime.service import Service
from shared.values.clock import Clock
from shared.web.app import create_app as create_service_app


def build(
    settings: CertnumberSettings,
    *,
    clock: Clock | None = None,
    client: httpx2.AsyncClient | None = None,
    eager: bool = False,
) -> CertnumberContainer:
    """Build what the service is given.

    `eager` numbers in this process, by the same task, instead of sending it to Celery's workers.
    """
    if not eager and settings.numbering_broker_url is None:
        raise SystemExit("GANZHENG_BROKER_URL is not set")
    container = build_container(CertnumberContainer, "certnumber", settings, clock=clock, client=client)
    celery = create_celery(settings, clock=container.clock, outbox=container.outbox)
    container.waker = EagerWaker(celery) if eager else CeleryWaker(celery)
    return container


def create_app(container: Container) -> FastAPI:
    return create_service_app(
        container,
        title="赣证 certnumber",
        description="Number series, the ledger of certificate numbers and their public verification.",
        routers=[router, audit],
    )


async def sweep(container: CertnumberContainer) -> None:
    """Number what no wake-up announced, where Celery's beat does not; a job of the worker."""
    await container.waker.sweep()


SERVICE = Service(
    "certnumber", CertnumberSettings, build, create_app, SUBSCRIPTIONS, jobs=(sweep,), samplers=(sample_numbering,)
)
