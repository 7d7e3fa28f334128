from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field, SecretStr, model_validator

from shared.settings import Settings


class RenewalSettings(Settings):
    """Pictures go to S3, or to a directory where `store_directory` is set (one process only)."""

    trusted_issuers: ClassVar[tuple[str, ...]] = ("enterprise", "review")

    store_directory: Path | None = None
    s3_endpoint: str | None = None
    s3_access_key: SecretStr | None = None
    s3_secret_key: SecretStr | None = None
    s3_bucket: str = "ganzheng-renewal"
    s3_region: str = "us-east-1"
    s3_secure: bool = True
    s3_public_endpoint: str | None = Field(
        default=None, description="host of links for browsers; none: through the API"
    )

    @model_validator(mode="after")
    def _pictures_have_a_place(self) -> Self:
        needed = ("s3_endpoint", "s3_access_key", "s3_secret_key")
        missing = [f"GANZHENG_{name.upper()}" for name in needed if getattr(self, name) is None]
        if missing and self.store_directory is None:
            raise ValueError(f"{', '.join(missing)}: Field required")
        return self
