from pathlib import Path

from pydantic import Field, SecretStr

from shared.settings import Settings


class RenewalSettings(Settings):
    """Pictures go to S3, or to a directory where `store_directory` is set (one process only)."""

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
