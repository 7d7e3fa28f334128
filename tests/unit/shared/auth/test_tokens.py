"""Each issuer's key vouches for its own people only, whatever it signs."""

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx2
import jwt
import pytest

from shared.auth.errors import InvalidToken
from shared.auth.tokens import AUDIENCE, ISSUERS, Principal, SigningKeys, TokenVerifier
from tests.support.clock import ManualClock

ROLES = ("enterprise", "reviewer", "registrar", "admin")
FOREIGN = [(issuer, role) for issuer, kind in ISSUERS.items() for role in {*ROLES, "root"} - kind.roles]


class Issuer:
    """An issuer that somebody has taken over: its key signs whatever is wanted."""

    def __init__(self, name: str, **options: Any) -> None:
        self.clock = ManualClock()
        self.signing = SigningKeys(name, {"k": os.urandom(32)})
        self.verifier = TokenVerifier(self.clock, {}, own=self.signing, **options)

    def token(self, *roles: str) -> str:
        principal = Principal(self.signing.issuer, uuid4(), uuid4(), "某某", frozenset(roles), False)
        return self.signing.sign(principal, self.clock.now(), timedelta(minutes=5))

    def altered(self, **claims: Any) -> str:
        own = jwt.decode(self.token(), options={"verify_signature": False})
        return jwt.encode({**own, **claims}, self.signing._keys["k"], "EdDSA", headers={"kid": "k"})


@pytest.mark.parametrize(("issuer", "role"), FOREIGN)
async def test_a_role_of_other_people_is_refused(issuer: str, role: str) -> None:
    taken = Issuer(issuer)
    for roles in ((role,), (role, *ISSUERS[issuer].roles)):
        with pytest.raises(InvalidToken):
            await taken.verifier.verify(taken.token(*roles))


@pytest.mark.parametrize("issuer", ISSUERS)
async def test_its_own_roles_are_accepted(issuer: str) -> None:
    own = Issuer(issuer)
    principal = await own.verifier.verify(own.token(*ISSUERS[issuer].roles))
    assert (principal.issuer, principal.roles) == (issuer, ISSUERS[issuer].roles)


@pytest.mark.parametrize("issuer", ISSUERS)
async def test_the_audience_is_that_of_its_own_people(issuer: str) -> None:
    own = Issuer(issuer)
    (other,) = (kind.audience for name, kind in ISSUERS.items() if name != issuer)
    # The first is what the version before says.
    good: list[Any] = [AUDIENCE, [AUDIENCE], [AUDIENCE, ISSUERS[issuer].audience]]
    bad: list[Any] = [other, [AUDIENCE, other], [ISSUERS[issuer].audience], [AUDIENCE, "elsewhere"], [[AUDIENCE]], {}]
    for audience in good:
        await own.verifier.verify(own.altered(aud=audience))
    for audience in bad:
        with pytest.raises(InvalidToken):
            await own.verifier.verify(own.altered(aud=audience))


@pytest.mark.parametrize("roles", ["admin", "enterprise", [["admin"]], {"admin": 1}, 7, None])
async def test_roles_are_a_list_of_names(roles: Any) -> None:
    for issuer in ISSUERS:
        taken = Issuer(issuer)
        with pytest.raises(InvalidToken):
            await taken.verifier.verify(taken.altered(roles=roles))


async def test_an_issuer_that_nobody_knows_is_refused_even_as_ones_own() -> None:
    with pytest.raises(KeyError):
        Issuer("certnumber").token()


class Reader:
    """Another service, which knows the issuer by what it publishes."""

    def __init__(self, seeds: Mapping[str, bytes]) -> None:
        self.clock = ManualClock()
        self.publish(seeds)
        client = httpx2.AsyncClient(transport=httpx2.MockTransport(self._answer))
        self.verifier = TokenVerifier(self.clock, {"enterprise": "http://issuer/jwks"}, client=client)

    def publish(self, seeds: Mapping[str, bytes]) -> None:
        self.signing = SigningKeys("enterprise", seeds)

    def token(self) -> str:
        principal = Principal("enterprise", uuid4(), uuid4(), "某某", frozenset({"enterprise"}), False)
        return self.signing.sign(principal, self.clock.now(), timedelta(hours=1))

    def _answer(self, _request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json=self.signing.jwks())


async def test_a_token_that_was_seen_before_ends_with_its_time() -> None:
    own = Issuer("enterprise")
    token = own.token("enterprise")
    own.clock.advance(minutes=5)
    await own.verifier.verify(token)
    own.clock.advance(seconds=11)
    for _ in range(2):
        with pytest.raises(InvalidToken):
            await own.verifier.verify(token)


async def test_a_token_that_is_not_good_yet_is_good_when_its_time_comes() -> None:
    own = Issuer("review")
    token = own.altered(roles=["admin"], nbf=own.clock.now().timestamp() + 60)
    with pytest.raises(InvalidToken):
        await own.verifier.verify(token)
    own.clock.advance(seconds=60)
    assert (await own.verifier.verify(token)).roles == {"admin"}


@pytest.mark.parametrize("later", [{"k2": os.urandom(32)}, {"k1": os.urandom(32)}])
async def test_a_token_that_was_seen_before_is_refused_when_its_key_is_gone(later: Mapping[str, bytes]) -> None:
    """Whether its id is gone as well, or another key has it now."""
    reader = Reader({"k1": os.urandom(32)})
    token = reader.token()
    await reader.verifier.verify(token)
    reader.publish(later)
    reader.clock.advance(minutes=4)
    await reader.verifier.verify(token)
    reader.clock.advance(minutes=2)
    with pytest.raises(InvalidToken):
        await reader.verifier.verify(token)
    with pytest.raises(InvalidToken):
        reader.verifier.verify_at_hand(token)


async def test_a_token_goes_on_when_keys_are_added() -> None:
    old = {"k1": os.urandom(32)}
    reader = Reader(old)
    token = reader.token()
    await reader.verifier.verify(token)
    reader.publish({"k2": os.urandom(32)} | old)
    reader.clock.advance(minutes=6)
    assert await reader.verifier.verify(token) == reader.verifier.verify_at_hand(token)
    assert await reader.verifier.verify(reader.token())


async def test_what_is_known_at_hand_asks_nobody() -> None:
    reader = Reader({"k1": os.urandom(32)})
    token = reader.token()
    with pytest.raises(InvalidToken):
        reader.verifier.verify_at_hand(token)
    await reader.verifier.verify(token)
    assert reader.verifier.verify_at_hand(reader.token()).issuer == "enterprise"


async def test_more_tokens_than_are_kept_are_all_good() -> None:
    own = Issuer("enterprise", room=2)
    tokens = [own.token("enterprise") for _ in range(4)]
    for token in tokens * 2:
        await own.verifier.verify(token)


@pytest.mark.parametrize("part", range(3))
async def test_a_token_of_which_a_part_was_changed_is_another_one(part: int) -> None:
    own = Issuer("enterprise")
    token = own.token("enterprise")
    await own.verifier.verify(token)
    parts = token.split(".")
    parts[part] = parts[part][:5] + ("A" if parts[part][5] != "A" else "B") + parts[part][6:]
    with pytest.raises(InvalidToken):
        await own.verifier.verify(".".join(parts))
