"""Pictures out of the store and back, as backups take them."""

import io
import tarfile

from deploy.journey import import_people, submit_application
from deploy.synthetic import id_number
from services.renewal.container import RenewalContainer
from services.renewal.pictures import queries
from services.renewal.pictures.transfer import check_pictures, export_pictures, import_pictures
from tests.support.platform import Harness


async def keys_of(container: RenewalContainer) -> list[str]:
    async with container.database.transaction() as session:
        return [key async for key, _ in queries.all_images(session)]


async def exported(container: RenewalContainer, known: set[str]) -> bytes:
    stream = io.BytesIO()
    count = await export_pictures(container, stream, known)
    with tarfile.open(fileobj=io.BytesIO(stream.getvalue())) as archive:
        assert len(archive.getnames()) == count
    return stream.getvalue()


async def test_pictures_come_back_as_they_were(embedded: Harness) -> None:
    person = id_number()
    await import_people(embedded.api, await embedded.reviewer(), [f"{person},张安宁,,,"])
    enterprise = await embedded.enterprise()
    application = await submit_application(embedded.api, enterprise, person, "10")
    container: RenewalContainer = embedded.platform.containers["renewal"]
    path = f"/api/renewal/v1/applications/{application['id']}/images/id-front"
    before = await embedded.request("GET", path, enterprise)

    keys = await keys_of(container)
    assert len(keys) == 3
    archive = await exported(container, set())
    for key in keys:
        await container.store.delete(key)
    assert await check_pictures(container) == (3, keys)
    assert await import_pictures(container.store, io.BytesIO(archive)) == 3
    assert await check_pictures(container) == (3, [])
    after = await embedded.request("GET", path, enterprise)
    assert (after.content, after.headers["Content-Type"]) == (before.content, before.headers["Content-Type"])

    await container.store.put(keys[0], b"\xff\xd8 something else", "image/jpeg")
    assert await check_pictures(container) == (3, keys[:1])


async def test_only_what_is_not_known_yet_is_fetched(embedded: Harness) -> None:
    person = id_number()
    await import_people(embedded.api, await embedded.reviewer(), [f"{person},张安宁,,,"])
    await submit_application(embedded.api, await embedded.enterprise(), person, "10")
    container: RenewalContainer = embedded.platform.containers["renewal"]
    keys = await keys_of(container)
    with tarfile.open(fileobj=io.BytesIO(await exported(container, set(keys[1:])))) as archive:
        assert archive.getnames() == keys[:1]
    await container.store.delete(keys[0])
    with tarfile.open(fileobj=io.BytesIO(await exported(container, set(keys[1:])))) as archive:
        assert archive.getnames() == []
