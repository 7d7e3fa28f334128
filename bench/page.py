"""docs/performance.md: what each bench printed when it was last run."""

import re
from datetime import date
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
_SECTION = re.compile(r"^## (\S+)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def keep(page: str, order: list[str], name: str, printed: str, day: date, rounds: int) -> str:
    """Give the page with what bench `name` has printed in place of what it printed before; sections in `order`."""
    sections = {found[1]: found[2] for found in _SECTION.finditer(page)}
    sections[name] = f"\n{day.isoformat()}, ROUNDS={rounds}\n\n```\n{printed.strip()}\n```\n\n"
    known = {each: sections[each] for each in order if each in sections}
    head = page[: page.find("\n## ") + 1] if "\n## " in page else page.rstrip() + "\n\n"
    return (head + "".join(f"## {each}\n{text}" for each, text in known.items())).rstrip() + "\n"
