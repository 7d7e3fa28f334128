"""What the certnumber service's code is given: the common parts, and what wakes the numbering."""

from dataclasses import dataclass, field

from services.certnumber.numbering.waker import Waker
from shared.runtime.container import Container


@dataclass(kw_only=True)
class CertnumberContainer(Container):
    waker: Waker = field(init=False)

    async def close(self) -> None:
        await self.waker.join()
        await super().close()
