"""What the rows of an import change."""

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.renewal.domain import number_key
from services.renewal.registry.file import RegisteredCertificate, RegistryRow
from services.renewal.registry.plan import (
    CERTIFICATE_WHILE_NUMBERED,
    CORRECTED,
    NAME_CORRECTED,
    NAME_WHILE_NUMBERED,
    REMOVED,
    REPEATED,
    TAKEN,
    Change,
    Holding,
    Snapshot,
    plan,
)
from shared.values import idnumber

PERSON = idnumber.parse(idnumber.make("360199", date(1990, 1, 1), 1), date(2026, 1, 1))
UNTIL = date(2031, 5, 31)


def certificate(number: str = "1", post: str = "10", until: date | None = UNTIL) -> RegisteredCertificate:
    return RegisteredCertificate(post, number, until)


def row(name: str = "王安宁", held: RegisteredCertificate | None = None) -> RegistryRow:
    return RegistryRow(PERSON, name, held)


def known(owner: str = "a", *, by_platform: bool = False) -> Snapshot:
    """A person `a` of the rows' name, and somebody's certificate."""
    return Snapshot({"a": "王安宁"}, {"1": (Holding(owner, certificate(), by_platform),)})


class TestAssess:
    def test_a_new_person(self) -> None:
        assert Snapshot({}, {}).assess("a", row()) == Change("created", "a", "王安宁", None)

    def test_a_known_person_of_the_same_name(self) -> None:
        assert known().assess("a", row()) == Change("unchanged", "a", None, None)

    def test_another_name(self) -> None:
        assert known().assess("a", row("王安和")) == Change("updated", "a", "王安和", None, old_name="王安宁")

    def test_a_new_certificate_of_a_known_person(self) -> None:
        new = certificate("2")
        assert known().assess("a", row(held=new)) == Change("created", "a", None, Holding("a", new))

    def test_a_known_certificate(self) -> None:
        assert known().assess("a", row(held=certificate())) == Change("unchanged", "a", None, None)

    def test_a_changed_certificate(self) -> None:
        for changed in (certificate(post="30"), certificate(until=None)):
            assert known().assess("a", row(held=changed)) == Change("updated", "a", None, Holding("a", changed))

    def test_a_certificate_that_the_platform_gave_stays_as_it_is(self) -> None:
        snapshot = known(by_platform=True)
        assert snapshot.assess("a", row(held=certificate(post="30"))) == Change("unchanged", "a", None, None)
        assert snapshot.assess("a", row("王安和", certificate(post="30"))) == Change(
            "updated", "a", "王安和", None, old_name="王安宁"
        )

    def test_a_certificate_of_somebody_else(self) -> None:
        assert known("b").assess("a", row("王安和", certificate())) == [TAKEN]

    def test_nothing_is_changed_under_a_number_that_is_being_given(self) -> None:
        snapshot = replace(known(), being_numbered={"a": frozenset({"10"})})
        assert snapshot.assess("a", row("王安和")) == [NAME_WHILE_NUMBERED]
        for held in (certificate(post="30"), certificate("2")):
            assert snapshot.assess("a", row(held=held)) == [CERTIFICATE_WHILE_NUMBERED]
        assert snapshot.assess("a", row("王安和", certificate("2"))) == [
            NAME_WHILE_NUMBERED,
            CERTIFICATE_WHILE_NUMBERED,
        ]

    def test_what_a_number_that_is_being_given_does_not_tell_of_may_change(self) -> None:
        snapshot = replace(known(), being_numbered={"a": frozenset({"10"}), "b": frozenset({"30"})})
        for held in (None, certificate(), certificate(until=None), certificate("2", "30")):
            assert isinstance(snapshot.assess("a", row(held=held)), Change)
        assert isinstance(snapshot.assess("c", row("王安和", certificate("2"))), Change)

    def test_a_removed_certificate_does_not_come_back(self) -> None:
        snapshot = Snapshot({"a": "王安宁"}, {"1": (Holding("a", certificate(), removed=True),)})
        for held in (certificate(), certificate(post="30"), certificate("001")):
            assert snapshot.assess("a", row(held=held)) == [REMOVED]
        # Whose it really is may have it.
        assert snapshot.assess("b", row(held=certificate())) == Change(
            "created", "b", "王安宁", Holding("b", certificate())
        )

    def test_a_number_that_was_put_right_does_not_come_back(self) -> None:
        wrong, right = Holding("a", certificate("12"), corrected_to="21"), Holding("a", certificate("21"))
        snapshot = Snapshot({"a": "王安宁"}, {"12": (wrong,), "21": (right,)})
        for number in ("12", "012"):
            refused = snapshot.assess("a", row(held=certificate(number)))
            assert isinstance(refused, list)
            assert refused[0].code in {"certificate_corrected", "certificate_duplicate"}
            assert "21" in refused[0].message
        assert isinstance(snapshot.assess("b", row(held=certificate("12"))), Change)

    def test_what_was_put_right_is_not_put_wrong_again_but_news_are_news(self) -> None:
        right = Holding("a", certificate(), superseded=(("30", UNTIL), ("10", None)))
        snapshot = Snapshot({"a": "王安宁"}, {"1": (right,)}, {"a": frozenset({"王安和"})})
        assert snapshot.assess("a", row(held=certificate(post="30"))) == [CORRECTED]
        assert snapshot.assess("a", row(held=certificate(until=None))) == [CORRECTED]
        assert snapshot.assess("a", row("王安和", certificate())) == [NAME_CORRECTED]
        both = snapshot.assess("a", row("王安和", certificate(post="30")))
        assert both == [NAME_CORRECTED, CORRECTED]
        newer = certificate(until=date(2034, 5, 31))
        assert snapshot.assess("a", row("王安定", newer)) == Change(
            "updated", "a", "王安定", Holding("a", newer, superseded=right.superseded), old_name="王安宁"
        )

    @pytest.mark.parametrize(
        ("registered", "written"),
        [
            ("00707100019207", "707100019207"),
            ("707100019207", "00707100019207"),
            ("赣建安C(2015)0000001", "赣建安C〔2015〕0000001"),
            ("赣建安C〔2015〕0000001", "赣建安c2015-0000001"),
            ("A-12/3", "A123"),
        ],
    )
    def test_a_number_in_another_writing(self, registered: str, written: str) -> None:
        held: dict[str, tuple[Holding, ...]] = {number_key(registered): (Holding("a", certificate(registered)),)}
        own = Snapshot({"a": "王安宁"}, held).assess("a", row(held=certificate(written)))
        assert isinstance(own, list)
        assert own[0].code == "certificate_duplicate"
        assert registered in own[0].message
        others = Snapshot({"a": "王安宁"}, held).assess("b", row(held=certificate(written)))
        assert isinstance(others, Change)
        assert others.warning is not None
        assert (others.outcome, others.warning.code) == ("created", "certificate_number_similar")
        assert registered in others.warning.message
        assert written in others.warning.message

    @pytest.mark.parametrize(
        ("number", "digits", "flagged"),
        [
            ("707100019207", 14, True),
            ("00707100019207", 14, False),
            ("赣建安C(2015)0000001", 14, False),
            ("707100019207", 12, False),
            ("707100019207", None, False),
        ],
    )
    def test_a_number_shorter_than_the_platform_s_own(self, number: str, digits: int | None, flagged: bool) -> None:
        snapshot = Snapshot({}, {}, digits=digits)
        change = snapshot.assess("a", row(held=certificate(number)))
        assert isinstance(change, Change)
        assert (change.warning is not None and change.warning.code) == (flagged and "certificate_number_short")
        snapshot.take(change)
        again = snapshot.assess("a", row(held=certificate(number)))
        # Said once, when it is registered.
        assert again == Change("unchanged", "a", None, None)

    def test_changes_nothing(self) -> None:
        snapshot = known()
        snapshot.assess("a", row("王安和", certificate("2")))
        assert snapshot == known()


class TestPlan:
    def test_a_row_sees_what_the_rows_before_it_change(self) -> None:
        snapshot = Snapshot({}, {})
        rows = [("a", row(held=certificate())), ("a", row(held=certificate())), ("b", row(held=certificate()))]
        created, again, taken = plan(rows, snapshot)
        assert created == Change("created", "a", "王安宁", Holding("a", certificate()))
        assert again == Change("unchanged", "a", None, None)
        assert taken == [TAKEN]
        # The refused row has changed nothing: its person is not there.
        assert snapshot == Snapshot({"a": "王安宁"}, {"1": (Holding("a", certificate()),)})

    @pytest.mark.parametrize("other", [certificate(post="30"), certificate(until=None)])
    def test_rows_that_contradict_each_other_are_flagged(self, other: RegisteredCertificate) -> None:
        snapshot = known()
        table = [("a", row(held=each)) for each in (certificate(), other, other, certificate())]
        warnings = [each.warning for each in plan(table, snapshot) if isinstance(each, Change)]
        assert warnings == [None, REPEATED, None, REPEATED]

    def test_news_of_what_another_table_said_are_not_flagged(self) -> None:
        (change,) = plan([("a", row(held=certificate(until=None)))], known())
        assert isinstance(change, Change)
        assert (change.outcome, change.warning) == ("updated", None)

    def test_the_last_name_stays(self) -> None:
        snapshot = Snapshot({}, {})
        outcomes = [
            each.outcome for each in plan([("a", row("甲")), ("a", row("乙"))], snapshot) if isinstance(each, Change)
        ]
        assert outcomes == ["created", "updated"]
        assert snapshot.names == {"a": "乙"}

    @given(
        rows=st.lists(
            st.tuples(
                st.sampled_from("abc"),
                st.builds(
                    row,
                    st.sampled_from(("甲", "乙")),
                    st.none()
                    | st.builds(certificate, st.sampled_from(("1", "01", "2")), st.sampled_from(("10", "30"))),
                ),
            )
        ),
        cut=st.integers(0, 10),
    )
    def test_is_the_same_in_one_piece_or_two_and_done_after_one(
        self, rows: list[tuple[str, RegistryRow]], cut: int
    ) -> None:
        whole, parts = Snapshot({}, {}), Snapshot({}, {})
        planned = plan(rows, whole)
        assert plan(rows[:cut], parts) + plan(rows[cut:], parts) == planned
        assert parts == whole
        # Planned once more, nothing is new, and what was refused still is.
        again = plan(rows, whole)
        assert [isinstance(each, list) for each in again] == [isinstance(each, list) for each in planned]
        assert all(isinstance(each, list) or each.outcome != "created" for each in again)
