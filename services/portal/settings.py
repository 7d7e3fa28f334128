"""The portal's settings, read as every service's are."""

from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, model_validator

from shared.runtime.settings import ProcessSettings, require_url

LOCAL = ("localhost", "127.0.0.1", "::1")


def _origin(url: str) -> str:
    """Scheme and authority. Raises ValueError for anything that is not http(s)."""
    parts = urlsplit(require_url(url, ("http", "https")))
    return f"{parts.scheme}://{parts.netloc}"


Origin = Annotated[str, AfterValidator(_origin)]


class PortalSettings(ProcessSettings):
    """`api_url` is the gateway's address as the portal reaches it, `public_url` as browsers do, `images_origin` that
    of the picture store when the gateway answers with links to it."""

    api_url: Origin
    public_url: Origin
    images_origin: Origin | None = None

    @property
    def secure(self) -> bool:
        return self.public_url.startswith("https:")

    @model_validator(mode="after")
    def _cookies_are_safe(self) -> Self:
        if not self.secure and not self.demo and urlsplit(self.public_url).hostname not in LOCAL:
            raise ValueError("GANZHENG_PUBLIC_URL: must be https:// (http:// only on localhost)")
        return self
