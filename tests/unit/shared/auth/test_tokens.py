"""Each issuer's key vouches for its own people only, whatever it signs."""

import os
from datetime import timedelta
from typing import Any
from uuid import uuid4

import jwt
import pytest

from shared.auth.errors import InvalidToken
from shared.auth.tokens import AUDIENCE, ISSUERS, Principal, SigningKeys, TokenVerifier
from tests.support.clock import ManualClock

ROLES = ("enterprise", "reviewer", "registrar", "admin")
FOREIGN = [(issuer, role) for issuer, kind in ISSUERS.items() for role in {*ROLES, "root"} - kind.roles]


class Issuer:
    """An issuer that somebody has taken over: its key signs whatever is wanted."""

    def __init__(self, name: str) -> None:
        self.clock = ManualClock()
        self.signing = SigningKeys(name, {"k": os.urandom(32)})
        self.verifier = TokenVerifier(self.clock, {}, own=self.signing)

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
