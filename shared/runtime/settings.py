"""Settings every service shares, read from GANZHENG_* variables or from files of the same (lower-case) names in
GANZHENG_SECRETS_DIR. A secret has no default: a process without its secrets refuses to start."""

import base64
import binascii
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self
from urllib.parse import unquote, urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError
from sqlalchemy.engine import make_url

from shared.messaging.health import STALL_TIMEOUT
from shared.persistence.cipher import KEY_BYTES
from shared.runtime.guessable import is_guessable_key, is_guessable_password


def new_key() -> str:
    """Make a random key, in the form that `parse_key` reads."""
    return base64.b64encode(os.urandom(KEY_BYTES)).decode()


def parse_key(encoded: str) -> bytes:
    """Read one key: 32 bytes in base64. Raises ValueError for anything else or for a guessable key."""
    try:
        key = base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise ValueError("a key must be base64") from error
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key must be {KEY_BYTES} bytes in base64")
    if is_guessable_key(key):
        raise ValueError("a key must be random bytes in base64: not text, nor bytes that repeat or count")
    return key


def parse_keys(text: str) -> dict[str, bytes]:
    """Read `id:base64[,id:base64…]`; the first key is the current one, the others stay readable after a rotation."""
    keys: dict[str, bytes] = {}
    for item in text.split(","):
        key_id, separator, encoded = item.strip().partition(":")
        if not separator or not key_id.isalnum():
            raise ValueError("keys are written id:base64")
        if key_id in keys:
            raise ValueError("a key id is written twice")
        keys[key_id] = parse_key(encoded)
    return keys


def require_url(url: str, schemes: tuple[str, ...]) -> str:
    """Give the address as it is. Raises ValueError, which never repeats it, without a host and one of the schemes."""
    expected = f"must be {' or '.join(f'{scheme}://' for scheme in schemes)} with a host"
    try:
        parts = urlsplit(url)
        known = parts.scheme in schemes and parts.hostname and parts.port != 0
    except ValueError:
        # Its message quotes the address, and with that perhaps a password.
        raise ValueError(expected) from None
    if not known:
        raise ValueError(expected)
    return url


def _check_broker(url: SecretStr) -> SecretStr:
    require_url(url.get_secret_value(), ("amqp", "amqps"))
    return url


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


def _parse_object(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        raise ValueError('must be a JSON object such as {"issuer": "https://…"}') from None


LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)]
JwksUrl = Annotated[str, AfterValidator(lambda url: require_url(url, ("http", "https")))]
BrokerUrl = Annotated[SecretStr, AfterValidator(_check_broker)]


class Password(NamedTuple):
    """A password of a setting; `known` are names beside it that are no secret."""

    setting: str
    value: str
    known: tuple[str, ...]


def broker_passwords(setting: str, url: SecretStr | None) -> Iterator[Password]:
    """List the password of a broker's address. Without one there, it is guest's."""
    if url is not None:
        parts = urlsplit(url.get_secret_value())
        yield Password(setting, unquote(parts.password or "guest"), (unquote(parts.username or ""), parts.path[1:]))


@contextmanager
def explained_settings() -> Iterator[None]:
    """Let bad settings inside the block end the process: a line for each on standard error, exit status 2."""
    try:
        yield
    except (ValidationError, SettingsError) as error:
        sys.stderr.writelines(f"{line}\n" for line in _explain(error))
        raise SystemExit(2) from None


def _explain(error: ValidationError | SettingsError) -> list[str]:
    """Say what is wrong with each setting, by the name of its variable, and never its value."""
    if isinstance(error, SettingsError):
        return [f"GANZHENG_SECRETS_DIR: {error}"]
    lines = []
    for problem in error.errors(include_input=False, include_url=False, include_context=False):
        name, *inner = problem["loc"] or ("",)
        place = f"GANZHENG_{str(name).upper()}{''.join(f'[{key}]' for key in inner)}: " if name else ""
        lines.append(place + problem["msg"].removeprefix("Value error, "))
    return lines


class ProcessSettings(BaseSettings):
    """What every process needs. Environment: see the field names with the prefix GANZHENG_."""

    model_config = SettingsConfigDict(env_prefix="GANZHENG_", frozen=True, extra="ignore", hide_input_in_errors=True)

    demo: bool = False
    log_level: LogLevel = "INFO"
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    metrics_port: int = Field(default=0, ge=0, le=65535, description="the operators' port; 0: none")
    forwarded_allow_ips: str = "127.0.0.1"
    requests_at_once: int = Field(default=16, ge=1, le=1000, description="that an API works on; others wait in line")
    requests_wait_seconds: float = Field(
        default=1.0, gt=0, le=30, description="the longest wait in that line; who would wait longer is sent away"
    )

    def __init__(self, **values: Any) -> None:
        super().__init__(_secrets_dir=os.environ.get("GANZHENG_SECRETS_DIR"), **values)


class Settings(ProcessSettings):
    """What every service with a database needs."""

    # Outside demo mode a process needs to know where these publish their keys, or it could accept nobody's token.
    trusted_issuers: ClassVar[tuple[str, ...]] = ()

    database_url: SecretStr
    database_pool: int = Field(default=10, ge=1, le=200)
    broker_url: BrokerUrl | None = None
    broker_heartbeat: int = Field(default=10, ge=1, le=60, description="seconds; two missed ones end a connection")
    stall_seconds: float = Field(
        default=STALL_TIMEOUT, ge=1, le=60, description="what stands still so long is not ready"
    )
    data_keys: SecretStr
    index_key: SecretStr
    jwks_urls: Annotated[dict[str, JwksUrl], NoDecode, BeforeValidator(_parse_object)] = Field(
        default_factory=dict, description="issuer -> address of its JWKS"
    )
    rate_limits: bool = True
    resync_seconds: float = Field(default=300, gt=0, description="how often services compare what they know")
    resync_settle_seconds: float = Field(default=60, ge=0, description="what is younger may still be under way")

    @field_validator("database_url")
    @classmethod
    def _database(cls, value: SecretStr) -> SecretStr:
        try:
            driver = make_url(value.get_secret_value()).drivername
        except Exception:
            # SQLAlchemy has several, and some quote the address.
            driver = ""
        if driver != "postgresql+psycopg":
            raise ValueError("must be a postgresql+psycopg:// address")
        return value

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

    def all_keys(self) -> list[bytes]:
        return [
            *parse_keys(self.data_keys.get_secret_value()).values(),
            parse_key(self.index_key.get_secret_value()),
        ]

    @model_validator(mode="after")
    def _every_key_is_its_own(self) -> Self:
        keys = self.all_keys()
        if len(set(keys)) < len(keys):
            raise ValueError("the data keys, the index key and the signing keys must all differ")
        return self

    def passwords(self) -> Iterator[Password]:
        """List every password among the settings."""
        database = make_url(self.database_url.get_secret_value())
        inner = database.query.get("password", "")
        password = database.password or (inner if isinstance(inner, str) else "".join(inner))
        # Without one it is another way of proving who one is, such as a certificate.
        if password:
            yield Password("database_url", password, (database.username or "", database.database or ""))
        yield from broker_passwords("broker_url", self.broker_url)

    @model_validator(mode="after")
    def _passwords_are_secret(self) -> Self:
        guessable = [each.setting for each in self.passwords() if is_guessable_password(each.value, each.known)]
        if guessable and not self.demo:
            names = ", ".join(f"GANZHENG_{name.upper()}" for name in guessable)
            raise ValueError(f"{names}: the password can be guessed; use a random one, such as of openssl rand -hex 24")
        return self

    @model_validator(mode="after")
    def _issuers_are_known(self) -> Self:
        unknown = [issuer for issuer in self.trusted_issuers if issuer not in self.jwks_urls]
        if unknown and not self.demo:
            raise ValueError(f"GANZHENG_JWKS_URLS: no address for {', '.join(unknown)}")
        return self


class IssuerSettings(Settings):
    """Settings of a service that signs tokens."""

    signing_keys: SecretStr
    access_minutes: int = Field(default=10, ge=1, le=60)
    refresh_hours: int = Field(default=12, ge=1, le=24 * 30)
    browser_idle_minutes: int = Field(default=30, ge=5, le=24 * 60)
    lockout_failures: int = Field(default=5, ge=1, description="of one browser, session or address at one account")
    lockout_failures_of_strangers: int = Field(default=100, ge=1, description="at one account, from wherever")
    lockout_minutes: int = Field(default=15, ge=1)

    @field_validator("signing_keys")
    @classmethod
    def _signing_keys(cls, value: SecretStr) -> SecretStr:
        parse_keys(value.get_secret_value())
        return value

    def all_keys(self) -> list[bytes]:
        return [*super().all_keys(), *parse_keys(self.signing_keys.get_secret_value()).values()]
