from calendar import isleap
from datetime import UTC, date, datetime, timedelta
from itertools import combinations_with_replacement, product
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.renewal.domain import (
    LIVE,
    TRANSITIONS,
    Action,
    AgeLimit,
    DecisionReason,
    ImageKind,
    Post,
    Sex,
    Standing,
    Status,
    application_number,
    conflicting_post,
    ineligibilities,
    is_valid,
    limit_on,
    month_anniversary,
    next_status,
    number_key,
    repeated_images,
    replaceable,
    sequence_of,
)
from services.renewal.models import HeldCertificate
from shared.values.clock import business_day

CIVIL_BUILDER = Post("10", "土建施工员", "施工员", 3)
ROAD_BUILDER = Post("11", "市政施工员", "施工员", 3)
ROAD_CHECKER = Post("21", "市政质量员", "质量员", 3)
SAFETY = Post("30", "安全员", "安全员", 3)
MATERIAL = Post("40", "材料员", "材料员", 3)
MACHINE = Post("50", "机械员", "机械员", 3)
POSTS = (CIVIL_BUILDER, ROAD_BUILDER, ROAD_CHECKER, SAFETY, MATERIAL, MACHINE)

LIMITS = (AgeLimit("female", date(1900, 1, 1), 55 * 12), AgeLimit("male", date(1900, 1, 1), 60 * 12))
YOUNG = date(1990, 6, 15)
TODAY = date(2026, 3, 2)

days = st.dates(date(1930, 1, 1), date(2060, 12, 31))


def standing(
    *, held: tuple[Post, ...] = (), live: tuple[Post, ...] = (), sex: Sex = "male", born: date = YOUNG
) -> Standing:
    return Standing(sex, born, held, live)


def codes(person: Standing, requested: Post | None = SAFETY, day: date = TODAY) -> list[str]:
    return [reason.code for reason in ineligibilities(person, requested, day, LIMITS)]


class TestThreeCertificates:
    @pytest.mark.parametrize(
        ("held", "live", "refused"),
        [
            ((), (), False),
            ((SAFETY, MATERIAL), (), False),
            ((SAFETY, MATERIAL, MACHINE), (), True),
            ((SAFETY, MATERIAL), (MACHINE,), True),
            ((SAFETY,), (MATERIAL, MACHINE), True),
            ((), (SAFETY, MATERIAL, MACHINE), True),
            ((SAFETY,), (MATERIAL,), False),
        ],
    )
    def test_counts_what_is_held_and_what_is_live(
        self, held: tuple[Post, ...], live: tuple[Post, ...], refused: bool
    ) -> None:
        assert ("three_certificates" in codes(standing(held=held, live=live), CIVIL_BUILDER)) is refused

    def test_certificates_of_one_post_count_each(self) -> None:
        assert codes(standing(held=(SAFETY, SAFETY)), MACHINE) == []
        assert codes(standing(held=(SAFETY, SAFETY, SAFETY)), MACHINE) == ["three_certificates"]

    def test_a_post_already_held_may_be_renewed(self) -> None:
        assert codes(standing(held=(SAFETY, MATERIAL)), SAFETY) == []

    def test_counts_without_a_requested_post_too(self) -> None:
        assert codes(standing(held=(SAFETY, MATERIAL, MACHINE)), None) == ["three_certificates"]


class TestConstructorAndQuality:
    @pytest.mark.parametrize(
        ("held", "live", "requested", "refused"),
        [
            ((CIVIL_BUILDER,), (), ROAD_CHECKER, True),
            ((), (CIVIL_BUILDER,), ROAD_CHECKER, True),
            ((ROAD_CHECKER,), (), CIVIL_BUILDER, True),
            ((), (ROAD_CHECKER,), ROAD_BUILDER, True),
            ((CIVIL_BUILDER,), (), ROAD_BUILDER, False),
            ((CIVIL_BUILDER,), (), CIVIL_BUILDER, False),
            ((SAFETY, MATERIAL), (), ROAD_CHECKER, False),
            # Who has both already may not renew even a third thing: that would keep both in being.
            ((CIVIL_BUILDER,), (ROAD_CHECKER,), SAFETY, True),
        ],
    )
    def test_goes_by_family_not_by_post(
        self, held: tuple[Post, ...], live: tuple[Post, ...], requested: Post, refused: bool
    ) -> None:
        assert ("constructor_and_quality" in codes(standing(held=held, live=live), requested)) is refused

    def test_never_both_families_when_eligible(self) -> None:
        three, two = (
            [some for size in range(most + 1) for some in combinations_with_replacement(POSTS, size)] for most in (3, 2)
        )
        eligible = 0
        for held, live, requested in product(three, two, POSTS):
            if codes(standing(held=held, live=live), requested):
                continue
            eligible += 1
            assert not {"施工员", "质量员"} <= {post.family for post in (*held, *live, requested)}
            assert len({post.code for post in held}) + len(live) <= 2
            assert requested not in live
        assert eligible > 100


class TestAge:
    @pytest.mark.parametrize(
        ("sex", "years", "code"), [("female", 55, "over_age_female"), ("male", 60, "over_age_male")]
    )
    @pytest.mark.parametrize("day", [date(1965, 3, 2), date(1968, 12, 31), date(1970, 1, 1)])
    def test_the_birthday_itself_is_still_allowed(self, sex: Sex, years: int, code: str, day: date) -> None:
        birthday = day.replace(year=day.year + years)
        person = standing(sex=sex, born=day)
        assert codes(person, day=birthday - timedelta(days=1)) == []
        assert codes(person, day=birthday) == []
        assert codes(person, day=birthday + timedelta(days=1)) == [code]

    def test_who_was_born_on_29_february_completes_the_year_on_the_last_of_february(self) -> None:
        person = standing(sex="female", born=date(1972, 2, 29))
        assert codes(person, day=date(2027, 2, 28)) == []
        assert codes(person, day=date(2027, 3, 1)) == ["over_age_female"]
        leap = standing(sex="male", born=date(1968, 2, 29))
        assert codes(leap, day=date(2028, 2, 29)) == []
        assert codes(leap, day=date(2028, 3, 1)) == ["over_age_male"]

    @pytest.mark.parametrize(
        ("moment", "expected"),
        [
            (datetime(2026, 3, 2, 15, 59, 59, tzinfo=UTC), []),
            (datetime(2026, 3, 2, 15, 59, 59, 999999, tzinfo=UTC), []),
            (datetime(2026, 3, 2, 16, 0, 0, tzinfo=UTC), ["over_age_male"]),
        ],
    )
    def test_the_day_ends_at_midnight_in_shanghai(self, moment: datetime, expected: list[str]) -> None:
        assert codes(standing(born=date(1966, 3, 2)), day=business_day(moment)) == expected

    @given(st.sampled_from([("female", 55), ("male", 60)]), days, days)
    def test_agrees_with_counting_full_years(self, limit: tuple[Sex, int], born: date, day: date) -> None:
        sex, years = limit
        assume(born <= day)
        # 29 February is completed on the 28th in common years, so that day is already "past" only from 1 March on.
        anniversary = (born.month, born.day)
        if anniversary == (2, 29) and not isleap(day.year):
            anniversary = (2, 28)
        full_years = day.year - born.year - ((day.month, day.day) < anniversary)
        is_birthday = (day.month, day.day) == anniversary
        past = full_years > years or (full_years == years and not is_birthday)
        assert bool(codes(standing(sex=sex, born=born), day=day)) is past

    @given(days, st.integers(0, 80 * 12))
    def test_month_anniversary_keeps_the_day_or_takes_the_month_s_last(self, born: date, months: int) -> None:
        reached = month_anniversary(born, months)
        assert (reached.year * 12 + reached.month) - (born.year * 12 + born.month) == months
        assert reached.day == born.day or (
            reached.day < born.day and (reached + timedelta(days=1)).month != reached.month
        )

    def test_a_future_limit_takes_effect_on_its_day(self) -> None:
        change = date(2028, 1, 1)
        limits = [*LIMITS, AgeLimit("female", change, 58 * 12), AgeLimit("male", change, 63 * 12)]
        woman, man = standing(sex="female", born=date(1970, 1, 1)), standing(born=date(1965, 6, 1))
        for person, code in ((woman, "over_age_female"), (man, "over_age_male")):
            before = ineligibilities(person, SAFETY, change - timedelta(days=1), limits)
            assert [reason.code for reason in before] == [code]
            assert ineligibilities(person, SAFETY, change, limits) == []
        reached = ineligibilities(woman, SAFETY, date(2028, 1, 2), limits)
        assert [reason.message for reason in reached] == ["女性年龄大于58岁不允许换证"]
        assert ineligibilities(man, SAFETY, date(2028, 6, 1), limits) == []
        assert [reason.rule for reason in ineligibilities(man, SAFETY, date(2028, 6, 2), limits)] == ["D"]

    def test_limits_count_in_months(self) -> None:
        limits = [AgeLimit("male", date(2025, 1, 1), 60 * 12 + 1)]
        person = standing(born=date(1965, 1, 31))
        assert ineligibilities(person, SAFETY, date(2025, 2, 28), limits) == []
        [reason] = ineligibilities(person, SAFETY, date(2025, 3, 1), limits)
        assert reason.message == "男性年龄大于60岁1个月不允许换证"

    def test_no_limit_in_force_forbids_nothing(self) -> None:
        limits = [AgeLimit("male", date(2027, 1, 1), 60 * 12)]
        assert limit_on(limits, "male", TODAY) is None
        assert ineligibilities(standing(born=date(1940, 1, 1)), SAFETY, TODAY, limits) == []
        assert limit_on(LIMITS, "female", TODAY) == LIMITS[0]


class TestAlreadyApplied:
    def test_a_live_application_for_the_post_forbids_another(self) -> None:
        assert codes(standing(live=(SAFETY,)), SAFETY) == ["already_applied"]
        assert codes(standing(live=(CIVIL_BUILDER,)), ROAD_BUILDER) == []
        assert codes(standing(live=(SAFETY,)), None) == []

    def test_a_held_certificate_does_not(self) -> None:
        assert codes(standing(held=(SAFETY,)), SAFETY) == []


def test_each_rule_says_in_words_what_forbids_the_renewal() -> None:
    person = standing(held=(CIVIL_BUILDER,), live=(ROAD_CHECKER, SAFETY))
    assert [reason.message for reason in ineligibilities(person, SAFETY, TODAY, LIMITS)] == [
        "该人员已持有1本有效证书，另有2项换证正在办理，合计达到三本，不允许换证",
        "同一人员不允许同时存在施工员与质量员（含已持证书和正在办理的换证）",
        "该人员的安全员换证申请正在办理（可能由其他企业提交），不能重复申请",
    ]


def test_every_reason_comes_in_the_owner_s_order() -> None:
    person = standing(held=(CIVIL_BUILDER, MATERIAL), live=(ROAD_CHECKER,), sex="female", born=date(1960, 1, 1))
    reasons = ineligibilities(person, ROAD_CHECKER, TODAY, LIMITS)
    assert [(reason.code, reason.rule) for reason in reasons] == [
        ("three_certificates", "A"),
        ("constructor_and_quality", "B"),
        ("over_age_female", "C"),
        ("already_applied", "T"),
    ]
    assert all(reason.message for reason in reasons)


@pytest.mark.parametrize(
    ("post", "live", "other"),
    [
        (SAFETY, [], None),
        (SAFETY, [MATERIAL], None),
        (SAFETY, [MATERIAL, SAFETY], SAFETY),
        (CIVIL_BUILDER, [ROAD_BUILDER], None),
        (CIVIL_BUILDER, [ROAD_CHECKER], ROAD_CHECKER),
        (ROAD_CHECKER, [SAFETY, CIVIL_BUILDER], CIVIL_BUILDER),
        (SAFETY, [CIVIL_BUILDER], None),
    ],
)
def test_what_cannot_be_live_together(post: Post, live: list[Post], other: Post | None) -> None:
    assert conflicting_post(post, live) == other


class TestHeldCertificate:
    def held(self, *, until: date | None = None, voided: datetime | None = None) -> HeldCertificate:
        return HeldCertificate(valid_until=until, voided_at=voided)

    def test_is_valid_up_to_its_last_day(self) -> None:
        assert is_valid(self.held(until=TODAY), TODAY)
        assert not is_valid(self.held(until=TODAY - timedelta(days=1)), TODAY)
        assert is_valid(self.held(), date(2199, 12, 31))

    def test_a_void_one_never_is(self) -> None:
        assert not is_valid(self.held(until=TODAY, voided=datetime(2026, 1, 1, tzinfo=UTC)), TODAY)


class TestLife:
    EXPECTED = {  # noqa: RUF012
        (Status.draft, Action.submit): Status.pending_review,
        (Status.draft, Action.cancel): Status.cancelled,
        (Status.pending_review, Action.approve): Status.approved,
        (Status.pending_review, Action.reject): Status.rejected,
        (Status.pending_review, Action.cancel): Status.cancelled,
        (Status.approved, Action.certify): Status.certified,
        (Status.approved, Action.withdraw): Status.pending_review,
        (Status.certified, Action.withdraw): Status.pending_review,
        (Status.rejected, Action.submit): Status.pending_review,
        (Status.rejected, Action.cancel): Status.cancelled,
    }

    @pytest.mark.parametrize("status", Status)
    @pytest.mark.parametrize("action", Action)
    def test_every_pair_of_status_and_action(self, status: Status, action: Action) -> None:
        assert next_status(status, action) == self.EXPECTED.get((status, action))

    def test_every_status_but_the_first_is_reached_and_only_cancelled_is_final(self) -> None:
        assert set(TRANSITIONS.values()) == set(Status) - {Status.draft}
        assert set(Status) - {status for status, _ in TRANSITIONS} == {Status.cancelled}

    def test_only_pending_and_approved_occupy_a_post(self) -> None:
        assert set(LIVE) == {Status.pending_review, Status.approved}


class TestReplaceable:
    def held(self, number: str, post: str = "10", *, by_platform: bool = False, **ended: Any) -> HeldCertificate:
        return HeldCertificate(
            certificate_number=number,
            post=post,
            valid_until=date(2000, 1, 1),
            application_id=uuid4() if by_platform else None,
            **ended,
        )

    def test_those_of_the_post_the_platforms_own_first(self) -> None:
        later, earlier, own = self.held("3"), self.held("2"), self.held("9", by_platform=True)
        assert replaceable([later, earlier, own, self.held("1", "30")], "10") == [own, earlier, later]

    def test_not_what_is_void_or_replaced_already(self) -> None:
        ended = [self.held("1", voided_at=datetime(2026, 1, 1, tzinfo=UTC)), self.held("2", replaced_by=uuid4())]
        assert replaceable(ended, "10") == []


def test_a_reason_keeps_what_the_decision_said() -> None:
    said = {
        "reason_code": "letter_unsigned",
        "reason_label": "承诺书未签字",
        "reason_field": "commitment-letter",
        "comment": "请补签",
    }
    reason = DecisionReason.of(SimpleNamespace(**said))
    assert reason == DecisionReason("letter_unsigned", "承诺书未签字", "commitment-letter", "请补签")
    assert reason.named() == said
    assert set(DecisionReason().named().values()) == {None}


def test_application_numbers_have_eight_digits_at_least() -> None:
    assert application_number(7) == "HZ00000007"
    assert application_number(123456789) == "HZ123456789"


def test_an_application_number_is_read_with_and_without_its_letters() -> None:
    assert [sequence_of(typed) for typed in ("HZ00000012", "00000012", "12")] == [12, 12, 12]


def test_a_number_is_known_by_what_every_way_of_writing_it_keeps() -> None:
    writings = ("赣建安c（二〇二六）0042", "赣建安C(2026)0042", "〔赣·建安〕C-2026/0042", "0赣建安C 20260042")
    assert {number_key(number) for number in writings} == {"赣建安C20260042"}
    assert number_key("000700") == "700"


def test_kinds_that_show_one_picture_are_named_in_their_order() -> None:
    front: ImageKind = "id-front"
    back: ImageKind = "id-back"
    letter: ImageKind = "commitment-letter"
    assert repeated_images({letter: "a", back: "b", front: "a"}) == [front, letter]
    assert repeated_images({front: "a", back: "b"}) == []
    assert repeated_images({front: "a"}) == []
    assert repeated_images({}) == []
