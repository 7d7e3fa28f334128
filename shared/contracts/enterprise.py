"""What `enterprise` says. The taxpayer id stays at home: those of sole proprietors contain an id number."""

from typing import ClassVar
from uuid import UUID

from shared.contracts.resync import Digest
from shared.messaging.events import Event


class EnterpriseState(Event):
    """The whole public state; the higher `revision` wins, so order of arrival does not matter."""

    subject_field: ClassVar[str] = "enterprise_id"

    enterprise_id: UUID
    revision: int
    name: str


class EnterpriseRegistered(EnterpriseState):
    type: ClassVar[str] = "enterprise.registered"


class EnterpriseUpdated(EnterpriseState):
    type: ClassVar[str] = "enterprise.updated"


class EnterprisesDigest(Digest):
    """Sums up all enterprises and their `revision`."""

    type: ClassVar[str] = "enterprise.digest"
