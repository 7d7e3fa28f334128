"""What the platform holds for a look at every page: one application in each state, put there over the API."""

import secrets
from dataclasses import dataclass
from datetime import date

from deploy.embedded.demo import REVIEWER, REVIEWER_PASSWORD
from deploy.journey import (
    Api,
    application_in,
    decide,
    desk_item,
    log_in_reviewer,
    register_enterprise,
    submit_application,
)
from deploy.synthetic import id_number, taxpayer_id

POST, OTHER_POST = "30", "40"


@dataclass(frozen=True)
class Stock:
    """`applications` are ids by status; `reviewer` is a token of the reviewer with all roles. `registered` has the ids
    of a person of the registry and of two certificates, one of which is removed."""

    taxpayer: str
    password: str
    applications: dict[str, str]
    number: str
    reviewer: str
    reviewer_id: str
    series_id: str
    exception_id: str
    registered: dict[str, str]


async def fill(api: Api, people: list[str], password: str) -> Stock:
    """`people` are five id numbers of persons who may apply."""
    taxpayer, token = await register_enterprise(api, "南昌样板建设有限公司", password)
    reviewer = await log_in_reviewer(api, REVIEWER, REVIEWER_PASSWORD)
    draft = await api.call(
        "POST", "renewal", "/applications", token=token, json={"id_number": people[0], "post": POST}, expect=201
    )
    made = {"draft": draft["id"]}
    for status, person in zip(("pending_review", "rejected", "certified", "cancelled"), people[1:], strict=True):
        seed = secrets.randbelow(10**6) + 10
        made[status] = (await submit_application(api, token, person, POST, seed))["id"]
        await desk_item(api, reviewer, made[status], "pending_review", 1)
    await decide(api, reviewer, "reject", made["rejected"], 1, reason_code="letter_unsigned", comment="请本人签字")
    await decide(api, reviewer, "approve", made["certified"], 1)
    path = f"/applications/{made['cancelled']}/cancellation"
    await api.call("POST", "renewal", path, token=token, json={"revision": 1})
    await application_in(api, token, made["rejected"], "rejected")
    certified = await application_in(api, token, made["certified"], "certified")
    reviewers = await api.call("GET", "review", "/reviewers", token=reviewer)
    series = await api.call("GET", "certnumber", "/series", token=reviewer)
    excepted = taxpayer_id(secrets.randbelow(10**7))
    wrong = f"{excepted[:-1]}{(int(excepted[-1], 36) + 1) % 10}"
    exception = await api.call(
        "POST",
        "enterprise",
        "/taxpayer-exceptions",
        token=reviewer,
        json={"taxpayer_id": wrong, "reason": "已核对营业执照原件"},
        expect=201,
    )
    return Stock(
        taxpayer,
        password,
        made,
        certified["certificate_number"],
        reviewer,
        reviewers["items"][0]["id"],
        series["items"][0]["id"],
        exception["id"],
        await _register(api, reviewer),
    )


async def _register(api: Api, registrar: str) -> dict[str, str]:
    number = id_number("female", date(1979, 3, 2), 0)
    rows = [
        "身份证号,姓名,岗位,证书编号,有效期至",
        f"{number},安和宁,安全员,旧样0001,2031-05-31",
        f"{number},安和宁,资料员,旧样0002,",
    ]
    table = {"file": ("people.csv", "\n".join(rows).encode())}
    await api.call("POST", "renewal", "/registry/imports", token=registrar, files=table)
    found = await api.call("GET", "renewal", "/registry/people", token=registrar, params={"id_number": number})
    kept, removed = sorted(found["certificates"], key=lambda certificate: str(certificate["certificate_number"]))
    removal = {"reason": "误导入", "updated_at": removed["updated_at"]}
    path = f"/registry/certificates/{removed['id']}/removal"
    await api.call("POST", "renewal", path, token=registrar, json=removal)
    return {"person_id": found["id"], "held": kept["id"], "removed": removed["id"]}
