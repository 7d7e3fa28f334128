"""What enterprise hears: that another service lacks some of what it has said."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from services.enterprise import service
from shared.contracts.renewal import EnterprisesResyncRequested
from shared.contracts.topology import ENTERPRISE_RESYNC
from shared.messaging import Received, Subscription
from shared.runtime.container import Container


async def on_resync_requested(
    container: Container, session: AsyncSession, batch: Sequence[Received[EnterprisesResyncRequested]]
) -> None:
    for received in batch:
        await service.say_again(container, session, received.event)


SUBSCRIPTIONS = (Subscription(ENTERPRISE_RESYNC, {EnterprisesResyncRequested: on_resync_requested}),)
