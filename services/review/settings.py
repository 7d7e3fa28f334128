"""The environment of the review service."""

from shared.runtime.settings import IssuerSettings


class ReviewSettings(IssuerSettings):
    """Environment of the review service; nothing beyond what every issuer needs."""
