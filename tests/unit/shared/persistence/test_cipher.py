"""Encryption at rest and in events, and the blind index."""

import base64
import os
from datetime import date

import pytest
from pydantic import BaseModel

from shared.persistence.cipher import KEY_BYTES, DecryptionFailed, FieldCipher

OLD, NEW, INDEX = os.urandom(KEY_BYTES), os.urandom(KEY_BYTES), os.urandom(KEY_BYTES)


class Block(BaseModel):
    name: str
    valid_until: date | None


@pytest.fixture
def cipher() -> FieldCipher:
    return FieldCipher({"k1": OLD}, INDEX)


def damage(ciphertext: str, position: int) -> str:
    key_id, _, encoded = ciphertext.partition(".")
    raw = bytearray(base64.urlsafe_b64decode(encoded))
    raw[position] ^= 1
    return f"{key_id}.{base64.urlsafe_b64encode(raw).decode()}"


class TestEncryption:
    @pytest.mark.parametrize("text", ["", "周清远", "x" * 10_000, "\0"])
    def test_round_trip(self, cipher: FieldCipher, text: str) -> None:
        assert cipher.decrypt(cipher.encrypt(text, "a"), "a") == text

    def test_block_round_trip(self, cipher: FieldCipher) -> None:
        block = Block(name="周清远", valid_until=date(2026, 12, 31))
        sealed = cipher.seal(block, "a")
        assert cipher.open(sealed, "a", Block) == block
        assert cipher.decrypt(sealed, "a") == '{"name":"周清远","valid_until":"2026-12-31"}'
        assert sealed.startswith("k1.")
        assert sealed.isascii()

    def test_equal_texts_have_different_ciphertexts(self, cipher: FieldCipher) -> None:
        assert len({cipher.encrypt("same", "a") for _ in range(50)}) == 50

    @pytest.mark.parametrize("position", [0, 11, 12, -1])
    def test_a_changed_byte_is_noticed(self, cipher: FieldCipher, position: int) -> None:
        with pytest.raises(DecryptionFailed):
            cipher.decrypt(damage(cipher.encrypt("text", "a"), position), "a")

    def test_is_bound_to_its_context(self, cipher: FieldCipher) -> None:
        with pytest.raises(DecryptionFailed):
            cipher.decrypt(cipher.encrypt("text", "a"), "b")

    @pytest.mark.parametrize("text", ["", "k1", "k1.", "k1.!", "k1.AAAA", "k2.AAAA", ".", "k1." + "A" * 5, "文.字"])
    def test_what_is_no_ciphertext_is_undecipherable(self, cipher: FieldCipher, text: str) -> None:
        with pytest.raises(DecryptionFailed):
            cipher.decrypt(text, "a")

    def test_the_error_tells_nothing_of_the_text(self, cipher: FieldCipher) -> None:
        with pytest.raises(DecryptionFailed) as error:
            cipher.decrypt("360199199001010012-would-be-a-ciphertext", "a")
        assert "360199199001010012" not in str(error.value)


class TestRotation:
    def test_the_first_key_encrypts_and_the_others_still_decrypt(self) -> None:
        before = FieldCipher({"k1": OLD}, INDEX).encrypt("text", "a")
        rotated = FieldCipher({"k2": NEW, "k1": OLD}, INDEX)
        assert rotated.decrypt(before, "a") == "text"
        assert rotated.encrypt("text", "a").startswith("k2.")

    def test_a_retired_key_decrypts_no_more(self) -> None:
        before = FieldCipher({"k1": OLD}, INDEX).encrypt("text", "a")
        with pytest.raises(DecryptionFailed):
            FieldCipher({"k2": NEW}, INDEX).decrypt(before, "a")

    def test_another_key_of_the_same_name_decrypts_nothing(self) -> None:
        before = FieldCipher({"k1": OLD}, INDEX).encrypt("text", "a")
        with pytest.raises(DecryptionFailed):
            FieldCipher({"k1": NEW}, INDEX).decrypt(before, "a")


class TestBlindIndex:
    def test_is_hmac_sha256_and_so_stable(self) -> None:
        # From `openssl dgst -sha256 -mac HMAC` over "value".
        expected = "864b4c7a15be9448736988ee5390bcdd2944f1a49edd4773ee7269e663a299cf"
        assert FieldCipher({"any": OLD}, bytes(range(32))).blind_index("value") == expected

    def test_differs_by_value_and_by_key(self, cipher: FieldCipher) -> None:
        assert cipher.blind_index("a") != cipher.blind_index("b")
        assert cipher.blind_index("a") != FieldCipher({"k1": OLD}, NEW).blind_index("a")


class TestKeys:
    def test_insists_on_keys_of_the_right_length(self) -> None:
        for data_keys, index_key in (({}, INDEX), ({"k": OLD[:-1]}, INDEX), ({"k": OLD}, INDEX + b"x")):
            with pytest.raises(ValueError, match="key"):
                FieldCipher(data_keys, index_key)

    def test_does_not_show_them(self, cipher: FieldCipher) -> None:
        assert all(str(key) not in repr(cipher) for key in (OLD, INDEX))
