"""What `make mutants` finds wrong, and how survivors are named and listed."""

from tools.mutants import LIST, Score, Survivor, changed_lines, function_of, judge, reasons

WIDTH = Survivor("services/a/domain.py:Layout.width", "- return 7\n+ return 8")
AGE = Survivor("services/a/domain.py:age", "- if days > 1:\n+ if days >= 1:")
LISTED = f"""# Survivors

A few words before.

{WIDTH}
Nothing depends on it.

Two paragraphs.

{AGE}"""


def test_a_survivor_is_read_as_it_is_printed() -> None:
    assert reasons(LISTED) == {WIDTH: "Nothing depends on it.\n\nTwo paragraphs.", AGE: ""}


def test_every_listed_survivor_has_a_reason() -> None:
    listed = reasons(LIST.read_text())
    assert len(listed) == LIST.read_text().count("```diff")
    assert all(listed.values())


def test_a_mutant_is_named_by_its_function_and_change() -> None:
    assert function_of("services.review.domain.x_age_on__mutmut_3") == "age_on"
    assert function_of("shared.messaging.relay.xǁRelayǁ_claim__mutmut_12") == "Relay._claim"
    diff = "--- a.py\n+++ a.py\n@@ -1,3 +1,3 @@\n def age():\n-    if days > 1:\n+    if days >= 1:\n         pass\n"
    assert changed_lines(diff) == AGE.change


def test_all_is_well_with_nine_of_ten_noticed_and_the_rest_listed() -> None:
    assert judge([Score("a", 10, (WIDTH,))], {WIDTH: "because"}) == []


def test_what_is_wrong_is_said() -> None:
    assert judge([], {}) == ["no faults were made"]
    assert judge([Score("a", 9, (WIDTH,))], {WIDTH: "because"}) == ["a: only 88.9% noticed"]
    assert judge([Score("a", 10, (WIDTH,))], {}) == [f"not listed:\n\n{WIDTH}"]
    assert judge([Score("a", 10, (WIDTH,))], {WIDTH: ""}) == [f"without a reason:\n\n{WIDTH}"]
    assert judge([Score("a", 10, ())], {WIDTH: "because"}) == [f"listed, and noticed now:\n\n{WIDTH}"]
    assert judge([Score("a", 10, (), untested=2)], {}) == ["a: 2 faults were not tested"]
