"""The environment of the enterprise service."""

from shared.runtime.settings import IssuerSettings


class EnterpriseSettings(IssuerSettings):
    """Environment of the enterprise service; nothing beyond what every issuer needs."""
