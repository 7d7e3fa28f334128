"""Rules of this repository that no linter knows: `python -m tools.rules` names every breach and ends with 1 if any is.

A rule is a function that gets a module and says what breaks it, line by line. What concerns all modules together (the
declared dependencies) is checked at the end. `tests/unit/tools/test_rules.py` breaks each.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path, PurePosixPath
from typing import Any

ROOT = Path(__file__).parents[1]
RUNTIME = ("services", "shared", "deploy")
PLACES = (*RUNTIME, "tools", "bench", "tests")
# Written once and never changed, or made from a template.
FROZEN = "*/migrations/versions/*"

MAX_LINES = 350
LOG_METHODS = frozenset({"debug", "info", "warning", "error", "exception", "critical"})
LOG_EVENT = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)+")
SUBJECTLESS = re.compile(r"(Of|From|By|With|Until)\s")

# Declared, and imported nowhere in RUNTIME, for a reason.
NOT_IMPORTED = {
    "httptools": "uvicorn's parser, found by it",
    "python-multipart": "FastAPI's forms, found by it",
    "tzdata": "zoneinfo's data where the system has none",
    "uvloop": "uvicorn's event loop, found by it",
}

# Where time is not the clock's: the clock itself, the stores' own, those of libraries (the windows of limits, Celery's
# beat), and figures for operators.
OWN_TIME = (
    "services/certnumber/tasks.py",
    "shared/values/clock.py",
    "shared/files/storage",
    "shared/web/ratelimit.py",
    "shared/messaging/consumer.py",
)
WALL_CLOCKS = frozenset({"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time"})
SQL_CLOCK = re.compile(r"\b(CURRENT_(TIMESTAMP|DATE|TIME)|LOCALTIME(STAMP)?)\b", re.IGNORECASE)

Breach = tuple[int, str]


@dataclass(frozen=True)
class Module:
    """One source file; `path` is relative to the repository."""

    path: PurePosixPath
    source: str
    tree: ast.Module

    @classmethod
    def parse(cls, path: str, source: str) -> "Module":
        return cls(PurePosixPath(path), source, ast.parse(source))

    def within(self, *packages: str) -> bool:
        """Whether the module is part of one of these packages, such as "shared/web"."""
        return any(self.path.is_relative_to(package) for package in packages)


Rule = Callable[[Module], Iterator[Breach]]


def transactions_commit(module: Module) -> Iterator[Breach]:
    """Only shared/persistence commits: elsewhere a block of `Database.transaction` ends and does."""
    if module.within(*RUNTIME) and not module.within("shared/persistence"):
        for call in _calls(module.tree):
            if isinstance(call.func, ast.Attribute) and call.func.attr == "commit":
                yield call.lineno, "a commit outside shared/persistence: use Database.transaction"


def problems_refuse(module: Module) -> Iterator[Breach]:
    """A refusal is a Problem of shared/errors.py: an HTTPException may be handled, and is made nowhere."""
    for call in _calls(module.tree):
        if _last_name(call.func) == "HTTPException":
            yield call.lineno, "an HTTPException: raise a Problem"


def log_events_are_names(module: Module) -> Iterator[Breach]:
    """A log line's event is one dotted name, never a text made of values: those are its fields."""
    for call in _calls(module.tree):
        function = call.func
        if not (isinstance(function, ast.Attribute) and function.attr in LOG_METHODS):
            continue
        if not (isinstance(function.value, ast.Name) and function.value.id == "log"):
            continue
        event = call.args[0] if call.args else None
        named = isinstance(event, ast.Constant) and isinstance(event.value, str) and LOG_EVENT.fullmatch(event.value)
        if not named or len(call.args) > 1:
            yield call.lineno, 'a log event that is not one dotted name, such as log.info("relay.failed", rows=3)'


def integrity_errors_name_their_constraint(module: Module) -> Iterator[Breach]:
    """Whoever catches an IntegrityError says which constraint it expects: another one would be a fault of ours."""
    for handler in ast.walk(module.tree):
        if isinstance(handler, ast.ExceptHandler) and handler.type is not None:
            caught = {_last_name(node) for node in ast.walk(handler.type)}
            judged = any(
                _last_name(call.func) == "violates" for statement in handler.body for call in _calls(statement)
            )
            if "IntegrityError" in caught and not judged:
                yield handler.lineno, "an IntegrityError whose constraint is not named: ask `violates(error, …)`"


def modules_open_with_what_they_are_for(module: Module) -> Iterator[Breach]:
    """Every public module and every package has a docstring."""
    name = module.path.stem
    public = not name.startswith("_") or name in {"__init__", "__main__"}
    if public and not (ast.get_docstring(module.tree) or "").strip():
        yield 1, "no docstring: say what the module is for"


def packages_say_who_may_import_them(module: Module) -> Iterator[Breach]:
    """The docstring of a package says what may import it."""
    if module.path.name == "__init__.py" and "import" not in (ast.get_docstring(module.tree) or "").lower():
        yield 1, "a package that does not say what may import it"


def docstrings_have_a_subject(module: Module) -> Iterator[Breach]:
    """A docstring begins with a verb or with the thing, not with "Of …" or "Until …"."""
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if SUBJECTLESS.match(ast.get_docstring(node) or ""):
            yield getattr(node, "lineno", 1), "a docstring without a subject: begin with a verb"


def handlers_are_called_on_event(module: Module) -> Iterator[Breach]:
    """What a service's consumers.py offers is its handlers, `on_<event>`."""
    if module.path.match("services/*/consumers.py"):
        for node in module.tree.body:
            if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef) and not node.name.startswith(("on_", "_")):
                yield node.lineno, f"{node.name} in consumers.py: a handler is called on_<event>"


def audit_actions_live_in_audit(module: Module) -> Iterator[Breach]:
    """What a service's audit trail can hold is read in its audit.py."""
    if module.within("services") and module.path.name != "audit.py":
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef) and node.name == "AuditAction":
                yield node.lineno, "an AuditAction outside of its service's audit.py"


def time_is_asked_of_a_clock(module: Module) -> Iterator[Breach]:
    """A service asks its container's clock for the time, and the database by a function such as now(): for both the
    simulated year has its own, for anything else it has none."""
    if not module.within("services", "shared") or module.within(*OWN_TIME):
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if f"{_last_name(node.func.value)}.{node.func.attr}" in WALL_CLOCKS:
                yield node.lineno, "the system's time: ask a Clock"
            elif SQL_CLOCK.fullmatch(node.func.attr):
                yield node.lineno, "a time that no function stands for: use now()"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL_CLOCK.search(node.value):
            yield node.lineno, "a time that no function stands for: use now()"


def modules_are_short(module: Module) -> Iterator[Breach]:
    """A module has at most MAX_LINES lines."""
    lines = module.source.count("\n")
    if lines > MAX_LINES:
        yield MAX_LINES, f"{lines} lines: split it"


def constants_are_not_patched(module: Module) -> Iterator[Breach]:
    """A test gives a limit or a timing as an argument: a constant patched by its name is patched in one module only."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and _last_name(node.func) == "setattr":
            names = [argument.value for argument in node.args[:2] if isinstance(argument, ast.Constant)]
            if any(isinstance(name, str) and name.rpartition(".")[2].isupper() for name in names):
                yield node.lineno, "a constant is patched by its name: let it be an argument"
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Attribute) and target.attr.isupper():
                    yield node.lineno, "a constant is assigned to: let it be an argument"


def tests_do_not_sleep(module: Module) -> Iterator[Breach]:
    """A test waits for what must happen, with `until`; only to let other tasks run it may sleep(0). A fault lasts."""
    if module.within("tests/support/wait.py", "tests/soak/faults.py"):
        return
    for call in _calls(module.tree):
        nothing = [argument for argument in call.args if isinstance(argument, ast.Constant) and argument.value == 0]
        if _last_name(call.func) == "sleep" and not nothing:
            yield call.lineno, "a test that sleeps: wait for what must happen"


RULES: tuple[Rule, ...] = (
    transactions_commit,
    problems_refuse,
    log_events_are_names,
    integrity_errors_name_their_constraint,
    modules_open_with_what_they_are_for,
    packages_say_who_may_import_them,
    docstrings_have_a_subject,
    handlers_are_called_on_event,
    audit_actions_live_in_audit,
    time_is_asked_of_a_clock,
    modules_are_short,
)
TEST_RULES: tuple[Rule, ...] = (constants_are_not_patched, tests_do_not_sleep)


def undeclared_imports(
    modules: Iterable[Module], declared: Iterable[str], owners: Mapping[str, Iterable[str]]
) -> Iterator[str]:
    """Say what RUNTIME imports and pyproject.toml does not declare, and the other way round.

    `declared` are names of distributions, `owners` the distributions of each importable name.
    """
    wanted = {_normal(name) for name in declared}
    used: set[str] = set()
    for module in modules:
        if not module.within(*RUNTIME):
            continue
        for line, name in _imported(module.tree):
            if name in sys.stdlib_module_names or name in PLACES:
                continue
            offering = {_normal(owner) for owner in owners.get(name, ())}
            used |= offering & wanted
            if not offering & wanted:
                yield f"{module.path}:{line}: {name} is imported and not among the dependencies of pyproject.toml"
    for name in sorted(wanted - used - NOT_IMPORTED.keys()):
        yield f"pyproject.toml: {name} is a dependency and imported nowhere"
    for name in sorted(NOT_IMPORTED.keys() - (wanted - used)):
        yield f"tools/rules.py: {name} is imported, or no dependency: it is no exception any more"


def breaches(modules: Iterable[Module]) -> Iterator[str]:
    """Say where the modules break a rule, one line for each."""
    for module in modules:
        for rule in TEST_RULES if module.within("tests") else RULES:
            for line, what in rule(module):
                yield f"{module.path}:{line}: {what}"


def read_modules(root: Path) -> list[Module]:
    """Parse what the rules are for."""
    paths = (path.relative_to(root) for place in PLACES for path in sorted((root / place).rglob("*.py")))
    return [Module.parse(path.as_posix(), (root / path).read_text()) for path in paths if not path.match(FROZEN)]


def declared_dependencies(pyproject: str) -> list[str]:
    """Name the distributions that the text of a pyproject.toml declares for running."""
    project: dict[str, Any] = tomllib.loads(pyproject)["project"]
    return [re.split(r"[^A-Za-z0-9._-]", text.strip(), maxsplit=1)[0] for text in project["dependencies"]]


def check(root: Path) -> list[str]:
    """Say where a repository breaks a rule, one line for each."""
    modules = read_modules(root)
    declared = declared_dependencies((root / "pyproject.toml").read_text())
    return [*breaches(modules), *undeclared_imports(modules, declared, packages_distributions())]


def main() -> None:
    """Check this repository."""
    found = check(ROOT)
    sys.stdout.writelines(f"{line}\n" for line in found)
    sys.exit(1 if found else 0)


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _last_name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.lineno, node.module.partition(".")[0]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    main()
