"""Settings every service shares, read from GANZHENG_* variables or from files of the same (lower-case) names in
GANZHENG_SECRETS_DIR. A secret has no default: a process without its secrets refuses to start."""

import base64
import binascii
import os
from typing import Any, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.privacy import KEY_BYTES


def parse_key(encoded: str) -> bytes:
    """One key: 32 bytes in base64. Raises ValueError for anything else or for a guessable key."""
    try:
        key = base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise ValueError("a key must be base64") from error
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key must be {KEY_BYTES} bytes in base64")
    if len(set(key)) < 8:
        raise ValueError("a key with so few distinct bytes is a default, not a secret")
    return key


def parse_keys(text: str) -> dict[str, bytes]:
    """`id:base64[,id:base64…]`; the first key is the current one, the others stay readable after a rotation."""
    keys: dict[str, bytes] = {}
    for item in text.split(","):
        key_id, separator, encoded = item.strip().partition(":")
        if not separator or not key_id.isalnum():
            raise ValueError("keys are written id:base64")
        if key_id in keys:
            raise ValueError("a key id is written twice")
        keys[key_id] = parse_key(encoded)
    return keys


class Settings(BaseSettings):
    """Environment: see the field names with the prefix GANZHENG_."""

    model_config = SettingsConfigDict(env_prefix="GANZHENG_", frozen=True, extra="ignore", hide_input_in_errors=True)

    demo: bool = False
    database_url: SecretStr
    database_pool: int = Field(default=10, ge=1, le=200)
    broker_url: SecretStr | None = None
    data_keys: SecretStr
    index_key: SecretStr
    log_level: str = "INFO"
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    forwarded_allow_ips: str = "127.0.0.1"
    jwks_urls: dict[str, str] = Field(default_factory=dict, description="issuer -> address of its JWKS")
    rate_limits: bool = True

    def __init__(self, **values: Any) -> None:
        super().__init__(_secrets_dir=os.environ.get("GANZHENG_SECRETS_DIR"), **values)

    @field_validator("data_keys")
    @classmethod
    def _keys(cls, value: SecretStr) -> SecretStr:
        parse_keys(value.get_secret_value())
        return value

    @field_validator("index_key")
    @classmethod
    def _key(cls, value: SecretStr) -> SecretStr:
        parse_key(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _index_key_is_its_own(self) -> Self:
        if parse_key(self.index_key.get_secret_value()) in parse_keys(self.data_keys.get_secret_value()).values():
            raise ValueError("the index key must not be one of the data keys")
        return self


class IssuerSettings(Settings):
    """Settings of a service that signs tokens."""

    signing_keys: SecretStr
    access_minutes: int = Field(default=10, ge=1, le=60)
    refresh_hours: int = Field(default=12, ge=1, le=24 * 30)
    lockout_failures: int = Field(default=5, ge=1)
    lockout_minutes: int = Field(default=15, ge=1)

    @field_validator("signing_keys")
    @classmethod
    def _signing_keys(cls, value: SecretStr) -> SecretStr:
        parse_keys(value.get_secret_value())
        return value
