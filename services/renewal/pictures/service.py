"""Uploading and serving the three pictures of an application."""

from collections.abc import Awaitable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from services.renewal import queries
from services.renewal.audit import AuditAction
from services.renewal.container import RenewalContainer
from services.renewal.domain import EDITABLE, ImageKind
from services.renewal.errors import (
    ApplicationNotFound,
    ImageInvalidProblem,
    ImageNotFound,
    ImageTooLargeProblem,
    ImageTypeProblem,
)
from services.renewal.lifecycle import ENTERPRISE, record, wrong_state
from services.renewal.models import Image
from services.renewal.pictures import decoding, images, reduced
from services.renewal.pictures import queries as picture_queries
from services.renewal.pictures.images import NormalisedImage
from services.renewal.service.applications import Overview, get_application, lock_editable
from shared.audit import trail
from shared.auth.tokens import Principal
from shared.errors import Unavailable
from shared.files.storage import ObjectMissing, StoreUnavailable
from shared.observability.telemetry import get_logger
from shared.runtime.admission import RETRY_AFTER
from shared.runtime.children import ChildDied

log = get_logger(__name__)

T = TypeVar("T")

LINK_LIFETIME = timedelta(minutes=5)
NOT_NOW = "图片暂时无法处理，请稍后重新上传"
ORPHAN_AGE = timedelta(days=1)
SWEEP_BATCH = 500


async def put_image(
    container: RenewalContainer,
    enterprise_id: UUID,
    application_id: UUID,
    kind: ImageKind,
    data: bytes,
) -> Image:
    """Check, store and attach a picture.

    The bytes are in the store before the row is written, and neither is done inside an open transaction: what a crash
    leaves behind is an object without a row, which `sweep_orphans` removes.
    Raises ApplicationNotFound, WrongState and the image problems; Unavailable without the store, and where too many
    pictures wait to be decoded or this one's decoder was killed.
    """
    async with container.database.transaction() as reading:
        status = await picture_queries.status_of(reading, application_id, enterprise_id)
    if status is None:
        raise ApplicationNotFound
    if status not in EDITABLE:
        raise wrong_state(status)
    picture = await _decoded(images.normalise(container.decoders, data))
    key = f"applications/{application_id}/{uuid4()}.{picture.extension}"
    try:
        await container.store.put(key, picture.data, picture.content_type)
    except StoreUnavailable:
        raise Unavailable("图片存储暂时不可用，请稍后重新上传", retry_after=5) from None
    known_as, compared = picture.pixel_sha256, set[str]()
    while True:
        async with container.database.transaction() as session:
            application = await lock_editable(session, enterprise_id, application_id)
            unlike = await _hashed_otherwise(session, application_id, kind, picture, compared)
            if not unlike:
                await picture_queries.retire_image(session, application_id, kind)
                row = _row(application_id, kind, key, picture, known_as, container.clock.now())
                session.add(row)
                record(session, application, f"upload_{kind}", ENTERPRISE, row.uploaded_at)
                return row
        for other in unlike:
            compared.add(other.object_key)
            if await _is_same(container, picture, other):
                known_as = other.pixel_sha256


def _row(
    application_id: UUID, kind: ImageKind, key: str, picture: NormalisedImage, known_as: str, now: datetime
) -> Image:
    return Image(
        id=uuid4(),
        application_id=application_id,
        kind=kind,
        current=True,
        object_key=key,
        content_type=picture.content_type,
        sha256=picture.sha256,
        pixel_sha256=known_as,
        width=picture.width,
        height=picture.height,
        bytes=len(picture.data),
        uploaded_at=now,
    )


async def _hashed_otherwise(
    session: AsyncSession, application_id: UUID, kind: ImageKind, picture: NormalisedImage, compared: Collection[str]
) -> Sequence[Image]:
    """The present pictures that may be this one although their hashes differ: a PNG that is the copy of a JPEG, or what
    the version before has stored."""
    others = await picture_queries.of_this_size(session, application_id, kind, (picture.width, picture.height))
    eighth = decoding.of_an_eighth(picture.pixel_sha256)
    return [
        other
        for other in others
        if decoding.of_an_eighth(other.pixel_sha256) != eighth and other.object_key not in compared
    ]


async def _is_same(container: RenewalContainer, picture: NormalisedImage, other: Image) -> bool:
    """Compare all pixels of two pictures, whichever of them is known by an eighth of its own."""

    async def all_of(pixel_sha256: str, data: bytes) -> str:
        if not decoding.of_an_eighth(pixel_sha256):
            return pixel_sha256
        return await _decoded(images.fingerprint(container.decoders, data))

    try:
        data = await container.store.get(other.object_key) if decoding.of_an_eighth(other.pixel_sha256) else b""
    except (ObjectMissing, StoreUnavailable):
        # What cannot be had now cannot be compared; it is rare enough.
        return False
    return await all_of(picture.pixel_sha256, picture.data) == await all_of(other.pixel_sha256, data)


async def _decoded(work: Awaitable[T]) -> T:
    """What a decoder makes of a picture. Raises the image problems, and Unavailable where it was killed."""
    try:
        return await work
    except reduced.ImageTooLarge as error:
        raise ImageTooLargeProblem(error.message) from None
    except reduced.ImageTypeUnsupported as error:
        raise ImageTypeProblem(error.message, format=error.format) from None
    except reduced.ImageInvalid as error:
        raise ImageInvalidProblem(error.message) from None
    except ChildDied:
        log.warning("picture.decoder_died")
        raise Unavailable(NOT_NOW, retry_after=RETRY_AFTER) from None


async def swap_images(
    container: RenewalContainer,
    session: AsyncSession,
    enterprise_id: UUID,
    application_id: UUID,
    kinds: Collection[ImageKind],
) -> Overview:
    """Give each of two pictures the place of the other; where only one of them is there, it changes its place.

    What was submitted keeps its rows. Raises ApplicationNotFound, WrongState, ImageNotFound.
    """
    application = await lock_editable(session, enterprise_id, application_id)
    one, other = kinds
    places = {one: other, other: one}
    present = (await queries.current_images(session, [application_id]))[application_id]
    moved = [_copy(row, places[row.kind]) for row in present if row.kind in places]
    if not moved:
        raise ImageNotFound
    for kind in kinds:
        await picture_queries.retire_image(session, application_id, kind)
    session.add_all(moved)
    record(session, application, "swap_images", ENTERPRISE, container.clock.now())
    images = (await queries.current_images(session, [application_id]))[application_id]
    return Overview(application, await queries.posts(session), images)


def _copy(row: Image, kind: ImageKind) -> Image:
    """The same object as a present picture of this kind."""
    return Image(
        id=uuid4(),
        application_id=row.application_id,
        kind=kind,
        current=True,
        object_key=row.object_key,
        content_type=row.content_type,
        sha256=row.sha256,
        pixel_sha256=row.pixel_sha256,
        width=row.width,
        height=row.height,
        bytes=row.bytes,
        uploaded_at=row.uploaded_at,
    )


@dataclass(frozen=True)
class ServedImage:
    """Either a link that lives at most five minutes, or the bytes."""

    link: str | None
    data: bytes
    content_type: str


async def get_image(
    container: RenewalContainer,
    principal: Principal,
    application_id: UUID,
    kind: ImageKind,
    revision: int | None,
    *,
    upright: bool = False,
) -> ServedImage:
    """Find a picture. That of an id card shows its number, so a reviewer's look is audited before the picture is
    given. Where it has to be `upright`, that is its pixels and not what it says of itself.

    Raises ApplicationNotFound, ImageNotFound, Unavailable.
    """
    enterprise_id = principal.subject if "enterprise" in principal.roles else None
    # Closed before the store is asked: one that answers slowly must not use up the database's connections.
    async with container.database.transaction() as reading:
        application = await get_application(reading, application_id, enterprise_id)
        if enterprise_id is None:
            # Reviewers see what was submitted, not what a rejected application is being changed to.
            revision = revision or application.revision
        row = await picture_queries.find_image(reading, application_id, kind, revision)
    if row is None:
        raise ImageNotFound
    try:
        link = None if upright else await container.store.presigned_url(row.object_key, LINK_LIFETIME)
        data = b"" if link else await container.store.get(row.object_key)
    except ObjectMissing:
        raise ImageNotFound from None
    except StoreUnavailable:
        raise Unavailable("图片存储暂时不可用，请稍后再试", retry_after=5) from None
    if upright:
        data = await _decoded(images.upright(container.decoders, data))
    if enterprise_id is None:
        detail = {"kind": kind, "revision": revision}
        async with container.database.transaction() as session:
            trail.add(session, container.clock.now(), principal, AuditAction.image_viewed, application_id, detail)
    return ServedImage(link, data, row.content_type)


async def sweep_orphans(container: RenewalContainer, age: timedelta = ORPHAN_AGE, batch: int = SWEEP_BATCH) -> int:
    """Delete the pictures nobody can see any more, once they are of this age; returns how many objects.

    Those are pictures that were replaced before they were ever submitted, and objects that no row names: uploads that
    ended between the store and the database. However many there are, each step takes `batch` of them.
    """
    uploaded_before = container.clock.now() - age
    more = True
    while more:
        async with container.database.transaction() as session:
            more = await picture_queries.delete_unsubmitted_images(session, uploaded_before, batch)
    removed = 0
    keys: list[str] = []
    async for key in container.store.list_keys("applications/", age):
        keys.append(key)
        if len(keys) == batch:
            removed += await _remove_unknown(container, keys)
            keys = []
    return removed + await _remove_unknown(container, keys)


async def _remove_unknown(container: RenewalContainer, keys: Sequence[str]) -> int:
    async with container.database.transaction() as session:
        unknown = set(keys) - await picture_queries.known_object_keys(session, keys)
    for key in unknown:
        await container.store.delete(key)
    return len(unknown)
