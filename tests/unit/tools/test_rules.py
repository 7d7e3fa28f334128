"""Each rule is broken once, and kept by what is nearest to breaking it."""

from collections.abc import Sequence

import pytest

from tools import rules
from tools.rules import Module, Rule

DOC = '"""What it is for."""\n'

CASES: Sequence[tuple[Rule, str, str, list[int]]] = [
    (rules.transactions_commit, "services/review/service/desk.py", "session.commit()", [1]),
    (rules.transactions_commit, "deploy/journey.py", "async def f(c):\n    await c.session.commit()", [2]),
    (rules.transactions_commit, "shared/persistence/db.py", "session.commit()", []),
    (rules.transactions_commit, "shared/web/routing.py", "after_commit(session, wake)\nprint(event.commit)", []),
    (rules.transactions_commit, "bench/numbering.py", "session.commit()", []),
    (rules.problems_refuse, "services/portal/forms.py", "raise HTTPException(404)", [1]),
    (rules.problems_refuse, "shared/web/app.py", "raise exceptions.HTTPException(status_code=404)", [1]),
    (rules.problems_refuse, "services/portal/failures.py", "FAILURES = {HTTPException: _on_http}", []),
    (rules.log_events_are_names, "shared/x.py", 'log.info(f"done {count}")', [1]),
    (rules.log_events_are_names, "shared/x.py", 'log.warning("done %s" % count)', [1]),
    (rules.log_events_are_names, "shared/x.py", 'log.warning("x.done", count)', [1]),
    (rules.log_events_are_names, "shared/x.py", 'log.error("done")', [1]),
    (rules.log_events_are_names, "shared/x.py", "log.error(event)", [1]),
    (rules.log_events_are_names, "shared/x.py", "log.error()", [1]),
    (rules.log_events_are_names, "shared/x.py", 'log.info("x.is_done", count=f"{count}")\nmath.log(2)\nlog.bind()', []),
    (
        rules.integrity_errors_name_their_constraint,
        "services/x.py",
        "try:\n    f()\nexcept IntegrityError:\n    raise Taken from None",
        [3],
    ),
    (
        rules.integrity_errors_name_their_constraint,
        "services/x.py",
        "try:\n    f()\nexcept (ValueError, sa.exc.IntegrityError) as error:\n    raise Taken from error",
        [3],
    ),
    (
        rules.integrity_errors_name_their_constraint,
        "services/x.py",
        "try:\n    f()\nexcept IntegrityError as e:\n    if not db.violates(e, 'uq_x'):\n        raise",
        [],
    ),
    (rules.integrity_errors_name_their_constraint, "services/x.py", "try:\n    f()\nexcept:\n    raise", []),
    (rules.modules_open_with_what_they_are_for, "shared/web/app.py", "import re", [1]),
    (rules.modules_open_with_what_they_are_for, "shared/web/__init__.py", "", [1]),
    (rules.modules_open_with_what_they_are_for, "services/review/__main__.py", '""" """\nrun()', [1]),
    (rules.modules_open_with_what_they_are_for, "shared/web/_private.py", "import re", []),
    (rules.modules_open_with_what_they_are_for, "shared/web/app.py", DOC, []),
    (rules.packages_say_who_may_import_them, "shared/web/__init__.py", DOC, [1]),
    (rules.packages_say_who_may_import_them, "shared/web/__init__.py", '"""HTTP.\n\nImported by services."""', []),
    (rules.packages_say_who_may_import_them, "shared/web/app.py", DOC, []),
    (rules.docstrings_have_a_subject, "shared/x.py", 'def f():\n    """Of the database, for one process."""', [1]),
    (
        rules.docstrings_have_a_subject,
        "shared/x.py",
        'class A:\n    async def f():\n        """Until cancelled."""',
        [2],
    ),
    (rules.docstrings_have_a_subject, "shared/x.py", '"""From rows to answers."""', [1]),
    (rules.packages_say_who_may_import_them, "shared/web/__init__.py", DOC, [1]),
    (rules.packages_say_who_may_import_them, "shared/web/__init__.py", '"""HTTP.\n\nImported by services."""', []),
    (rules.packages_say_who_may_import_them, "shared/web/app.py", DOC, []),
    (rules.docstrings_have_a_subject, "shared/x.py", 'def f():\n    """Offer what there is."""\ndef g(): ...', []),
    (rules.handlers_are_called_on_event, "services/review/consumers.py", "async def take(c, s, b): ...", [1]),
    (
        rules.handlers_are_called_on_event,
        "services/review/consumers.py",
        "async def on_approved(c, s, b): ...\ndef _traced(): ...",
        [],
    ),
    (rules.handlers_are_called_on_event, "services/review/service/consumers.py", "def take(): ...", []),
    (rules.audit_actions_live_in_audit, "services/review/domain.py", "class AuditAction(StrEnum): ...", [1]),
    (rules.audit_actions_live_in_audit, "services/review/audit.py", "class AuditAction(StrEnum): ...", []),
    (rules.modules_are_short, "shared/x.py", "pass\n" * (rules.MAX_LINES + 1), [rules.MAX_LINES]),
    (rules.modules_are_short, "shared/x.py", "pass\n" * rules.MAX_LINES, []),
    (rules.constants_are_not_patched, "tests/x.py", 'patch.setattr("shared.messaging.health.STALL_TIMEOUT", 1)', [1]),
    (rules.constants_are_not_patched, "tests/x.py", 'monkeypatch.setattr(registry, "CHUNK", 2)', [1]),
    (rules.constants_are_not_patched, "tests/x.py", "topology.DELIVERY_LIMIT = 5", [1]),
    (
        rules.constants_are_not_patched,
        "tests/x.py",
        'patch.setattr(container, "import_chunk", CHUNK)\nLIMIT = 5\npatch.setattr(sys, "argv", ["X"])',
        [],
    ),
    (
        rules.time_is_asked_of_a_clock,
        "services/x.py",
        "datetime.now(UTC)\ndate.today()\ntime.time()\nsa.func.current_timestamp()\nsa.text('SELECT localtimestamp')",
        [1, 2, 3, 4, 5],
    ),
    (
        rules.time_is_asked_of_a_clock,
        "shared/x.py",
        "container.clock.now()\nsa.func.now()\nsa.text('now()')\ntime.monotonic()\ntime.time_ns()",
        [],
    ),
    (rules.time_is_asked_of_a_clock, "shared/values/clock.py", "datetime.now(UTC)", []),
    (rules.time_is_asked_of_a_clock, "deploy/compose/backup.py", "datetime.now(UTC)", []),
    (rules.tests_do_not_sleep, "tests/x.py", "time.sleep(1)\nawait asyncio.sleep(delay)", [1, 2]),
    (rules.tests_do_not_sleep, "tests/x.py", "await asyncio.sleep(0)", []),
    (rules.tests_do_not_sleep, "tests/support/wait.py", "time.sleep(0.05)", []),
    (rules.tests_do_not_sleep, "tests/soak/faults.py", "await asyncio.sleep(fault.seconds)", []),
]


@pytest.mark.parametrize(("rule", "path", "source", "lines"), CASES)
def test_a_rule(rule: Rule, path: str, source: str, lines: list[int]) -> None:
    assert [line for line, _ in rule(Module.parse(path, source))] == lines


def test_every_rule_is_checked_and_broken_here() -> None:
    broken = {rule for rule, _, _, lines in CASES if lines}
    assert broken == {*rules.RULES, *rules.TEST_RULES}


def test_a_breach_says_where_it_is() -> None:
    (line,) = rules.breaches([Module.parse("shared/x.py", f"{DOC}session.commit()\n")])
    assert line.startswith("shared/x.py:2: a commit outside")


OWNERS = {"jwt": ["PyJWT"], "opentelemetry": ["opentelemetry-api", "opentelemetry-sdk"], "yaml": ["PyYAML"]}


class TestDependencies:
    def found(self, source: str, *declared: str, path: str = "shared/x.py") -> list[str]:
        return list(rules.undeclared_imports([Module.parse(path, source)], [*declared, *rules.NOT_IMPORTED], OWNERS))

    def test_what_is_imported_is_declared(self) -> None:
        ours = "import os.path\nfrom shared.web import app\nfrom . import y\n"
        source = f"{ours}import jwt.api\nfrom opentelemetry.trace import Link"
        assert self.found(source, "pyjwt", "opentelemetry_sdk") == []

    def test_an_undeclared_import_is_named_also_inside_a_function(self) -> None:
        assert self.found("def f():\n    import yaml") == [
            "shared/x.py:2: yaml is imported and not among the dependencies of pyproject.toml"
        ]

    def test_what_only_tools_import_need_not_be_declared(self) -> None:
        assert self.found("import yaml", path="tools/x.py") == []

    def test_a_dependency_that_nobody_imports_is_named(self) -> None:
        assert self.found("", "pyjwt") == ["pyproject.toml: pyjwt is a dependency and imported nowhere"]

    def test_an_exception_that_is_none_any_more_is_named(self) -> None:
        owners = {"uvloop": ["uvloop"]}
        declared = [name for name in rules.NOT_IMPORTED if name != "tzdata"]
        found = rules.undeclared_imports([Module.parse("shared/x.py", "import uvloop")], declared, owners)
        assert list(found) == [
            f"tools/rules.py: {name} is imported, or no dependency: it is no exception any more"
            for name in ("tzdata", "uvloop")
        ]

    def test_reads_the_names_of_requirements(self) -> None:
        text = '[project]\ndependencies = ["a.b>=1", "psycopg[binary]>=3.3", "uvloop; sys_platform != 0", "c"]'
        assert rules.declared_dependencies(text) == ["a.b", "psycopg", "uvloop", "c"]
