"""What the pages are made with."""

from dataclasses import dataclass, field
from typing import Any

from services.portal.cookies import Cookies
from services.portal.gateway import Gateway
from services.portal.pages import Pages
from services.portal.settings import PortalSettings
from shared.observability.readiness import Readiness


@dataclass(kw_only=True)
class Portal(Readiness):
    """Built once per process. `reference` is services/portal/reference.py's."""

    settings: PortalSettings
    gateway: Gateway
    pages: Pages
    cookies: Cookies
    reference: dict[str, tuple[float, list[dict[str, Any]]]] = field(default_factory=dict)
