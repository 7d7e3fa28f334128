"""What a stylesheet uses that the oldest browsers do not know, and has no fallback for.

A declaration with a value that is not known is one where the same rule has said the property before, in words that are.
What stands in `@supports` is guarded by it.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import tinycss2

from tools.floor.known import Missing

# Without them a page looks a little plainer and says and does the same.
ORNAMENTS = frozenset(
    {
        "accent-color",
        # Where a manual is cut when it is printed.
        "break-after",
        "forced-color-adjust",
        "text-decoration-thickness",
        "text-size-adjust",
        "text-underline-offset",
    }
)
# What says the same to a browser that does not know the property.
ELDERS = {"user-select": "-webkit-user-select"}
# Lists of which a browser takes the first that it knows.
LISTS = frozenset({"font-family", "font"})
# Browsers that do not know it show the focus by themselves.
OWN_RULE = frozenset({"focus-visible"})
# Only a browser that knows the gaps of a flexbox knows this as well, and so nothing else can ask for them.
NO_GAPS = "not (inset: 0)"

Breach = tuple[int, str]


def breaches(source: str, missing: Missing) -> Iterator[Breach]:
    """Say what in a stylesheet is not known, by line."""
    rules = tinycss2.parse_stylesheet(source, skip_comments=True, skip_whitespace=True)
    yield from _rules(rules, missing, _without_gaps(rules))


def _without_gaps(rules: Sequence[Any]) -> frozenset[str]:
    """Find the selectors that have margins where there are no gaps."""
    return frozenset(
        selector.strip()
        for rule in rules
        if rule.type == "at-rule" and rule.lower_at_keyword == "supports" and _text(rule.prelude) == NO_GAPS
        for inner in tinycss2.parse_blocks_contents(rule.content, skip_comments=True, skip_whitespace=True)
        if inner.type == "qualified-rule"
        for selector in _text(inner.prelude).split(",")
    )


def _rules(rules: Sequence[Any], missing: Missing, without_gaps: frozenset[str]) -> Iterator[Breach]:
    for rule in rules:
        line = rule.source_line
        if rule.type == "error":
            yield line, rule.message
        elif rule.type == "at-rule":
            name = rule.lower_at_keyword
            if name in missing.at_rules:
                yield line, f"@{name}"
            # Fonts and pages have descriptors, which are no properties.
            elif name == "media":
                yield from _rules(_contents(rule), missing, without_gaps)
        elif rule.type == "qualified-rule":
            yield from _selectors(rule, missing)
            yield from _declarations(rule, missing, without_gaps)


def _contents(rule: Any) -> list[Any]:
    found: list[Any] = tinycss2.parse_blocks_contents(rule.content or [], skip_comments=True, skip_whitespace=True)
    return found


def _selectors(rule: Any, missing: Missing) -> Iterator[Breach]:
    names = set(_pseudos(rule.prelude)) & missing.selectors
    alone = "," not in [getattr(token, "value", "") for token in rule.prelude]
    for name in sorted(names):
        # A list with one selector that is not known is lost altogether.
        if not (name in OWN_RULE and alone):
            yield rule.source_line, f":{name}"


def _pseudos(tokens: Sequence[Any]) -> Iterator[str]:
    for before, token in zip([None, *tokens], tokens, strict=False):
        if before is not None and getattr(before, "value", "") == ":":
            yield str(getattr(token, "lower_value", "") or getattr(token, "lower_name", ""))
        if token.type == "function":
            yield from _pseudos(token.arguments)


def _declarations(rule: Any, missing: Missing, without_gaps: frozenset[str]) -> Iterator[Breach]:
    said: dict[str, str] = {}
    for part in _contents(rule):
        if part.type != "declaration":
            yield part.source_line, getattr(part, "message", "a rule within a rule")
            continue
        name = part.lower_name
        if name in ORNAMENTS or ELDERS.get(name) in said:
            continue
        if name in missing.properties:
            yield part.source_line, name
        unknown = [] if name in LISTS else list(_values(name, part.value, missing))
        if unknown and name not in said:
            yield part.source_line, f"{name}: {', '.join(unknown)}"
        if not unknown:
            said[name] = _text(part.value)
    if said.get("display", "") in {"flex", "inline-flex"} and said.keys() & {"gap", "column-gap", "row-gap"}:
        for selector in _text(rule.prelude).split(","):
            if f"{selector.strip()} > *" not in without_gaps:
                yield rule.source_line, f"gap in a flexbox: say `{selector.strip()} > *` in @supports {NO_GAPS}"


def _values(name: str, tokens: Sequence[Any], missing: Missing) -> Iterator[str]:
    for part in tokens:
        if part.type == "ident" and f"{name}: {part.lower_value}" in missing.values:
            yield part.lower_value
        elif part.type == "function":
            if part.lower_name in missing.functions or f"{name}: {part.lower_name}" in missing.values:
                yield f"{part.lower_name}()"
            yield from _values(name, part.arguments, missing)
        elif part.type == "() block":
            yield from _values(name, part.content, missing)
        elif name == "content" and part == "/" and "content: alt_text" in missing.values:
            yield "/"


def _text(tokens: Sequence[Any]) -> str:
    serialised: str = tinycss2.serialize(tokens)
    return serialised.strip()
