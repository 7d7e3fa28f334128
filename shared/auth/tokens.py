"""Access tokens: short-lived EdDSA JWTs that every service verifies itself with the issuer's JWKS."""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from shared.auth.errors import InvalidToken
from shared.errors import Unavailable
from shared.values.clock import Clock

AUDIENCE = "ganzheng"


@dataclass(frozen=True)
class Kind:
    """Whom an issuer knows. Its keys vouch for nobody else, so that no service can make itself people of another."""

    audience: str
    roles: frozenset[str]


ISSUERS: Mapping[str, Kind] = {
    "enterprise": Kind("ganzheng:enterprises", frozenset({"enterprise"})),
    "review": Kind("ganzheng:authority", frozenset({"reviewer", "registrar", "admin"})),
}
JWKS_LIFETIME = timedelta(minutes=5)
JWKS_MIN_INTERVAL = timedelta(seconds=5)
LEEWAY_SECONDS = 10
# A token is given again for so long.
REUSED = timedelta(minutes=1)
# More than are good at one time in one process; the one longest here goes first.
MAX_VERIFIED = 20_000


@dataclass(frozen=True)
class Principal:
    """Who calls. `roles` holds any of those that the issuer's Kind has."""

    issuer: str
    subject: UUID
    session: UUID
    name: str
    roles: frozenset[str]
    must_change_password: bool


class SigningKeys:
    """The issuer's Ed25519 seeds by key id: the first signs, all are published, so that keys can be rotated."""

    def __init__(self, issuer: str, seeds: Mapping[str, bytes]) -> None:
        self.issuer = issuer
        # Issuers that are given the same seeds (all services in one process) still have keys of their own.
        derived = {key_id: hmac.digest(seed, f"signing:{issuer}".encode(), "sha256") for key_id, seed in seeds.items()}
        self._keys = {key_id: Ed25519PrivateKey.from_private_bytes(seed) for key_id, seed in derived.items()}
        self._public_keys = {key_id: key.public_key() for key_id, key in self._keys.items()}
        self._current = next(iter(self._keys))
        self._given: dict[Principal, tuple[str, datetime]] = {}

    def token_for(self, principal: Principal, now: datetime, lifetime: timedelta) -> tuple[str, datetime]:
        """Give a token and the moment at which it ends: that of less than a minute ago where there is one, because who
        opens page after page is then known to all by a token that they have checked before."""
        token, ends = self._given.pop(principal, ("", now))
        if not lifetime - REUSED < ends - now <= lifetime:
            token, ends = self.sign(principal, now, lifetime), now + lifetime
        while len(self._given) >= MAX_VERIFIED:
            del self._given[next(iter(self._given))]
        self._given[principal] = token, ends
        return token, ends

    def sign(self, principal: Principal, now: datetime, lifetime: timedelta) -> str:
        claims = {
            "iss": self.issuer,
            # The first alone is what the version before asks for, and what it says itself.
            "aud": [AUDIENCE, ISSUERS[self.issuer].audience],
            "sub": str(principal.subject),
            "sid": str(principal.session),
            "jti": str(uuid4()),
            "iat": int(now.timestamp()),
            "exp": int((now + lifetime).timestamp()),
            "name": principal.name,
            "roles": sorted(principal.roles),
            "pwd": principal.must_change_password,
        }
        return jwt.encode(claims, self._keys[self._current], algorithm="EdDSA", headers={"kid": self._current})

    def public_keys(self) -> Mapping[str, Ed25519PublicKey]:
        return self._public_keys

    def jwks(self) -> dict[str, Any]:
        """Publish the public keys as an RFC 7517 key set (RFC 8037 for Ed25519)."""
        return {
            "keys": [
                {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": key_id, "x": _raw(key)}
                for key_id, key in self.public_keys().items()
            ]
        }


def _raw(key: Ed25519PublicKey) -> str:
    return base64.urlsafe_b64encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode().rstrip("=")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()


def _claimed(token: str) -> tuple[str, str]:
    """Read issuer and key id as the token says them. Raises InvalidToken."""
    try:
        read = jwt.decode_complete(token, options={"verify_signature": False})
    except (jwt.InvalidTokenError, ValueError):
        raise InvalidToken from None
    return str(read["payload"].get("iss")), str(read["header"].get("kid"))


def _public(jwk: Mapping[str, Any]) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(str(jwk["x"]) + "=="))


@dataclass(frozen=True, slots=True)
class _Verified:
    """A token whose signature was checked: by which key, and from and until when (seconds since 1970) it is good."""

    principal: Principal
    key_id: str
    key: Ed25519PublicKey
    begins: float
    ends: float


class TokenVerifier:
    """Verifies tokens of `own` issuer at once and of the issuers in `jwks_urls` by their published keys.

    A signature is checked once; that the key is still published, and the token's time, whenever it is shown.
    """

    def __init__(
        self,
        clock: Clock,
        jwks_urls: Mapping[str, str],
        *,
        own: SigningKeys | None = None,
        client: httpx2.AsyncClient | None = None,
        room: int = MAX_VERIFIED,
    ) -> None:
        self._clock = clock
        self._urls = dict(jwks_urls)
        self._own = own
        self._client = client
        self._room = room
        self._keys: dict[str, dict[str, Ed25519PublicKey]] = {}
        self._fetched: dict[str, datetime] = {}
        self._fetching = asyncio.Lock()
        self._verified: dict[bytes, _Verified] = {}

    async def verify(self, token: str) -> Principal:
        """Check a token and give whom it names. Raises InvalidToken; Unavailable without the issuer's keys."""
        seen = self._verified.get(_digest(token))
        issuer, key_id = (seen.principal.issuer, seen.key_id) if seen else _claimed(token)
        await self._refresh(issuer, key_id)
        return self.verify_at_hand(token)

    def verify_at_hand(self, token: str) -> Principal:
        """Check a token with the keys that are here now, whatever their age. Raises InvalidToken."""
        digest = _digest(token)
        seen = self._verified.get(digest)
        if seen is None or self._key(seen.principal.issuer, seen.key_id) != seen.key:
            self._verified.pop(digest, None)
            seen = self._check(token)
            while len(self._verified) >= self._room:
                del self._verified[next(iter(self._verified))]
            self._verified[digest] = seen
        # Against our own clock, so that tests of expiry need not wait.
        if not seen.begins <= self._clock.now().timestamp() <= seen.ends:
            self._verified.pop(digest, None)
            raise InvalidToken
        return seen.principal

    def _check(self, token: str) -> _Verified:
        issuer, key_id = _claimed(token)
        kind, key = ISSUERS.get(issuer), self._key(issuer, key_id)
        if kind is None or key is None:
            raise InvalidToken
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=["EdDSA"],
                audience=AUDIENCE,
                issuer=issuer,
                options={
                    "require": ["exp", "iat", "sub", "jti", "sid"],
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
            roles = frozenset(claims["roles"])
            audience = {claims["aud"]} if isinstance(claims["aud"], str) else set(claims["aud"])
            own = roles <= kind.roles and audience <= {AUDIENCE, kind.audience}
            if not (own and isinstance(claims["roles"], list)):
                raise InvalidToken
            principal = Principal(
                issuer=issuer,
                subject=UUID(claims["sub"]),
                session=UUID(claims["sid"]),
                name=str(claims["name"]),
                roles=roles,
                must_change_password=bool(claims["pwd"]),
            )
            begins = float(claims.get("nbf", 0)) - LEEWAY_SECONDS
            return _Verified(principal, key_id, key, begins, float(claims["exp"]) + LEEWAY_SECONDS)
        except (jwt.InvalidTokenError, KeyError, ValueError, TypeError, OverflowError):
            raise InvalidToken from None

    def _key(self, issuer: str, key_id: str) -> Ed25519PublicKey | None:
        if self._own is not None and issuer == self._own.issuer:
            return self._own.public_keys().get(key_id)
        return self._keys.get(issuer, {}).get(key_id)

    async def _refresh(self, issuer: str, key_id: str) -> None:
        """Fetch the keys of another issuer where those here are old, or this one is not among them."""
        own = self._own is not None and issuer == self._own.issuer
        if own or issuer not in ISSUERS or issuer not in self._urls or not self._stale(issuer, key_id):
            return
        async with self._fetching:
            if self._stale(issuer, key_id):
                await self._fetch(issuer)

    def _stale(self, issuer: str, key_id: str) -> bool:
        fetched = self._fetched.get(issuer)
        if fetched is None:
            return True
        age = self._clock.now() - fetched
        return age > JWKS_LIFETIME or (key_id not in self._keys[issuer] and age > JWKS_MIN_INTERVAL)

    async def _fetch(self, issuer: str) -> None:
        if self._client is None:
            self._client = httpx2.AsyncClient(timeout=5)
        try:
            response = await self._client.get(self._urls[issuer])
            response.raise_for_status()
            self._keys[issuer] = {str(jwk["kid"]): _public(jwk) for jwk in response.json()["keys"]}
        except (httpx2.HTTPError, KeyError, ValueError) as error:
            # Known keys stay good while the issuer is away.
            if issuer not in self._keys:
                raise Unavailable(retry_after=2) from error
        self._fetched[issuer] = self._clock.now()
