"""How two services find out what one of them has not heard: the owner tells what it has, the other asks for the rest.

Rows lie in 256 buckets, by the first byte of their id. A row's version only grows, and its reader's is never ahead of
its owner's: so a bucket is the same on both sides if and only if the number of its rows and the sum of their versions
are.
"""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from shared.messaging.events import Event

BUCKETS = 256
PAGE = 1000

PerBucket = Annotated[tuple[int, ...], Field(min_length=BUCKETS, max_length=BUCKETS)]


class Digest(Event):
    """How many rows each bucket has, and the sum of their versions."""

    subject_field: ClassVar[str] = "digest_id"

    digest_id: UUID
    counts: PerBucket
    sums: PerBucket


class ResyncRequested(Event):
    """All that the asking service knows of the rows from `first` to `last`: id and version of each."""

    subject_field: ClassVar[str] = "digest_id"

    digest_id: UUID
    first: UUID
    last: UUID
    known: Annotated[tuple[tuple[UUID, int], ...], Field(max_length=PAGE)]
