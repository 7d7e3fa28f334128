"""Environment of the renewal service."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, model_validator

from shared.runtime.settings import Password, Settings, require_url


def _without_path(url: str) -> str:
    if urlsplit(require_url(url, ("http", "https"))).path.strip("/"):
        raise ValueError("must be http:// or https:// with a host and no path")
    return url


Authority = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.-]+(:[0-9]+)?$")]
PublicEndpoint = Annotated[str, AfterValidator(_without_path)]


class RenewalSettings(Settings):
    """Pictures go to S3, or to a directory where `store_directory` is set (one process only)."""

    trusted_issuers: ClassVar[tuple[str, ...]] = ("enterprise", "review")

    people_per_day: int = Field(
        default=1000, ge=1, description="different id numbers that an enterprise may ask about; an address, five times"
    )
    store_directory: Path | None = None
    s3_endpoint: Authority | None = None
    s3_access_key: SecretStr | None = None
    s3_secret_key: SecretStr | None = None
    s3_bucket: str = "ganzheng-renewal"
    s3_region: str = "us-east-1"
    s3_secure: bool = True
    s3_seconds: float = Field(default=10, ge=1, le=60, description="how long a request waits for the store's answer")
    s3_public_endpoint: PublicEndpoint | None = Field(
        default=None, description="host of links for browsers; none: through the API"
    )

    def passwords(self) -> Iterator[Password]:
        yield from super().passwords()
        if self.s3_secret_key is not None:
            name = self.s3_access_key.get_secret_value() if self.s3_access_key else ""
            yield Password("s3_secret_key", self.s3_secret_key.get_secret_value(), (name,))

    @model_validator(mode="after")
    def _pictures_have_a_place(self) -> Self:
        needed = ("s3_endpoint", "s3_access_key", "s3_secret_key")
        missing = [f"GANZHENG_{name.upper()}" for name in needed if getattr(self, name) is None]
        if missing and self.store_directory is None:
            raise ValueError(f"{', '.join(missing)}: Field required")
        return self
