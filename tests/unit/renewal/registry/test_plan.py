"""What the rows of an import change."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from services.renewal.registry.file import RegisteredCertificate, RegistryRow, RowError
from services.renewal.registry.plan import TAKEN, Change, Holding, Snapshot, plan
from shared.values import idnumber

PERSON = idnumber.parse(idnumber.make("360199", date(1990, 1, 1), 1), date(2026, 1, 1))
UNTIL = date(2031, 5, 31)


def certificate(number: str = "1", post: str = "10", until: date | None = UNTIL) -> RegisteredCertificate:
    return RegisteredCertificate(post, number, until)


def row(name: str = "王安宁", held: RegisteredCertificate | None = None) -> RegistryRow:
    return RegistryRow(PERSON, name, held)


def known(owner: str = "a", *, by_platform: bool = False) -> Snapshot:
    """A person `a` of the rows' name, and somebody's certificate."""
    return Snapshot({"a": "王安宁"}, {"1": Holding(owner, certificate(), by_platform)})


class TestAssess:
    def test_a_new_person(self) -> None:
        assert Snapshot({}, {}).assess("a", row()) == Change("created", "a", "王安宁", None)

    def test_a_known_person_of_the_same_name(self) -> None:
        assert known().assess("a", row()) == Change("unchanged", "a", None, None)

    def test_another_name(self) -> None:
        assert known().assess("a", row("王安和")) == Change("updated", "a", "王安和", None)

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
        assert snapshot.assess("a", row("王安和", certificate(post="30"))) == Change("updated", "a", "王安和", None)

    def test_a_certificate_of_somebody_else(self) -> None:
        assert known("b").assess("a", row("王安和", certificate())) is TAKEN

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
        assert taken is TAKEN
        # The refused row has changed nothing: its person is not there.
        assert snapshot == Snapshot({"a": "王安宁"}, {"1": Holding("a", certificate())})

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
                    st.none() | st.builds(certificate, st.sampled_from("12"), st.sampled_from(("10", "30"))),
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
        assert [isinstance(each, RowError) for each in again] == [isinstance(each, RowError) for each in planned]
        assert all(isinstance(each, RowError) or each.outcome != "created" for each in again)
