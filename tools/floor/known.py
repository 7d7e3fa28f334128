"""What the oldest browsers do not know, by name."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

# The browsers of README, "Browsers".
FLOOR: Mapping[str, tuple[int, ...]] = {"chrome": (78, 0), "safari": (15, 0)}
FILE = Path(__file__).with_name("missing.json")

# Syntax, by the path of its entry in the data; tools/floor/script.py finds it in the tree of a script.
SYNTAX = (
    "classes.private_class_fields",
    "classes.private_class_fields_in",
    "classes.private_class_methods",
    "classes.public_class_fields",
    "classes.static.initialization_blocks",
    "grammar.numeric_separators",
    "operators.import",
    "operators.logical_and_assignment",
    "operators.logical_or_assignment",
    "operators.nullish_coalescing",
    "operators.nullish_coalescing_assignment",
    "operators.optional_chaining",
    "regular_expressions.lookbehind_assertion",
    "regular_expressions.modifier",
    "statements.import",
    "statements.export",
    "statements.try_catch.optional_catch_binding",
)


@dataclass(frozen=True)
class Missing:
    """Names that one of the oldest browsers, at least, does not know.

    `names` are those of interfaces, functions and members that nothing there has: a name that anything has is not among
    them. `values` and `attributes` are "property: value" and "element attribute", or " attribute" of every element.
    """

    syntax: frozenset[str]
    names: frozenset[str]
    properties: frozenset[str]
    values: frozenset[str]
    functions: frozenset[str]
    selectors: frozenset[str]
    at_rules: frozenset[str]
    elements: frozenset[str]
    attributes: frozenset[str]


def read() -> Missing:
    """Read missing.json."""
    known: dict[str, list[str]] = json.loads(FILE.read_text())
    return Missing(**{field.name: frozenset(known[field.name]) for field in fields(Missing)})


def write(data: Mapping[str, Any]) -> None:
    """Write missing.json from the whole of MDN's data."""
    missing = extract(data)
    lists = {field.name: sorted(getattr(missing, field.name)) for field in fields(Missing)}
    FILE.write_text(json.dumps(lists, indent=1, ensure_ascii=False) + "\n")


def extract(data: Mapping[str, Any]) -> Missing:
    """Find in MDN's data what the oldest browsers do not know."""
    css, html, script = data["css"], data["html"], data["javascript"]
    return Missing(
        syntax=frozenset(path for path in SYNTAX if not _is_known(_at(script, path))),
        names=frozenset(_missing([*_names(data["api"]), *_names(script["builtins"])])),
        properties=frozenset(_missing(css["properties"].items())),
        values=frozenset(
            _missing(
                (f"{name}: {value}", entry)
                for name, own in css["properties"].items()
                for value, entry in own.items()
                if not value.startswith("__")
            )
        ),
        functions=frozenset(_missing(css["types"].items())),
        selectors=frozenset(_missing(css["selectors"].items())),
        at_rules=frozenset(_missing(css["at-rules"].items())),
        elements=frozenset(_missing(html["elements"].items())),
        attributes=frozenset(
            _missing(
                [
                    *((f" {name}", entry) for name, entry in html["global_attributes"].items()),
                    *(
                        (f"{element} {name}", entry)
                        for element, own in html["elements"].items()
                        for name, entry in own.items()
                        if not name.startswith("__")
                    ),
                ]
            )
        ),
    )


def _names(owners: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Give every interface and every member of one, by its own name."""
    for name, own in owners.items():
        if name.startswith("__"):
            continue
        yield name, own
        for member, entry in own.items():
            if not member.startswith("__") and not member.endswith("_event"):
                yield member.removesuffix("_static"), entry


def _missing(entries: Any) -> Iterator[str]:
    """Give the names that no entry of this name knows."""
    known: dict[str, bool] = {}
    for name, entry in entries:
        if not name.startswith("__"):
            known[name] = known.get(name, False) or _is_known(entry)
    return (name for name, is_known in known.items() if not is_known)


def _at(tree: Any, path: str) -> Any:
    for part in path.split("."):
        tree = tree[part]
    return tree


def _is_known(entry: Any) -> bool:
    """Tell whether all the oldest browsers know it, without a flag or a prefix; an entry that only groups others says
    nothing."""
    compat = entry.get("__compat")
    return compat is None or all(_supports(compat["support"].get(name), floor) for name, floor in FLOOR.items())


def _supports(statements: Any, floor: tuple[int, ...]) -> bool:
    if statements is None:
        return False
    for one in statements if isinstance(statements, list) else [statements]:
        since, until = _version(one.get("version_added")), _version(one.get("version_removed"))
        other = one.keys() & {"prefix", "alternative_name", "flags"}
        if since is not None and since <= floor and (until is None or until > floor) and not other:
            return True
    return False


def _version(text: Any) -> tuple[int, ...] | None:
    """Read "15.4" or "≤37"; None for what has none, such as a preview."""
    if not isinstance(text, str) or not text.lstrip("≤").replace(".", "").isdigit():
        return None
    parts = tuple(int(part) for part in text.lstrip("≤").split("."))
    return (*parts, 0)[:2]
