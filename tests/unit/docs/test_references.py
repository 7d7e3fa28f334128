"""What the guides name is there: every path, and every function or class in it."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.unit.deploy.files import DEPLOY

ROOT = DEPLOY.parent
GUIDES = (
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs/architecture.md",
    "docs/rules.md",
    "docs/walkthrough.md",
    "docs/failures.md",
)
PLACES = "services|shared|deploy|tests|tools|bench|docs"
# `services/renewal/domain.py`, `docs/decisions/`, `services/renewal/lifecycle.py:Applications.submit`
NAMED = re.compile(rf"`((?:{PLACES})/[\w./-]+?)(?::([A-Za-z_][\w.]*))?`")
MODULE = re.compile(r"`((?:services|shared)(?:\.[a-z_]\w*)+)(?:\.([A-Z]\w*))?`")
LINKED = re.compile(r"\]\((?!https?:)([^)#]+)")
# Made by `make secrets`, so not in a fresh clone.
MADE = ("deploy/compose/secrets", "deploy/compose/.env")


@cache
def defined(path: Path) -> set[str]:
    """Functions, classes, and methods as Class.method."""
    names: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            methods = (each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))
            names |= {f"{node.name}.{method.name}" for method in methods}
    return names


def missing(text: str) -> list[str]:
    """What a guide names and nobody finds."""
    found: list[str] = []
    for path, name in NAMED.findall(text):
        place = ROOT / path
        if path.startswith(MADE) or "<" in path:
            continue
        if not place.exists() or (name and name not in defined(place)):
            found.append(f"{path}:{name}" if name else path)
    for module, name in MODULE.findall(text):
        place = ROOT / module.replace(".", "/")
        file = place.with_suffix(".py") if place.with_suffix(".py").exists() else place / "__init__.py"
        if not file.exists() or (name and file.name != "__init__.py" and name not in defined(file)):
            found.append(f"{module}.{name}" if name else module)
    return found


@pytest.mark.parametrize("guide", GUIDES)
def test_whatever_a_guide_names_is_there(guide: str) -> None:
    text = (ROOT / guide).read_text()
    assert missing(text) == []
    dead = [link for link in LINKED.findall(text) if not ((ROOT / guide).parent / link).exists()]
    assert dead == []


def test_the_walkthrough_names_functions() -> None:
    named = NAMED.findall((ROOT / "docs" / "walkthrough.md").read_text())
    assert len([name for _, name in named if name]) > 40


def test_a_wrong_name_is_found() -> None:
    text = (
        "`shared/http.py`, `services/renewal/domain.py:reasons_against`, `shared.cipher`, `services/renewal/domain.py`"
    )
    assert missing(text) == ["shared/http.py", "services/renewal/domain.py:reasons_against", "shared.cipher"]


def test_every_failure_of_the_matrix_has_its_tests() -> None:
    """The first twenty have numbers that others know; all name their tests, and what these said without protection."""
    rows = [line.strip("| ").split(" | ") for line in (ROOT / "docs/failures.md").read_text().splitlines()]
    table = {int(row[0]): row for row in rows if row[0].isdigit()}
    assert sorted(table) == list(range(1, len(table) + 1))
    assert len(table) >= 20
    for number, row in table.items():
        assert len(row) == 6, number
        assert all("/test_" in path for path, _ in NAMED.findall(row[4])), number
        assert NAMED.findall(row[4]), number
