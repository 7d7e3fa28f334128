"""Wiring of the renewal service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import httpx2
from fastapi import FastAPI

from services.renewal.consumers import SUBSCRIPTIONS
from services.renewal.container import RenewalContainer
from services.renewal.endpoints import audit, router
from services.renewal.endpoints import letters as letters_router
from services.renewal.errors import ImageTooLargeProblem
from services.renewal.metrics import sample_approvals
from services.renewal.models import CERTIFICATE_NUMBER, ID_NUMBER, HeldCertificate, Person
from services.renewal.pictures.endpoints import changes as picture_changes_router
from services.renewal.pictures.endpoints import router as pictures_router
from services.renewal.pictures.reduced import MAX_BYTES
from services.renewal.pictures.service import sweep_orphans
from services.renewal.registry.endpoints import router as registry_router
from services.renewal.registry.sealing import seal_stored
from services.renewal.service.resync import Reminder, tell_digests
from services.renewal.settings import RenewalSettings
from shared.errors import TooLarge
from shared.files.storage import DirectoryStore, MinioStore, ObjectStore, StoreTimings
from shared.files.tables.filetypes import MAX_FILE_BYTES
from shared.observability.telemetry import get_logger
from shared.persistence.rotation import Encrypted
from shared.runtime.container import build_container
from shared.runtime.resync import repeat
from shared.runtime.service import Service
from shared.values.clock import Clock
from shared.web.app import create_app as create_service_app

log = get_logger(__name__)

MULTIPART_OVERHEAD = 64 * 1024
BODY_LIMITS = (
    (r"/images/[^/]+$", MAX_BYTES + MULTIPART_OVERHEAD, ImageTooLargeProblem),
    (r"/registry/imports$", MAX_FILE_BYTES + MULTIPART_OVERHEAD, TooLarge),
)
SWEEP_INTERVAL = 6 * 3600.0
ROUTERS = (router, letters_router, pictures_router, picture_changes_router, registry_router, audit)


def build_store(settings: RenewalSettings) -> ObjectStore:
    if settings.store_directory is not None:
        return DirectoryStore(settings.store_directory)
    if settings.s3_endpoint is None or settings.s3_access_key is None or settings.s3_secret_key is None:
        raise ValueError("set GANZHENG_S3_ENDPOINT, GANZHENG_S3_ACCESS_KEY and GANZHENG_S3_SECRET_KEY")
    return MinioStore(
        settings.s3_endpoint,
        settings.s3_access_key.get_secret_value(),
        settings.s3_secret_key.get_secret_value(),
        settings.s3_bucket,
        secure=settings.s3_secure,
        region=settings.s3_region,
        public_endpoint=settings.s3_public_endpoint,
        timings=StoreTimings(read=settings.s3_seconds, deadline=settings.s3_seconds + 4),
    )


def build(
    settings: RenewalSettings, *, clock: Clock | None = None, client: httpx2.AsyncClient | None = None
) -> RenewalContainer:
    store = build_store(settings)
    own = {"store": store, "people_per_day": settings.people_per_day}
    container = build_container(RenewalContainer, "renewal", settings, clock=clock, client=client, **own)
    container.dependencies["store"] = store.ready
    container.partial.add("store")
    return container


def create_app(container: RenewalContainer) -> FastAPI:
    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        try:
            await container.store.ensure_bucket()
        except Exception as error:
            log.warning("store.unavailable", error=type(error).__name__)
        yield

    return create_service_app(
        container,
        title="赣证 renewal",
        description="Eligibility, applications and their pictures, and the registry of people.",
        routers=ROUTERS,
        body_limits=BODY_LIMITS,
        lifespan=lifespan,
    )


async def keep_store_clean(container: RenewalContainer) -> None:
    """Remove pictures that no application names, until cancelled."""
    while True:
        try:
            removed = await sweep_orphans(container)
            log.info("store.swept", removed=removed)
        except Exception as error:
            log.warning("store.sweep_failed", error=type(error).__name__)
        await asyncio.sleep(SWEEP_INTERVAL)


async def keep_numbers_sealed(container: RenewalContainer) -> None:
    """Seal the certificate numbers in which an id number stands, until cancelled."""
    while True:
        try:
            if sealed := await seal_stored(container):
                log.info("registry.sealed", certificates=sealed)
        except Exception as error:
            log.warning("registry.sealing_failed", error=type(error).__name__)
        await asyncio.sleep(SWEEP_INTERVAL)


async def keep_others_in_step(container: RenewalContainer) -> None:
    """Tell others what there is, again and again, until cancelled."""
    await repeat(container, partial(tell_digests, container))


async def keep_asking(container: RenewalContainer) -> None:
    """Ask again for numbers that do not come, until cancelled."""
    await repeat(container, Reminder(container).remind)


SERVICE = Service(
    "renewal",
    RenewalSettings,
    build,
    create_app,
    SUBSCRIPTIONS,
    jobs=(keep_store_clean, keep_numbers_sealed, keep_others_in_step, keep_asking),
    samplers=(sample_approvals,),
    encrypted=(
        Encrypted(Person.id_number, ID_NUMBER),
        Encrypted(HeldCertificate.sealed_number, CERTIFICATE_NUMBER),
    ),
)
