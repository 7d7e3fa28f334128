"""The environment of the enterprise service."""

from typing import ClassVar

from shared.runtime.settings import IssuerSettings


class EnterpriseSettings(IssuerSettings):
    """Environment of the enterprise service. Administrators, whom review knows, register exceptions here."""

    trusted_issuers: ClassVar[tuple[str, ...]] = ("review",)
