"""What renewal's code is given besides what every service has: the store of pictures."""

from dataclasses import dataclass

from shared.files.storage import ObjectStore
from shared.runtime.container import Container


@dataclass(kw_only=True)
class RenewalContainer(Container):
    store: ObjectStore
    people_per_day: int = 1000
    """different id numbers that one enterprise may ask about"""
    import_chunk: int = 500
    """rows of a registry import that are one transaction"""
