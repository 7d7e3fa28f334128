"""The life of an application as its enterprise sees it, over HTTP."""

import asyncio
import io
import re
import threading
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from docx import Document

from deploy.synthetic import jpeg
from services.renewal.letter import LetterFields
from services.renewal.models import Application
from services.renewal.service import applications
from shared.runtime.admission import Admission
from shared.values.clock import business_day
from tests.support.office import Office, problem
from tests.support.sql import statements
from tests.support.wait import PATIENCE, until


async def test_a_draft(office: Office) -> None:
    person = await office.person()
    draft = await office.draft(person, "10", pictures=False)
    assert draft["status"] == "draft"
    assert draft["status_label"] == "草稿"
    assert (draft["revision"], draft["decision_no"]) == (0, 0)
    assert draft["application_number"].startswith("HZ")
    assert draft["post_name"] == "土建施工员"
    assert draft["certificate_number"] is None
    assert draft["images"] == []
    assert person not in str(draft)
    found = await office.read(draft["id"])
    assert [entry["action"] for entry in found["history"]] == ["create"]


async def test_an_idempotent_draft(office: Office) -> None:
    body, headers = {"id_number": await office.person(), "post": "10"}, {"Idempotency-Key": uuid4().hex}
    answers = [await office.request("POST", "/applications", json=body, headers=headers) for _ in range(2)]
    assert answers[0].json() == answers[1].json()


class TestSubmission:
    async def test_names_the_pictures_that_are_missing(self, office: Office) -> None:
        draft = await office.draft(await office.person(), "10", pictures=False)
        document = problem(await office.submit(draft["id"]), 409, "images_missing")
        assert document["kinds"] == ["id-front", "id-back", "commitment-letter"]
        assert "身份证正面照片" in document["detail"]

    async def test_gives_the_reasons_as_an_eligibility_check_does(self, office: Office) -> None:
        person = await office.person("20")
        draft = await office.draft(person, "10")
        check = await office.request("POST", "/eligibility-checks", json={"id_number": person, "post": "10"})
        document = problem(await office.submit(draft["id"]), 409, "not_eligible")
        assert document["reasons"] == check.json()["reasons"] != []
        assert (await office.read(draft["id"]))["status"] == "draft"
        # Another enterprise finds the same; a third certificate makes it two reasons.
        await office.holds(person, "30", "40")
        document = problem(await office.submit(draft["id"]), 409, "not_eligible")
        assert [reason["code"] for reason in document["reasons"]] == ["three_certificates", "constructor_and_quality"]

    async def test_refuses_what_another_enterprise_has_applied_for(self, office: Office) -> None:
        person, other = await office.person(), await office.harness.enterprise("赣州另一建设有限公司")
        await office.submitted(person, "10", other)
        draft = await office.draft(person, "10")
        document = problem(await office.submit(draft["id"]), 409, "not_eligible")
        assert [reason["code"] for reason in document["reasons"]] == ["already_applied"]

    async def test_carries_the_revision(self, office: Office) -> None:
        draft = await office.draft(await office.person(), "10")
        assert problem(await office.submit(draft["id"], 1), 409, "stale_revision")["revision"] == 0
        answer = (await office.submit(draft["id"], 0)).json()
        assert (answer["status"], answer["revision"]) == ("pending_review", 1)
        assert answer["submitted_at"]
        assert problem(await office.submit(draft["id"], 0), 409, "stale_revision")["revision"] == 1
        document = problem(await office.submit(draft["id"], 1), 409, "wrong_state")
        assert document["application_status"] == "pending_review"
        assert document["status"] == 409
        for wrong in (None, -1, "1", 2**31):
            body = {"revision": wrong}
            problem(
                await office.request("POST", f"/applications/{draft['id']}/submission", json=body),
                422,
                "invalid_request",
            )

    async def test_takes_few_statements(self, office: Office) -> None:
        """Two that read and three that write beside the event, whatever the person holds and has under way."""
        person = await office.person("10", "20")
        drafts = [await office.draft(person, post) for post in ("30", "40")]
        for draft in drafts:
            with statements(office.renewal.database) as sent:
                assert (await office.submit(draft["id"])).status_code in {200, 409}
            # What else the process does meanwhile is about other tables.
            own = [each for each in sent if re.search(r"\b(applications|people|history|submissions|posts)\b", each)]
            assert len(own) <= 5, "\n".join(own)

    async def test_is_repeated_under_the_same_key(self, office: Office) -> None:
        draft = await office.draft(await office.person(), "10")
        path, headers = f"/applications/{draft['id']}/submission", {"Idempotency-Key": uuid4().hex}
        answers = [await office.request("POST", path, json={"revision": 0}, headers=headers) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert answers[0].json() == answers[1].json()

    async def test_again_after_a_rejection(self, office: Office) -> None:
        application = await office.submitted(await office.person(), "10")
        await office.decide("reject", application)
        rejected = await office.reach(application, "rejected")
        assert rejected["reason_code"] == "information_false"
        assert rejected["reason_label"] == "申请材料不真实"
        assert (rejected["revision"], rejected["decision_no"]) == (1, 1)
        changed = await office.request("PATCH", f"/applications/{application}", json={"post": "30", "revision": 1})
        assert changed.json()["post"] == "30"
        assert (await office.submit(application, 1)).status_code == 200
        again = await office.read(application)
        assert (again["status"], again["revision"], again["post"]) == ("pending_review", 2, "30")
        assert again["reason_code"] is None
        history = [(entry["action"], entry["status"], entry["revision"]) for entry in again["history"]]
        assert history == [
            ("create", "draft", 0),
            ("submit", "pending_review", 1),
            ("reject", "rejected", 1),
            ("change_post", "rejected", 1),
            ("submit", "pending_review", 2),
        ]
        assert [entry["change_no"] for entry in again["history"]] == [1, 2, 3, 4, 5]
        assert again["history"][2]["actor"] == "测试审核员"
        assert again["history"][2]["reason_code"] == "information_false"
        item = await office.item(application, revision=2, post="30")
        assert item["revisions"][0]["changed"] == ["post"]


class TestCorrection:
    async def rejected(self, office: Office, reason: str) -> dict[str, Any]:
        application = await office.submitted(await office.person(), "10")
        await office.decide("reject", application, reason_code=reason)
        return await office.reach(application, "rejected")

    async def test_of_the_post(self, office: Office) -> None:
        rejected = await self.rejected(office, "post_mismatch")
        path = f"/applications/{rejected['id']}"
        assert (rejected["reason_field"], rejected["corrected"]) == ("post", False)
        assert rejected["history"][-1]["reason_field"] == "post"
        for post, corrected in (("30", True), ("10", False), ("30", True)):
            await office.request("PATCH", path, json={"post": post})
            assert (await office.read(rejected["id"]))["corrected"] is corrected
        again = (await office.submit(rejected["id"], 1)).json()
        assert again["reason_field"] is None
        assert (await office.read(rejected["id"]))["corrected"] is None

    async def test_of_a_picture(self, office: Office) -> None:
        rejected = await self.rejected(office, "letter_unsigned")
        assert (rejected["reason_field"], rejected["corrected"]) == ("commitment-letter", False)
        for kind, corrected in (("id-front", False), ("commitment-letter", True)):
            files = {"file": ("picture", jpeg(640, 420, len(kind)))}
            path = f"/applications/{rejected['id']}/images/{kind}"
            assert (await office.request("PUT", path, files=files)).status_code == 200
            assert (await office.read(rejected["id"]))["corrected"] is corrected

    async def test_of_no_part_in_particular(self, office: Office) -> None:
        rejected = await self.rejected(office, "information_false")
        assert (rejected["reason_field"], rejected["corrected"]) == (None, None)


class TestCancellation:
    async def test_of_a_draft_a_pending_and_a_rejected_one(self, office: Office) -> None:
        draft = await office.draft(await office.person(), "10")
        cancelled = await office.cancel(draft["id"], 0)
        assert (cancelled.status_code, cancelled.json()["status_label"]) == (200, "已撤销")

        person = await office.person()
        pending = await office.submitted(person, "10")
        assert problem(await office.cancel(pending, 0), 409, "stale_revision")["revision"] == 1
        assert (await office.cancel(pending, 1)).json()["status"] == "cancelled"
        await office.item(pending, status="cancelled")
        # The post is free again, for anybody.
        rejected = await office.submitted(person, "10")
        await office.decide("reject", rejected)
        await office.reach(rejected, "rejected")
        assert (await office.cancel(rejected, 1)).json()["status"] == "cancelled"
        await office.item(rejected, status="cancelled")

        for application, revision in ((draft["id"], 0), (pending, 1)):
            for refused in (await office.cancel(application, revision), await office.submit(application, revision)):
                assert problem(refused, 409, "wrong_state")["application_status"] == "cancelled"

    async def test_not_once_it_is_approved(self, office: Office) -> None:
        application = (await office.certified(await office.person(), "10"))["id"]
        assert problem(await office.cancel(application, 1), 409, "wrong_state")["application_status"] == "certified"

    async def test_a_cancelled_draft_never_shows_at_the_desk(self, office: Office) -> None:
        draft = await office.draft(await office.person(), "10")
        await office.cancel(draft["id"], 0)
        await office.quiet()
        response = await office.harness.request("GET", f"/api/review/v1/items/{draft['id']}", office.reviewer)
        problem(response, 404, "item_not_found")


class TestChange:
    async def test_the_post_of_a_draft(self, office: Office) -> None:
        draft = await office.draft(await office.person(), "10")
        path = f"/applications/{draft['id']}"
        changed = await office.request("PATCH", path, json={"post": "21"})
        assert changed.status_code == 200
        assert (changed.json()["post"], changed.json()["post_name"]) == ("21", "市政质量员")
        problem(await office.request("PATCH", path, json={"post": "99"}), 422, "unknown_post")
        stale = await office.request("PATCH", path, json={"post": "10", "revision": 3})
        assert problem(stale, 409, "stale_revision")["revision"] == 0
        await office.request("PATCH", path, json={"post": "21"})
        actions = [entry["action"] for entry in (await office.read(draft["id"]))["history"]]
        assert actions == ["create", "change_post"]

    async def test_counts_the_family_of_the_new_post(self, office: Office) -> None:
        person = await office.person("10")
        draft = await office.draft(person, "10")
        await office.request("PATCH", f"/applications/{draft['id']}", json={"post": "21"})
        document = problem(await office.submit(draft["id"]), 409, "not_eligible")
        assert [reason["code"] for reason in document["reasons"]] == ["constructor_and_quality"]

    async def test_not_while_it_is_under_review(self, office: Office) -> None:
        application = await office.submitted(await office.person(), "10")
        refused = await office.request("PATCH", f"/applications/{application}", json={"post": "30"})
        assert problem(refused, 409, "wrong_state")["application_status"] == "pending_review"


async def test_another_enterprise_s_application_is_not_found(office: Office) -> None:
    application = await office.submitted(await office.person(), "10")
    stranger = await office.harness.enterprise("九江陌生建设有限公司")
    path = f"/applications/{application}"
    for method, suffix, options in (
        ("GET", "", {}),
        ("PATCH", "", {"json": {"post": "30"}}),
        ("POST", "/submission", {"json": {"revision": 1}}),
        ("POST", "/cancellation", {"json": {"revision": 1}}),
        ("GET", "/commitment-letter", {}),
        ("GET", "/images/id-front", {}),
    ):
        response = await office.request(method, path + suffix, stranger, **options)
        problem(response, 404, "application_not_found")
    problem(await office.request("GET", f"/applications/{uuid4()}"), 404, "application_not_found")
    listed = await office.request("GET", "/applications", stranger)
    assert listed.json() == {"items": [], "next_cursor": None}


async def test_the_letter_is_filled_in(office: Office) -> None:
    person = await office.person()
    draft = await office.draft(person, "21")
    response = await office.request("GET", f"/applications/{draft['id']}/commitment-letter")
    assert response.status_code == 200
    assert response.headers["content-type"].endswith("wordprocessingml.document")
    assert "filename*=UTF-8''%E6%89%BF" in response.headers["content-disposition"]
    assert person not in response.headers["content-disposition"]
    letter = Document(io.BytesIO(response.content))
    text = "\n".join(paragraph.text for paragraph in letter.paragraphs)
    for expected in (draft["name"], person, "市政质量员", "南昌测试建设有限公司"):
        assert expected in text
    margins = letter.sections[0].header.paragraphs[0].text + letter.sections[0].footer.paragraphs[0].text
    assert draft["application_number"] in margins
    assert business_day(office.harness.clock.now()).isoformat() in margins


async def test_asking_for_the_letter_changes_nothing_and_is_audited_once_a_day(office: Office) -> None:
    draft = await office.draft(await office.person(), "21")
    before = await office.read(draft["id"])
    path = f"/applications/{draft['id']}/commitment-letter"
    answers = await asyncio.gather(*(office.request("GET", path) for _ in range(3)))
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert await office.read(draft["id"]) == before
    [entry] = await office.audit(subject=draft["id"])
    assert (entry["action"], entry["action_label"]) == ("letter_issued", "下载承诺书")
    assert (entry["actor"], entry["detail"]) == ("南昌测试建设有限公司", {})
    assert (
        await office.request("GET", path, await office.harness.enterprise("九江另一建设有限公司"))
    ).status_code == 404
    assert len(await office.audit(subject=draft["id"])) == 1


async def test_letters_are_made_outside_of_any_transaction_and_only_so_many_at_once(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = await office.draft(await office.person(), "21")
    path = f"/applications/{draft['id']}/commitment-letter"
    begun, go_on = threading.Event(), threading.Event()

    def render(fields: LetterFields) -> bytes:
        begun.set()
        assert go_on.wait(PATIENCE)
        return fields.person_name.encode()

    monkeypatch.setattr(applications, "render_letter", render)
    monkeypatch.setattr(office.renewal, "letters", Admission(1, waiting=0))
    making = asyncio.create_task(office.request("GET", path))
    await until(begun.is_set, what="the letter to be begun")
    async with office.renewal.database.transaction() as session:
        # Nobody has locked the application, and no other transaction is open on it.
        statement = sa.select(Application).where(Application.id == UUID(draft["id"]))
        assert await session.scalar(statement.with_for_update(nowait=True))
    problem(await office.request("GET", path), 503, "unavailable")
    go_on.set()
    assert (await making).content == draft["name"].encode()


class TestList:
    async def test_filters(self, office: Office) -> None:
        token = await office.harness.enterprise("宜春清单建设有限公司")
        person = await office.person()
        first = await office.draft(person, "10", token)
        second = await office.draft(person, "30", token)
        await office.submit(second["id"], 0, token)

        async def listed(**filters: str | list[str]) -> list[str]:
            response = await office.request("GET", "/applications", token, params=filters)
            assert response.status_code == 200, response.text
            return [item["id"] for item in response.json()["items"]]

        assert await listed() == [second["id"], first["id"]]
        assert await listed(status="draft") == [first["id"]]
        assert await listed(status="pending_review") == [second["id"]]
        assert await listed(status="rejected") == []
        assert await listed(name=first["name"][1:]) == [second["id"], first["id"]]
        assert await listed(name="%") == await listed(name="_") == await listed(name="查无") == []
        assert await listed(added_from=second["added_at"]) == [second["id"]]
        assert await listed(added_to=first["added_at"]) == [first["id"]]
        today = business_day(office.harness.clock.now())
        assert await listed(application_ids=f"{first['id']},{uuid4()}") == [first["id"]]
        assert await listed(application_ids=[first["id"], second["id"]]) == [second["id"], first["id"]]
        assert len(await listed(added_from=today.isoformat(), added_to=today.isoformat())) == 2
        assert await listed(added_from=(today + timedelta(days=1)).isoformat()) == []
        assert await listed(added_to=(today - timedelta(days=1)).isoformat()) == []
        for bad in (
            {"status": "lost"},
            {"added_from": "2026-02-30"},
            {"limit": "0"},
            {"limit": "101"},
            {"application_ids": "1"},
        ):
            problem(await office.request("GET", "/applications", token, params=bad), 422, "invalid_request")
        broken = await office.request("GET", "/applications", token, params={"cursor": "x"})
        problem(broken, 422, "invalid_cursor")

    @pytest.mark.parametrize("limit", [1, 3, 7])
    async def test_no_row_is_lost_or_doubled_while_rows_are_added(self, office: Office, limit: int) -> None:
        token = await office.harness.enterprise(f"翻页{limit}建设有限公司")
        person = await office.person()
        before = [(await office.draft(person, "10", token, pictures=False))["id"] for _ in range(9)]
        seen: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page, _ = await asyncio.gather(
                office.request("GET", "/applications", token, params={"limit": limit, **cursor}),
                office.draft(person, "30", token, pictures=False),
            )
            seen += [item["id"] for item in page.json()["items"]]
            assert len(page.json()["items"]) <= limit
            if page.json()["next_cursor"] is None:
                break
            cursor = {"cursor": page.json()["next_cursor"]}
        assert [identity for identity in seen if identity in before] == before[::-1]
        assert len(seen) == len(set(seen))

    async def test_rows_of_one_instant(self, office: Office) -> None:
        """The cursor is (instant, id): a whole batch may have been added at once."""
        token = await office.harness.enterprise("同时建设有限公司")
        person, moment = await office.person(), office.harness.clock.now()

        class Standing:
            def now(self) -> object:
                return moment

        clock = office.renewal.clock
        office.renewal.clock = Standing()  # type: ignore[assignment]
        try:
            made = {(await office.draft(person, "10", token, pictures=False))["id"] for _ in range(5)}
        finally:
            office.renewal.clock = clock
        seen: list[str] = []
        cursor: dict[str, str] = {}
        while len(seen) < 10:
            page = (await office.request("GET", "/applications", token, params={"limit": 2, **cursor})).json()
            seen += [item["id"] for item in page["items"]]
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert sorted(seen) == sorted(made)
