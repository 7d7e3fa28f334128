"""Wiring of the enterprise service."""

from functools import partial

import httpx2
from fastapi import FastAPI

from services.enterprise.consumers import SUBSCRIPTIONS
from services.enterprise.endpoints import audit, router, session_endpoints
from services.enterprise.models import EXCEPTED_ID, TAXPAYER_ID, Enterprise, TaxpayerException
from services.enterprise.service import tell_digest
from services.enterprise.settings import EnterpriseSettings
from shared.persistence.rotation import Encrypted
from shared.runtime.container import Container, build_container
from shared.runtime.resync import repeat
from shared.runtime.service import Service
from shared.values.clock import Clock
from shared.web.app import create_app as create_service_app


def build(
    settings: EnterpriseSettings, *, clock: Clock | None = None, client: httpx2.AsyncClient | None = None
) -> Container:
    return build_container(Container, "enterprise", settings, clock=clock, client=client)


def create_app(container: Container) -> FastAPI:
    return create_service_app(
        container,
        title="赣证 enterprise",
        description="Registration, login and profile of construction enterprises.",
        routers=[router, *session_endpoints, audit],
    )


async def keep_others_in_step(container: Container) -> None:
    """Tell others what there is, again and again, until cancelled."""
    await repeat(container, partial(tell_digest, container))


SERVICE = Service(
    "enterprise",
    EnterpriseSettings,
    build,
    create_app,
    SUBSCRIPTIONS,
    jobs=(keep_others_in_step,),
    encrypted=(
        Encrypted(Enterprise.taxpayer_id, TAXPAYER_ID),
        Encrypted(TaxpayerException.taxpayer_id, EXCEPTED_ID),
    ),
)
