"""A process without proper secrets refuses to start, and does not say what they are."""

import base64
import os
import random
import secrets
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import pytest
from pydantic import ValidationError

from services.certnumber.settings import CertnumberSettings
from services.renewal.settings import RenewalSettings
from shared.runtime.settings import IssuerSettings, Settings, parse_key, parse_keys

SECRETS = ("database_url", "data_keys", "index_key", "signing_keys")


# The same in every process, as tests are named by it.
CHANCE = random.Random(40)


def key(raw: bytes | None = None) -> str:
    return base64.b64encode(raw or CHANCE.randbytes(32)).decode()


KEY = key()
NEW = base64.urlsafe_b64encode(CHANCE.randbytes(24)).decode()
GUESSABLE = (
    "guest",
    "postgres",
    "minioadmin",
    "changeme",
    "CHANGE_ME_PLEASE_NOW",
    "changeme-changeme-changeme",
    "Passw0rd!Passw0rd!",
    "P@$$w0rd1234",
    "ｃｈａｎｇｅｍｅｃｈａｎｇｅｍｅ",
    "ganzheng-prod-2026!",
    "enterprise_owner-2026",
    "0123456789abcdef0123456789abcdef",
    "zyxwvutsrqponmlk",
    "1a2b3c4d5e6f7g8h",
    "aaaaaaaaaaaaaaaaaaaaaaaa",
    "Xk9!Xk9!Xk9!Xk9!",
    "qwertyuiop123456",
    "1qaz2wsx3edc4rfv",
    "19491001194910",
    "Zk7-pQ",
)
# Every setting that holds a password, for each kind of process.
PASSWORDS: list[tuple[type[Settings], str, str]] = [
    (IssuerSettings, "database_url", "postgresql+psycopg://enterprise_owner:{}@postgres/enterprise"),
    (IssuerSettings, "database_url", "postgresql+psycopg://enterprise_owner@postgres/enterprise?password={}"),
    (IssuerSettings, "broker_url", "amqp://enterprise_owner:{}@rabbitmq:5672/ganzheng"),
    (CertnumberSettings, "celery_broker_url", "amqps://enterprise_owner:{}@rabbitmq/celery"),
    (RenewalSettings, "s3_secret_key", "{}"),
]


@pytest.fixture
def good(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    for name in os.environ:
        if name.startswith("GANZHENG_"):
            monkeypatch.delenv(name)
    return {
        "database_url": "postgresql+psycopg://user:mLz4-Rk81xq_Tn0@localhost/db",
        "data_keys": f"k1:{key()}",
        "index_key": key(),
        "signing_keys": f"s1:{key()}",
    }


class TestSecrets:
    def test_good_ones_are_accepted_and_never_shown(self, good: dict[str, Any]) -> None:
        settings = IssuerSettings(**good)
        assert settings.index_key.get_secret_value() == good["index_key"]
        for text in (repr(settings), str(settings), settings.model_dump_json()):
            assert not [name for name in SECRETS if good[name] in text or good[name].split(":")[-1] in text]

    @pytest.mark.parametrize("name", SECRETS)
    def test_there_is_no_default(self, good: dict[str, Any], name: str) -> None:
        del good[name]
        with pytest.raises(ValidationError, match=name):
            IssuerSettings(**good)

    @pytest.mark.parametrize(
        "secret",
        [
            key(CHANCE.randbytes(31)),
            key(CHANCE.randbytes(33)),
            key(bytes(32)),
            key(b"changeme" * 4),
            key(b"\x00\x01\x02\x03" * 8),
            key(b"correct horse battery staple 32b"),
            key(bytes(range(32))),
            key(bytes(range(231, 199, -1))),
            key(bytes(range(0, 64, 2))),
            key(bytes(n * 37 % 256 for n in range(32))),
            key(bytes(n * n % 256 for n in range(32))),
            key(bytes(range(16)) * 2),
            key(bytes(n // 2 if n % 2 else 255 - n // 2 for n in range(32))),
            key(bytes.fromhex("0123456789abcdef" * 4)),
            key(b"\xff" * 32),
            key(bytes(31) + b"\x01"),
            key(sha256(b"changeme").digest()),
            "changeme-changeme-changeme-chang",
            "不是密钥",
            "",
        ],
        ids=[
            *["short", "long", "zeros", "repeated", "few distinct bytes", "text"],
            *["counting", "counting down", "counting by two", "counting by 37", "squares", "counting twice"],
            *["two counts", "hex digits", "ones", "one", "hash of a word", "words", "not ascii", "empty"],
        ],
    )
    def test_a_bad_one_is_refused_without_being_told(self, good: dict[str, Any], secret: str) -> None:
        good |= {"data_keys": f"k1:{secret}", "index_key": secret, "signing_keys": f"k1:{secret}"}
        with pytest.raises(ValidationError) as error:
            IssuerSettings(**good)
        assert {each["loc"] for each in error.value.errors()} >= {("data_keys",), ("index_key",), ("signing_keys",)}
        told = f"{error.value} {error.value!r}"
        assert not secret or secret not in told
        assert good["database_url"] not in told

    def test_a_bad_key_among_good_ones_is_refused(self, good: dict[str, Any]) -> None:
        good["data_keys"] += f",k2:{key(bytes(32))}"
        with pytest.raises(ValidationError, match="data_keys"):
            Settings(**good)

    @pytest.mark.parametrize("name", ["data_keys", "signing_keys"])
    @pytest.mark.parametrize("other", ["index_key", "data_keys", "signing_keys"])
    def test_every_key_must_be_its_own(self, good: dict[str, Any], name: str, other: str) -> None:
        repeated = good[other].split(":")[-1]
        good[name] = f"{good[name]},again:{repeated}"
        with pytest.raises(ValidationError, match="must all differ") as error:
            IssuerSettings(**good)
        assert repeated not in str(error.value)


class TestPasswords:
    OWN: ClassVar[dict[str, Any]] = {
        "s3_endpoint": "s3:9000",
        "s3_access_key": "enterprise_owner",
        "s3_secret_key": NEW,
        "jwks_urls": {"enterprise": "https://enterprise/jwks.json", "review": "https://review/jwks.json"},
    }

    # One rule judges all of them: each setting asks it, and it knows each password.
    @pytest.mark.parametrize(
        ("kind", "name", "form", "password"),
        [(*PASSWORDS[at % len(PASSWORDS)], password) for at, password in enumerate(GUESSABLE)],
    )
    def test_a_guessable_one_is_refused_outside_demo_mode_without_being_told(
        self, good: dict[str, Any], kind: type[Settings], name: str, form: str, password: str
    ) -> None:
        values = {**good, **self.OWN, name: form.format(password if form == "{}" else quote(password, safe=""))}
        with pytest.raises(ValidationError, match=f"GANZHENG_{name.upper()}: the password can be guessed") as error:
            kind(**values)
        # Some are words of the message, and of the setting's name, themselves.
        assert password in name or password == "guest" or password not in str(error.value)
        assert kind(**values, demo=True).demo

    @pytest.mark.parametrize(("kind", "name", "form"), PASSWORDS)
    def test_random_ones_are_accepted(self, good: dict[str, Any], kind: type[Settings], name: str, form: str) -> None:
        for password in (secrets.token_hex(12), secrets.token_urlsafe(16), secrets.token_urlsafe(24)):
            assert kind(**{**good, **self.OWN, name: form.format(password)})

    def test_a_broker_without_a_password_is_asked_as_guest(self, good: dict[str, Any]) -> None:
        with pytest.raises(ValidationError, match="GANZHENG_BROKER_URL: the password"):
            IssuerSettings(**good | {"broker_url": "amqp://rabbitmq"})

    def test_a_database_may_ask_for_no_password(self, good: dict[str, Any]) -> None:
        assert IssuerSettings(**good | {"database_url": "postgresql+psycopg://user@localhost/db"})


class TestAddresses:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("database_url", "postgresql://user:hunter2@localhost/db"),
            ("database_url", "postgresql+psycopg://user:hunter2@localhost:port/db"),
            ("database_url", "hunter2"),
            ("broker_url", "http://user:hunter2@localhost/"),
            ("broker_url", "amqp://user:hunter2@"),
            ("broker_url", "amqp://user:hunter2/rest@localhost"),
            ("broker_url", ""),
            ("jwks_urls", "hunter2"),
            ("jwks_urls", '["hunter2"]'),
            ("jwks_urls", '{"review": "hunter2"}'),
            ("log_level", "hunter2"),
        ],
    )
    def test_a_bad_one_is_refused_without_being_told(self, good: dict[str, Any], name: str, value: str) -> None:
        with pytest.raises(ValidationError, match=name) as error:
            IssuerSettings(**good | {name: value})
        assert "hunter2" not in str(error.value)

    def test_a_log_level_may_be_written_small(self, good: dict[str, Any]) -> None:
        assert IssuerSettings(**good | {"log_level": "debug"}).log_level == "DEBUG"

    @pytest.mark.parametrize("url", ["amqp://user:f3a91c07be42@localhost", f"amqps://user:{NEW}@broker:5671/vhost"])
    def test_a_good_broker(self, good: dict[str, Any], url: str) -> None:
        settings = IssuerSettings(**good | {"broker_url": url})
        assert settings.broker_url is not None
        assert settings.broker_url.get_secret_value() == url


class TestServices:
    PICTURES: ClassVar[dict[str, str]] = {"store_directory": "pictures"}

    @pytest.mark.parametrize(
        ("kind", "own", "issuers"),
        [(RenewalSettings, PICTURES, ("enterprise", "review")), (CertnumberSettings, {}, ("review",))],
    )
    def test_trusted_issuers_need_an_address_outside_demo_mode(
        self, good: dict[str, Any], kind: type[Settings], own: dict[str, Any], issuers: tuple[str, ...]
    ) -> None:
        urls = {issuer: f"https://{issuer}/jwks.json" for issuer in issuers}
        assert kind(**good, **own, jwks_urls=urls).jwks_urls == urls
        assert kind(**good, **own, demo=True).jwks_urls == {}
        for issuer in issuers:
            others = {name: url for name, url in urls.items() if name != issuer}
            with pytest.raises(ValidationError, match=f"GANZHENG_JWKS_URLS: no address for {issuer}"):
                kind(**good, **own, jwks_urls=others)

    @pytest.mark.parametrize(
        "address", ["", "nonsense", "s3.example", "ftp://s3.example", "https://s3.example/pictures"]
    )
    def test_links_to_pictures_need_an_address(self, good: dict[str, Any], address: str) -> None:
        known = {**good, **self.PICTURES, "demo": True}
        with pytest.raises(ValidationError, match="s3_public_endpoint"):
            RenewalSettings(**known, s3_public_endpoint=address)
        assert RenewalSettings(**known, s3_public_endpoint="https://s3.example").s3_public_endpoint

    def test_pictures_need_a_place(self, good: dict[str, Any]) -> None:
        with pytest.raises(ValidationError, match="GANZHENG_S3_ACCESS_KEY, GANZHENG_S3_SECRET_KEY: Field required"):
            RenewalSettings(**good, demo=True, s3_endpoint="s3:9000")


class TestSources:
    def test_the_environment(self, good: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in good.items():
            monkeypatch.setenv(f"GANZHENG_{name.upper()}", value)
        monkeypatch.setenv("GANZHENG_JWKS_URLS", '{"review": "https://review/jwks.json"}')
        settings = IssuerSettings()
        assert settings.index_key.get_secret_value() == good["index_key"]
        assert settings.jwks_urls == {"review": "https://review/jwks.json"}

    def test_files_in_a_directory(self, good: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in good.items():
            (tmp_path / f"ganzheng_{name}").write_text(value + "\n")
        monkeypatch.setenv("GANZHENG_SECRETS_DIR", str(tmp_path))
        assert IssuerSettings().index_key.get_secret_value() == good["index_key"]


class TestKeys:
    def test_several_are_kept_in_order(self) -> None:
        first, second = os.urandom(32), os.urandom(32)
        keys = parse_keys(f"new:{key(first)}, old:{key(second)}")
        assert list(keys.items()) == [("new", first), ("old", second)]

    @pytest.mark.parametrize("text", ["", ":", "no separator", f"two words:{KEY}", f":{KEY}", f"a.b:{KEY}"])
    def test_what_is_no_list_of_keys(self, text: str) -> None:
        with pytest.raises(ValueError, match="key"):
            parse_keys(text)

    def test_one_name_for_two_keys_is_refused(self) -> None:
        with pytest.raises(ValueError, match="key"):
            parse_keys(f"k:{key()},k:{key()}")

    def test_parse_key(self) -> None:
        raw = os.urandom(32)
        assert parse_key(key(raw)) == raw
