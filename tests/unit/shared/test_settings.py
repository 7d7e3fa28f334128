"""A process without proper secrets refuses to start, and does not say what they are."""

import base64
import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from shared.settings import IssuerSettings, Settings, parse_key, parse_keys

SECRETS = ("database_url", "data_keys", "index_key", "signing_keys")


def key(raw: bytes | None = None) -> str:
    return base64.b64encode(raw or os.urandom(32)).decode()


@pytest.fixture
def good(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    for name in os.environ:
        if name.startswith("GANZHENG_"):
            monkeypatch.delenv(name)
    return {
        "database_url": "postgresql+psycopg://user:hunter2@localhost/db",
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

    @pytest.mark.parametrize("name", ["data_keys", "index_key", "signing_keys"])
    @pytest.mark.parametrize(
        "secret",
        [
            key(os.urandom(31)),
            key(os.urandom(33)),
            key(bytes(32)),
            key(b"changeme" * 4),
            key(b"\x00\x01\x02\x03" * 8),
            "changeme-changeme-changeme-chang",
            "不是密钥",
            "",
        ],
        ids=["short", "long", "zeros", "repeated", "few distinct bytes", "words", "not ascii", "empty"],
    )
    def test_a_bad_one_is_refused_without_being_told(self, good: dict[str, Any], name: str, secret: str) -> None:
        good[name] = secret if name == "index_key" else f"k1:{secret}"
        with pytest.raises(ValidationError, match=name) as error:
            IssuerSettings(**good)
        told = f"{error.value} {error.value!r}"
        assert not secret or secret not in told
        assert good["database_url"] not in told

    def test_a_bad_key_among_good_ones_is_refused(self, good: dict[str, Any]) -> None:
        good["data_keys"] += f",k2:{key(bytes(32))}"
        with pytest.raises(ValidationError, match="data_keys"):
            Settings(**good)

    def test_the_index_key_must_be_its_own(self, good: dict[str, Any]) -> None:
        good["data_keys"] = f"k1:{key()},k2:{good['index_key']}"
        with pytest.raises(ValidationError, match="index key") as error:
            Settings(**good)
        assert good["index_key"] not in str(error.value)


class TestSources:
    def test_the_environment(self, good: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in good.items():
            monkeypatch.setenv(f"GANZHENG_{name.upper()}", value)
        assert IssuerSettings().index_key.get_secret_value() == good["index_key"]

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

    @pytest.mark.parametrize("text", ["", ":", "no separator", f"two words:{key()}", f":{key()}", f"a.b:{key()}"])
    def test_what_is_no_list_of_keys(self, text: str) -> None:
        with pytest.raises(ValueError, match="key"):
            parse_keys(text)

    def test_one_name_for_two_keys_is_refused(self) -> None:
        with pytest.raises(ValueError, match="key"):
            parse_keys(f"k:{key()},k:{key()}")

    def test_parse_key(self) -> None:
        raw = os.urandom(32)
        assert parse_key(key(raw)) == raw
