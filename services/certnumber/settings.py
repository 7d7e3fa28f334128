"""The environment of the certnumber service."""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from shared.runtime.settings import BrokerUrl, Password, Settings, broker_passwords


class CertnumberSettings(Settings):
    """Environment of the certnumber service. Celery may have a broker, or a vhost, of its own."""

    trusted_issuers: ClassVar[tuple[str, ...]] = ("review",)

    celery_broker_url: BrokerUrl | None = None
    numbering_batch: int = Field(default=500, ge=1, le=5000)

    def passwords(self) -> Iterator[Password]:
        yield from super().passwords()
        yield from broker_passwords("celery_broker_url", self.celery_broker_url)

    @property
    def numbering_broker_url(self) -> str | None:
        url = self.celery_broker_url or self.broker_url
        return url.get_secret_value() if url else None
