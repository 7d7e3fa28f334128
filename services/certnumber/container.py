from dataclasses import dataclass, field

from services.certnumber.waker import Waker
from shared.container import Container


@dataclass(kw_only=True)
class CertnumberContainer(Container):
    waker: Waker = field(init=False)

    async def close(self) -> None:
        await self.waker.idle()
        await super().close()
