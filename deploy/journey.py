"""The whole story over HTTP against a running platform, step by step: `python -m deploy.journey [BASE]`.

Needs demo mode (the captcha's answer) and a reviewer with the roles reviewer and registrar, who has changed the
initial password; REVIEWER_PASSWORD has the new one. Every run uses a new enterprise and a new synthetic person, so it
can be run again and again.
"""

import argparse
import asyncio
import os
import secrets
import sys
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

import httpx2

from deploy.synthetic import id_number, jpeg, person_name, taxpayer_id

IMAGES = ("id-front", "id-back", "commitment-letter")
PATIENCE = 120.0
POLL = 0.05


class StepFailed(Exception):
    """The platform answered something else than the story expects."""


class Api:
    """A client of the gateway, or of the services each at its own address (`bases` by service name)."""

    def __init__(self, client: httpx2.AsyncClient, base: str, bases: Mapping[str, str] | None = None) -> None:
        self._client = client
        self._base = base
        self._bases = dict(bases or {})

    async def request(self, method: str, service: str, path: str, **request: Any) -> httpx2.Response:
        """Return the answer, whatever it is."""
        address = f"{self._bases.get(service, self._base)}/api/{service}/v1{path}"
        return await self._client.request(method, address, follow_redirects=True, **request)

    async def call(
        self, method: str, service: str, path: str, *, token: str = "", expect: int = 200, **request: Any
    ) -> Any:
        """Return the JSON answer (bytes for other types). Raises StepFailed for any status but `expect`."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        response = await self.request(method, service, path, headers=headers, **request)
        if response.status_code != expect:
            raise StepFailed(f"{method} {service}{path}: {response.status_code} {response.text[:500]}")
        if not response.content:
            return None
        return response.json() if "json" in response.headers.get("content-type", "") else response.content


async def log_in_enterprise(api: Api, taxpayer: str, password: str) -> dict[str, Any]:
    body = {"taxpayer_id": taxpayer, "password": password}
    answer: dict[str, Any] = await api.call("POST", "enterprise", "/sessions", json=body, expect=201)
    return answer


async def register_enterprise(api: Api, name: str, password: str) -> tuple[str, str]:
    """Register, log in with 111111, change it, refresh: returns (taxpayer id, token)."""
    taxpayer = taxpayer_id(secrets.randbelow(10_000_000))
    body = {"taxpayer_id": taxpayer, "name": name, "contact_name": "联系人", "contact_phone": "0791-88888888"}
    await api.call("POST", "enterprise", "/enterprises", json=body, expect=201)
    first = await log_in_enterprise(api, taxpayer, "111111")
    change = {"old_password": "111111", "new_password": password}
    await api.call("PUT", "enterprise", "/password", token=first["access_token"], json=change, expect=204)
    refresh = {"refresh_token": first["refresh_token"]}
    second = await api.call("POST", "enterprise", "/sessions/refresh", json=refresh)
    return taxpayer, str(second["access_token"])


async def log_in_reviewer(api: Api, username: str, password: str) -> str:
    captcha = await api.call("POST", "review", "/captchas", expect=201)
    if "answer" not in captcha:
        raise StepFailed("the captcha's answer is shown in demo mode only")
    body = {
        "username": username,
        "password": password,
        "captcha_id": captcha["captcha_id"],
        "captcha_answer": captcha["answer"],
    }
    return str((await api.call("POST", "review", "/sessions", json=body, expect=201))["access_token"])


async def import_people(api: Api, token: str, lines: list[str]) -> dict[str, Any]:
    """Import the registry's `lines`, without the header."""
    table = "\n".join(["id_number,name,post,certificate_number,valid_until", *lines])
    files = {"file": ("people.csv", table.encode(), "text/csv")}
    report: dict[str, Any] = await api.call("POST", "renewal", "/registry/imports", token=token, files=files)
    return report


async def submit_application(api: Api, token: str, person: str, post: str, seed: int = 0) -> dict[str, Any]:
    """Draft, upload three pictures, submit; returns the application."""
    draft = await api.call(
        "POST", "renewal", "/applications", token=token, json={"id_number": person, "post": post}, expect=201
    )
    for position, kind in enumerate(IMAGES):
        files = {"file": (f"{kind}.jpg", jpeg(seed=seed * len(IMAGES) + position), "image/jpeg")}
        await api.call("PUT", "renewal", f"/applications/{draft['id']}/images/{kind}", token=token, files=files)
    submission = f"/applications/{draft['id']}/submission"
    answer: dict[str, Any] = await api.call(
        "POST", "renewal", submission, token=token, json={"revision": draft["revision"]}
    )
    return answer


async def wait_for(api: Api, token: str, service: str, path: str, what: str, ready: Callable[[Any], bool]) -> Any:
    """GET until `ready(answer)`; what is not there yet is not ready. Raises StepFailed after PATIENCE seconds."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while asyncio.get_running_loop().time() < deadline:
        try:
            answer = await api.call("GET", service, path, token=token)
        except StepFailed:
            answer = None
        if answer is not None and ready(answer):
            return answer
        await asyncio.sleep(POLL)
    raise StepFailed(f"waited {PATIENCE:.0f} s for {what}")


async def desk_item(api: Api, token: str, application_id: str, status: str, revision: int) -> Any:
    """Return the review desk's item once it shows that revision in `status`."""

    def shows(item: Any) -> bool:
        return bool((item["status"], item["revision"]) == (status, revision))

    return await wait_for(api, token, "review", f"/items/{application_id}", f"the desk to show {status}", shows)


async def application_in(api: Api, token: str, application_id: str, status: str) -> Any:
    """Return the application once it is in `status`."""

    def reached(application: Any) -> bool:
        return bool(application["status"] == status)

    return await wait_for(api, token, "renewal", f"/applications/{application_id}", f"status {status}", reached)


async def decide(api: Api, token: str, action: str, application_id: str, revision: int, **reason: str) -> Any:
    body = {"action": action, "items": [{"application_id": application_id, "revision": revision}], **reason}
    return (await api.call("POST", "review", "/decisions", token=token, json=body))["results"][0]


async def run(api: Api, username: str, password: str, say: Callable[[str], None]) -> str:
    """Drive the story; returns the certificate number. Raises StepFailed."""
    # The reviewer first: where they may not log in or import, no enterprise stays behind.
    reviewer = await log_in_reviewer(api, username, password)
    say(f"管理员登录   {username}（验证码一次有效）")
    person = id_number("male", date(1985, 1, 1) + timedelta(days=secrets.randbelow(5000)), secrets.randbelow(500))
    name = person_name(secrets.randbelow(10_000))
    report = await import_people(api, reviewer, [f"{person},{name},,,"])
    say(f"导入人员     {report['rows']} 行，新增 {report['created']}")
    taxpayer, enterprise = await register_enterprise(api, "赣江示范建设有限公司", "Journey-2026-pass")
    say(f"企业注册     账号 {taxpayer}，初始密码 111111 已修改")
    check = await api.call("POST", "renewal", "/eligibility-checks", token=enterprise, json={"id_number": person})
    say(f"资格检查     {check['person']['id_number_masked']} {'符合条件' if check['eligible'] else check['reasons']}")
    application = await submit_application(api, enterprise, person, "10")
    say(f"提交申请     {application['application_number']} 土建施工员，{application['status_label']}")
    letter = await api.call("GET", "renewal", f"/applications/{application['id']}/commitment-letter", token=enterprise)
    say(f"承诺书模板   .docx {len(letter)} 字节")
    item = await desk_item(api, reviewer, application["id"], "pending_review", application["revision"])
    reject = await decide(
        api, reviewer, "reject", item["application_id"], item["revision"], reason_code="letter_unsealed"
    )
    say(f"审核驳回     {reject['outcome']}：未加盖换证公章")
    path = f"/applications/{application['id']}"
    await application_in(api, enterprise, application["id"], "rejected")
    files = {"file": ("letter.jpg", jpeg(seed=secrets.randbelow(10**6) + 10), "image/jpeg")}
    await api.call("PUT", "renewal", f"{path}/images/commitment-letter", token=enterprise, files=files)
    again = await api.call("POST", "renewal", f"{path}/submission", token=enterprise, json={"revision": 1})
    say(f"修改重报     第 {again['revision']} 次提交，{again['status_label']}")
    item = await desk_item(api, reviewer, application["id"], "pending_review", again["revision"])
    approve = await decide(api, reviewer, "approve", item["application_id"], item["revision"])
    say(f"审核通过     {approve['outcome']}")
    done = await application_in(api, enterprise, application["id"], "certified")
    number = str(done["certificate_number"])
    say(f"自动编号     {number}")
    public = await api.call("GET", "certnumber", f"/certificates/{number}")
    say(f"公开查询     {public['number']} {public['status']} {public['holder']} {public['post']}")
    proof = await api.call("GET", "certnumber", "/proof", token=reviewer)
    for series in proof["series"]:
        say(f"编号证明     {series['name']}：{series['count']} 个，最大 {series['highest']}，断号 {series['gaps']}")
    return number


async def _main(arguments: argparse.Namespace) -> int:
    async with httpx2.AsyncClient(timeout=30) as client:
        try:
            await run(Api(client, arguments.base), arguments.reviewer, arguments.password, print)
        except httpx2.TransportError as error:
            print(f"failed: no platform answers at {arguments.base} ({type(error).__name__})", file=sys.stderr)
            return 1
        except (StepFailed, httpx2.HTTPError) as error:
            print(f"failed: {error}", file=sys.stderr)
            return 1
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.journey", description=__doc__)
    parser.add_argument("base", nargs="?", default=f"http://localhost:{os.environ.get('PORT', '8000')}")
    parser.add_argument("--reviewer", default="demo-reviewer")
    parser.add_argument("--password", default=os.environ.get("REVIEWER_PASSWORD", "Ganzheng-demo-1"))
    return asyncio.run(_main(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
