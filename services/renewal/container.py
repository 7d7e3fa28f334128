from dataclasses import dataclass

from shared.files.storage import ObjectStore
from shared.runtime.container import Container


@dataclass(kw_only=True)
class RenewalContainer(Container):
    store: ObjectStore
