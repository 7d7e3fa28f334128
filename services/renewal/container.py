"""What renewal's code is given besides what every service has: the store of pictures, and room for heavy work."""

from dataclasses import dataclass, field

from shared.files.storage import ObjectStore
from shared.runtime.admission import Admission
from shared.runtime.children import Children
from shared.runtime.container import Container

# Two pictures from a phone at once, or the worst that is let in; deploy's limits of memory follow (docs/operations.md).
DECODING_MEMORY = 448 * 1024 * 1024
# Bodies that are being read or wait to be decoded, each up to 10 MiB in memory: in all, and of one enterprise.
UPLOADS, UPLOADS_EACH = 24, 6


@dataclass(kw_only=True)
class RenewalContainer(Container):
    """`uploads` and `letters` are counted by enterprise, `decoders` by bytes."""

    store: ObjectStore
    people_per_day: int = 1000
    """different id numbers that one enterprise may ask about"""
    import_chunk: int = 2000
    """rows of a registry import that are one transaction"""
    uploads: Admission = field(default_factory=lambda: Admission(UPLOADS, waiting=0, each=UPLOADS_EACH))
    decoders: Children = field(
        default_factory=lambda: Children(
            Admission(DECODING_MEMORY, waiting=UPLOADS), preload=("services.renewal.pictures.decoding",)
        )
    )
    letters: Admission = field(default_factory=lambda: Admission(2, waiting=20, each=4))
