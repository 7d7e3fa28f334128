from dataclasses import dataclass

from shared.container import Container
from shared.storage import ObjectStore


@dataclass(kw_only=True)
class RenewalContainer(Container):
    store: ObjectStore
