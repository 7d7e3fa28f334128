"""docs/performance.md keeps what each bench printed last."""

from datetime import date

from bench.__main__ import BENCHES
from bench.page import PAGE, keep

ORDER = ["first", "second", "third"]


def test_a_section_takes_the_place_of_what_its_bench_printed_before() -> None:
    page = "# Performance\n\nGoals.\n"
    for name, printed in (("third", "c"), ("first", "\na\n"), ("third", "d")):
        page = keep(page, ORDER, name, printed, date(2026, 1, 2), 3)
    assert page == (
        "# Performance\n\nGoals.\n\n"
        "## first\n\n2026-01-02, ROUNDS=3\n\n```\na\n```\n\n"
        "## third\n\n2026-01-02, ROUNDS=3\n\n```\nd\n```\n"
    )


def test_a_bench_that_is_no_more_leaves_the_page() -> None:
    page = keep("# P\n", ["old"], "old", "x", date(2026, 1, 2), 1)
    assert "old" not in keep(page, ORDER, "first", "a", date(2026, 1, 2), 1)


def test_the_page_names_every_bench_with_its_goal() -> None:
    page = PAGE.read_text()
    assert [name for name in BENCHES if f"| {name} |" not in page] == []
