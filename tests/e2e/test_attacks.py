"""What a hostile user tries with tokens, logins, passwords and retries."""

import asyncio
import base64
import json
import secrets
from datetime import date
from typing import Any
from uuid import uuid4

import httpx2
import jwt
import pytest
import sqlalchemy as sa

from deploy.journey import import_people, log_in_enterprise
from deploy.synthetic import id_number, taxpayer_id
from shared.auth import passwords
from shared.values.taxpayer import identity
from shared.web.ratelimit import new_limiter
from tests.e2e.operations import person
from tests.support.platform import ENTERPRISE_PASSWORD, REVIEWER, REVIEWER_PASSWORD, Harness

LOGIN = "/api/enterprise/v1/sessions"
ME = {"enterprise": "/api/enterprise/v1/me", "review": "/api/review/v1/me", "renewal": "/api/renewal/v1/posts"}


@pytest.fixture(scope="module")
async def harness(shared_embedded: Harness) -> Harness:
    return shared_embedded


async def _register(harness: Harness, taxpayer: str, **fields: Any) -> httpx2.Response:
    body = {"taxpayer_id": taxpayer, "name": "某建设", "contact_name": "联系人", "contact_phone": "0791-88888888"}
    return await harness.http.post("/api/enterprise/v1/enterprises", json=body | fields)


def _fresh() -> str:
    return taxpayer_id(secrets.randbelow(10_000_000))


async def _log_in(harness: Harness, taxpayer: str, password: str) -> tuple[int, str]:
    response = await harness.http.post(LOGIN, json={"taxpayer_id": taxpayer, "password": password})
    return response.status_code, response.json().get("code", "")


def _text(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


async def test_forged_tokens(harness: Harness) -> None:
    token = await harness.enterprise()
    signing = {name: harness.platform.containers[name].signing for name in ("enterprise", "review")}
    keys = {name: (next(iter(keys._keys)), next(iter(keys._keys.values()))) for name, keys in signing.items()}
    head = jwt.get_unverified_header(token)
    claims = jwt.decode(token, options={"verify_signature": False})
    key_id, key = keys["enterprise"]
    public = base64.urlsafe_b64decode(signing["enterprise"].jwks()["keys"][0]["x"] + "==")
    signature = token.rsplit(".", 1)[1]

    def signed(change: dict[str, Any], *, kid: Any = key_id, with_key: Any = key) -> str:
        return jwt.encode({**claims, **change}, with_key, algorithm="EdDSA", headers={"kid": kid})

    def lacking(name: str) -> str:
        return jwt.encode({k: v for k, v in claims.items() if k != name}, key, "EdDSA", headers={"kid": key_id})

    past = int(claims["iat"]) - 3600
    forged = {
        "alg none": f"{_text({**head, 'alg': 'none'})}.{_text(claims)}.",
        "alg None with signature": f"{_text({**head, 'alg': 'None'})}.{_text(claims)}.{signature}",
        "public key as secret": jwt.encode(claims, public, algorithm="HS256", headers={"kid": key_id}),
        "tampered roles": f"{_text(head)}.{_text({**claims, 'roles': ['admin', 'reviewer']})}.{signature}",
        "tampered subject": f"{_text(head)}.{_text({**claims, 'sub': str(uuid4())})}.{signature}",
        "no signature": token.rsplit(".", 1)[0] + ".",
        "cut": token[:-2],
        "wrong audience": signed({"aud": "elsewhere"}),
        "no audience": lacking("aud"),
        "wrong issuer": signed({"iss": "evil"}),
        "other service's key": signed({}, with_key=keys["review"][1]),
        "other service's issuer": signed({"iss": "review"}, kid=keys["review"][0]),
        "expired": signed({"exp": past}),
        "no expiry": lacking("exp"),
        "expiry as text": signed({"exp": "never"}),
        "no session": lacking("sid"),
        "unknown session": signed({"sid": "not-a-uuid"}),
        "no subject": lacking("sub"),
        "subject no uuid": signed({"sub": "1 OR 1=1"}),
        "no roles": lacking("roles"),
        "no password flag": lacking("pwd"),
        "roles as number": signed({"roles": 7}),
        "kid path": signed({}, kid="../../../dev/null"),
        "kid sql": signed({}, kid="' UNION SELECT 'x"),
        "kid other": signed({}, kid="k99"),
        "deep header": f"{_text(b'[' * 30_000)}.{_text(claims)}.{signature}",
        "deep claims": f"{_text(head)}.{_text(b'[' * 30_000)}.{signature}",
        "list header": f"{_text([])}.{_text(claims)}.{signature}",
        "kid list": f"{_text({**head, 'kid': []})}.{_text(claims)}.{signature}",
        "embedded key": f"{_text({**head, 'jwk': {}, 'jku': 'http://evil'})}.{_text(claims)}.{signature}",
        "critical": f"{_text({**head, 'crit': ['exp']})}.{_text(claims)}.{signature}",
        "empty": "x",
        "dots": "..",
        "long": "a" * 60_000,
    }
    assert (await harness.request("GET", ME["renewal"], signed({}))).status_code == 200
    for name, forgery in forged.items():
        for path in ME.values():
            response = await harness.request("GET", path, forgery)
            assert response.status_code == 401, f"{name} at {path}: {response.text}"
            assert response.json()["code"] == "invalid_token"
    for header in (b"", b"Bearer", b"Bearer ", b"Basic eDp4", b"\xff\xfe", token.encode(), b"Token " + token.encode()):
        headers: Any = {"Authorization": header}
        response = await harness.http.get(ME["renewal"], headers=headers)
        assert response.status_code == 401, header


async def test_a_token_dies_with_its_time(harness: Harness) -> None:
    token = await harness.enterprise()
    harness.clock.advance(minutes=11)
    response = await harness.request("GET", ME["renewal"], token)
    assert (response.status_code, response.json()["code"]) == (401, "invalid_token")


async def test_failures_are_the_accounts_in_every_form_of_its_name(harness: Harness) -> None:
    taxpayer = _fresh()
    await _register(harness, taxpayer)
    unknown = _fresh()
    for account in (taxpayer, unknown):
        forms = [
            account,
            account.lower(),
            "".join(chr(ord(c) + 0xFEE0) for c in account),
            " ".join(account),
            identity(account),
        ]
        answers = [await _log_in(harness, form, "wrong password") for form in forms]
        assert answers == [(401, "wrong_credentials")] * 3 + [(429, "login_delayed")] * 2
        harness.clock.advance(seconds=2)
        answers = [await _log_in(harness, form, "wrong password") for form in forms]
        assert answers == [(422, "captcha_required")] * 5
    assert await _log_in(harness, taxpayer, "111111") == (422, "captcha_required")
    harness.clock.advance(minutes=16)
    assert (await _log_in(harness, taxpayer, "111111"))[0] == 201


async def test_guessing_at_the_same_time_is_no_way_round_the_guard(harness: Harness) -> None:
    taxpayer = _fresh()
    await _register(harness, taxpayer)
    wrong = await asyncio.gather(*(_log_in(harness, taxpayer, "wrong password") for _ in range(24)))
    assert sorted(wrong) == [(401, "wrong_credentials")] * 3 + [(429, "login_delayed")] * 21
    right = await asyncio.gather(*(_log_in(harness, taxpayer, "111111") for _ in range(5)))
    assert right == [(429, "login_delayed")] * 5


async def test_unknown_and_known_accounts_are_answered_alike(harness: Harness) -> None:
    taxpayer = _fresh()
    await _register(harness, taxpayer)
    bodies = [
        {"taxpayer_id": account, "password": "wrong password"} for account in (taxpayer, _fresh(), "no such form")
    ]
    answers = [await harness.http.post(LOGIN, json=body) for body in bodies]
    assert len({(answer.status_code, answer.content) for answer in answers}) == 1
    assert len({frozenset(answer.headers) for answer in answers}) == 1


async def test_registering_one_id_many_times_at_once(harness: Harness) -> None:
    taxpayer = _fresh()
    forms = [taxpayer, taxpayer.lower(), identity(taxpayer), " ".join(taxpayer)] * 3
    answers = await asyncio.gather(*(_register(harness, form) for form in forms))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 11
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"enterprise_exists"}


async def test_a_registration_waits_for_no_hash(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would hold a connection meanwhile: its answer is kept under an Idempotency-Key."""

    def refuse(_password: str) -> str:
        raise AssertionError("hashed")

    monkeypatch.setattr(passwords._hasher, "hash", refuse)
    taxpayer = _fresh()
    assert (await _register(harness, taxpayer)).status_code == 201
    assert (await _log_in(harness, taxpayer, "111111"))[0] == 201


@pytest.mark.parametrize(
    "field", ["id", "must_change_password", "password", "password_hash", "roles", "revision", "created_at", "account"]
)
async def test_nobody_sets_what_is_not_theirs(harness: Harness, field: str) -> None:
    refused = await _register(harness, _fresh(), **{field: False})
    assert refused.status_code == 422
    assert refused.json()["errors"][0] == {"field": field, "code": "extra_forbidden", "message": "不支持的字段"}
    token = await harness.enterprise()
    assert (await harness.request("PATCH", ME["enterprise"], token, json={field: False})).status_code == 422


async def test_the_initial_password_opens_nothing_and_cannot_be_kept(harness: Harness) -> None:
    taxpayer = _fresh()
    await _register(harness, taxpayer)
    pair = await log_in_enterprise(harness.api, taxpayer, "111111")
    assert pair["must_change_password"]
    weak = [
        "111111",
        "111111aa",
        "a111111b",
        "１１１１１１ab",
        "short1",
        "longbutletters",
        "1234567890",
        f"x-{taxpayer.lower()}",
    ]
    for new in weak:
        body = {"old_password": "111111", "new_password": new}
        refused = await harness.request("PUT", "/api/enterprise/v1/password", pair["access_token"], json=body)
        assert (refused.status_code, refused.json()["code"]) == (422, "weak_password"), new
    again = await harness.http.post(f"{LOGIN}/refresh", json={"refresh_token": pair["refresh_token"]})
    refreshed = again.json()
    assert refreshed["must_change_password"]
    refused = await harness.request("GET", ME["renewal"], refreshed["access_token"])
    assert (refused.status_code, refused.json()["code"]) == (403, "password_change_required")


async def test_a_changed_password_ends_the_other_sessions(harness: Harness) -> None:
    taxpayer = _fresh()
    await _register(harness, taxpayer)
    mine, thiefs = [await log_in_enterprise(harness.api, taxpayer, "111111") for _ in range(2)]
    change = {"old_password": "111111", "new_password": ENTERPRISE_PASSWORD}
    done = await harness.request("PUT", "/api/enterprise/v1/password", mine["access_token"], json=change)
    assert done.status_code == 204
    assert (await harness.request("GET", ME["enterprise"], thiefs["access_token"])).status_code == 401
    for pair, status in ((thiefs, 401), (mine, 200)):
        answer = await harness.http.post(f"{LOGIN}/refresh", json={"refresh_token": pair["refresh_token"]})
        assert answer.status_code == status
    assert await _log_in(harness, taxpayer, "111111") == (401, "wrong_credentials")


async def test_a_refresh_token_used_twice_ends_its_session(harness: Harness) -> None:
    taxpayer = _fresh()
    await _register(harness, taxpayer)
    pair = await log_in_enterprise(harness.api, taxpayer, "111111")

    async def refresh(token: str) -> httpx2.Response:
        return await harness.http.post(f"{LOGIN}/refresh", json={"refresh_token": token})

    answers = await asyncio.gather(*(refresh(pair["refresh_token"]) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 7
    following = next(answer.json() for answer in answers if answer.status_code == 200)
    assert (await refresh(following["refresh_token"])).status_code == 401
    assert (await harness.request("GET", ME["enterprise"], following["access_token"])).status_code == 401


async def test_one_captcha_is_one_attempt_even_at_once(harness: Harness) -> None:
    await harness.reviewer()
    captcha = await harness.api.call("POST", "review", "/captchas", expect=201)
    body = {
        "username": REVIEWER,
        "password": REVIEWER_PASSWORD,
        "captcha_id": captcha["captcha_id"],
        "captcha_answer": captcha["answer"],
    }
    answers = await asyncio.gather(*(harness.http.post("/api/review/v1/sessions", json=body) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [201] + [422] * 9
    assert {answer.json()["code"] for answer in answers if answer.status_code == 422} == {"wrong_captcha"}


@pytest.mark.parametrize("username", ["nobody\x00", "\x00", "x" * 101, "' OR 1=1 --", "\ud800"])
async def test_odd_usernames_after_a_right_captcha(harness: Harness, username: str) -> None:
    captcha = await harness.api.call("POST", "review", "/captchas", expect=201)
    body = {
        "username": username,
        "password": "wrong\x00password",
        "captcha_id": captcha["captcha_id"],
        "captcha_answer": captcha["answer"],
    }
    headers = {"Content-Type": "application/json"}
    answer = await harness.http.post("/api/review/v1/sessions", content=json.dumps(body), headers=headers)
    assert answer.status_code in {401, 422}


@pytest.mark.parametrize("username", ["a b c", "ab", "x" * 41, "a\x00b", "a\x7fbc", "张三丰"])
async def test_odd_usernames_are_not_given(harness: Harness, username: str) -> None:
    token = await harness.reviewer()
    account = {"username": username, "name": "某某", "roles": ["reviewer"]}
    assert (await harness.request("POST", "/api/review/v1/reviewers", token, json=account)).status_code == 422


async def test_one_application_from_twenty_retries_at_once(harness: Harness) -> None:
    reviewer, token = await harness.reviewer(), await harness.enterprise()
    await import_people(harness.api, reviewer, [f"{person(60)},某某,,,"])
    body = {"id_number": person(60), "post": "10"}
    path = "/api/renewal/v1/applications"

    async def create(key: str, **change: str) -> httpx2.Response:
        return await harness.request("POST", path, token, json=body | change, headers={"Idempotency-Key": key})

    answers = await asyncio.gather(*(create("k") for _ in range(20)))
    assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}
    other = await create("k", post="40")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert len((await harness.request("GET", path, token)).json()["items"]) == 1
    for key in ("", "x" * 101, "a b"):
        refused = await create(key)
        assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_invalid")


async def test_numbers_cannot_be_tried_one_after_another(harness: Harness) -> None:
    container = harness.platform.containers["certnumber"]
    container.limiter = new_limiter()
    try:
        answers = [await harness.http.get(f"/api/certnumber/v1/certificates/{number}") for number in range(61)]
    finally:
        container.limiter = None
    assert [answer.status_code for answer in answers] == [404] * 60 + [429]


async def test_a_sole_proprietor_s_id_number_is_encrypted_at_rest(harness: Harness) -> None:
    number = id_number("female", date(1986, 5, 4), 321)
    taxpayer = f"{number}01"
    body = {"taxpayer_id": taxpayer, "name": "个体工商户", "contact_name": "联系人", "contact_phone": "0791-88888888"}
    answer = await harness.http.post("/api/enterprise/v1/enterprises", json=body)
    assert (answer.status_code, answer.json()["account"]) == (201, taxpayer)
    async with harness.platform.containers["enterprise"].database.transaction() as session:
        rows = (await session.execute(sa.text("SELECT t::text FROM enterprises t"))).scalars().all()
    assert len(rows) > 0
    assert not any(number in row for row in rows)
    login = {"taxpayer_id": taxpayer, "password": "111111"}
    assert (await harness.http.post("/api/enterprise/v1/sessions", json=login)).status_code == 201
