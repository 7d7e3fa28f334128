"""What is no secret: defaults and the words people put in their place, repetition, counting, and hashes of such."""

import hashlib
import re
import unicodedata
from collections.abc import Collection, Sequence

# Defaults of the programs used here, and what people try first. In lower case, without signs.
_LISTED = """
guest postgres postgresql minioadmin minio rabbitmq admin administrator root user username password passwd pass
secret secretkey accesskey changeme changethis changeit change replace me this please now todo fixme default
example sample test testing demo dev develop development prod production staging local localhost database dbpass
ganzheng enterprise renewal review certnumber portal celery broker key letmein welcome hello iloveyou monkey dragon
1qaz 2wsx 3edc 4rfv 5tgb 6yhn 7ujm 1q2w 3e4r 5t6y 7u8i 9o0p 1q 2w 3e 4r
qwerty qwertyuiop asdf asdfgh asdfghjkl zxcvbn zxcvbnm qazwsx wsxedc aaa abc abcd xyz hunter mima huanzheng nanchang
jiangxi correct horse battery staple
"""
WORDS = frozenset(_LISTED.split())
MIN_PASSWORD = 12
# Of what is left of a password without such words.
MIN_REST = 8
MIN_DISTINCT = 6
MIN_DIGITS = 20
PRINTABLE = range(0x20, 0x7F)
_LOOKALIKES = str.maketrans("013457@$!", "oleast" + "asi")
_HASHED = {hashlib.sha256(word.encode()).digest() for word in WORDS}


def is_guessable_key(key: bytes) -> bool:
    """Tell whether a key cannot have come from a random source; a random one is called so less than once in 10^9."""
    # A random key is text once in 10^14 times.
    if all(byte in PRINTABLE for byte in key) or key in _HASHED:
        return True
    return any(len(set(steps)) < 0.6 * len(steps) for steps in _steps(key, 256))


def is_guessable_password(password: str, known: Collection[str] = ()) -> bool:
    """Tell whether a machine's password is one that others would try. `known` are names that are no secret, such as
    that of its user."""
    folded = unicodedata.normalize("NFKC", password).casefold()
    names = [part for name in known for part in re.split(r"[\W_]+", name.casefold()) if len(part) >= 3]
    words = sorted({*WORDS, *names}, key=len, reverse=True)
    readings = {folded, folded.translate(_LOOKALIKES), re.sub(r"[\W_]", "", folded)}
    return len(password) < MIN_PASSWORD or any(_is_poor(_without(words, reading)) for reading in readings)


def _without(words: Sequence[str], text: str) -> str:
    """What is left of a text: letters and digits that are in no such word, up to where it begins to repeat."""
    rest = re.sub(r"[\W_]", "", re.sub("|".join(words), "", text))
    return rest[: (rest + rest).find(rest, 1)] if rest else ""


def _is_poor(rest: str) -> bool:
    if len(rest) < MIN_REST or len(set(rest)) < MIN_DISTINCT or (rest.isdigit() and len(rest) < MIN_DIGITS):
        return True
    return any(max(map(steps.count, set(steps))) > 0.6 * len(steps) for steps in _steps([*map(ord, rest)], 0)[1:])


def _steps(values: Sequence[int], modulus: int) -> list[list[int]]:
    """The values, the differences of those that are 1, 2, 3 or 4 apart, and the differences of these."""
    found = [list(values)]
    for apart in range(1, 5):
        first = _differences(values, apart, modulus)
        found += [first, _differences(first, 1, modulus)]
    return [steps for steps in found if len(steps) > 3]


def _differences(values: Sequence[int], apart: int, modulus: int) -> list[int]:
    found = [later - earlier for earlier, later in zip(values, values[apart:], strict=False)]
    return [step % modulus for step in found] if modulus else found
