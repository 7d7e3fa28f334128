"""What a template's markup uses that the oldest browsers do not know."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser

from tools.floor.known import Missing

# Without them a page loads and behaves the same.
HINTS = frozenset({"loading", "enterkeyhint", "spellcheck"})

JINJA = re.compile(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", re.DOTALL)

Breach = tuple[int, str]


def breaches(source: str, missing: Missing) -> Iterator[Breach]:
    """Say what in a template is not known, by line."""
    markup = _Markup(missing)
    markup.feed(JINJA.sub(lambda found: "\n" * found[0].count("\n"), source))
    markup.close()
    yield from markup.found


class _Markup(HTMLParser):
    def __init__(self, missing: Missing) -> None:
        super().__init__()
        self._missing = missing
        self.found: list[Breach] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        line = self.getpos()[0]
        if tag in self._missing.elements:
            self.found.append((line, f"<{tag}>"))
        for name, _ in attrs:
            if name not in HINTS and {f" {name}", f"{tag} {name}"} & self._missing.attributes:
                self.found.append((line, f"<{tag} {name}>"))
