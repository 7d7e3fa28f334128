"""Code names the rules that it follows by their section, and every section it names exists."""

import re

from tests.unit.deploy.files import DEPLOY

ROOT = DEPLOY.parent
SECTIONS = set(re.findall(r"^## (\d+)\.", (ROOT / "docs" / "rules.md").read_text(), re.MULTILINE))
CITED = re.compile(r"docs/rules\.md, sections? (\d+)(?: and (\d+))?")


def test_every_rule_that_code_names_exists() -> None:
    cited: set[str] = set()
    for file in (*(ROOT / "services").rglob("*.py"), *(ROOT / "shared").rglob("*.py")):
        text = file.read_text()
        citations = CITED.findall(text)
        assert len(citations) == text.count("rules.md"), f"{file} names rules.md otherwise than by section"
        cited |= {section for citation in citations for section in citation if section}
    assert cited, "no code names a rule any more"
    assert cited <= SECTIONS
