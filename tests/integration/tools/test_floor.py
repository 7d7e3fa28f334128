"""What `make check` says of pages that the oldest browsers do not know, and that it lets through what they do."""

from pathlib import Path

import pytest

from tools.floor import known, page, script, style
from tools.floor.__main__ import PORTAL, check

MISSING = known.read()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("a?.b;", "operators.optional_chaining"),
        ("a?.();", "operators.optional_chaining"),
        ("const b = a ?? 1;", "operators.nullish_coalescing"),
        ("a ??= 1;", "operators.nullish_coalescing_assignment"),
        ("a ||= 1;", "operators.logical_or_assignment"),
        ("class A { static { f(); } }", "classes.static.initialization_blocks"),
        ("class A { #f() {} }", "classes.private_class_methods"),
        ("/(?<=a)b/.test(c);", "regular_expressions.lookbehind_assertion"),
        ("/a/v.test(c);", "regular expression flag v"),
        ("element.replaceChildren(a);", "replaceChildren"),
        ("on('submit', (e) => send(e.submitter));", "submitter"),
        ("form.requestSubmit();", "requestSubmit"),
        ("dialog.showModal();", "showModal"),
        ("const last = list.at(-1);", "at"),
        ("text.replaceAll('a', 'b');", "replaceAll"),
        ("structuredClone(a);", "structuredClone"),
        ("new WeakRef(a);", "WeakRef"),
        ("Object.hasOwn(a, 'b');", "hasOwn"),
        ("const { submitter } = e; list.findLast(f);", "findLast"),
        ("const a = ;", "cannot be parsed"),
    ],
)
def test_scripts(source: str, said: str) -> None:
    assert (1, said) in list(script.breaches(source, MISSING))


@pytest.mark.parametrize(
    "source",
    [
        "const f = async ({ at, ...rest }) => ({ ...rest, at }); for (const login of a) f(login);",
        "try { f(); } catch { g(); } a ** 2; 1n; `a${b}`; class A { b = 1; }",
        "list.flatMap(f); Object.fromEntries(list); f.closest('b').append(c); new TextDecoder();",
        "a.dataset.actions = '?.'; // a ?? b",
        "const made = { submitter: 1 };",
    ],
)
def test_scripts_that_they_know(source: str) -> None:
    assert list(script.breaches(source, MISSING)) == []


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("a { inset: 0; }", "inset"),
        ("a { margin-inline: auto; }", "margin-inline"),
        ("a { aspect-ratio: 1; }", "aspect-ratio"),
        ("a { width: min(1px, 2px); }", "width: min()"),
        ("a { width: min(1px, 2px); width: 1px; }", "width: min()"),
        ("a { width: calc(1px + clamp(1px, 2vw, 3px)); }", "width: clamp()"),
        ("a { overflow-wrap: anywhere; }", "overflow-wrap: anywhere"),
        ('a::before { content: "✓" / ""; }', "content: /"),
        ("a:has(b) { color: red; }", ":has"),
        ("a:is(b, c) { color: red; }", ":is"),
        ("a:not(:where(b)) { color: red; }", ":where"),
        ("a:hover, a:focus-visible { color: red; }", ":focus-visible"),
        ("@layer base { a { color: red; } }", "@layer"),
        ("@container (width > 1px) { a { color: red; } }", "@container"),
        ("@media print { a { inset: 0; } }", "inset"),
        (".a { display: flex; gap: 1px; }", "gap in a flexbox: say `.a > *` in @supports not (inset: 0)"),
        ("a { b { color: red; } }", "a rule within a rule"),
    ],
)
def test_styles(source: str, said: str) -> None:
    found = [what for _, what in style.breaches(source, MISSING)]
    assert any(what.startswith(said) for what in found), found


@pytest.mark.parametrize(
    "source",
    [
        "a { width: 1px; width: min(1px, 2px); }",
        'a::before { content: "✓"; content: "✓" / ""; }',
        "@supports (inset: 0) { a { inset: 0; } }",
        ".a { display: grid; gap: 1px; }",
        ".a { display: flex; gap: 1px; } @supports not (inset: 0) { .a > * { margin: 1px; } }",
        ":focus-visible { outline: 1px solid; }",
        "input { accent-color: red; -webkit-user-select: all; user-select: all; }",
        "@media (forced-colors: active) { a { color: CanvasText; } }",
        ":root { --a: 1px; } a { clip-path: inset(50%); color: rgb(1 2 3 / 0.5); font: 1px ui-monospace; }",
    ],
)
def test_styles_that_they_know(source: str) -> None:
    assert list(style.breaches(source, MISSING)) == []


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("<p>\n<dialog open>", (2, "<dialog>")),
        ("<div inert>", (1, "<div inert>")),
        ("<div popover>", (1, "<div popover>")),
    ],
)
def test_markup(source: str, said: tuple[int, str]) -> None:
    assert said in list(page.breaches(source, MISSING))


def test_markup_that_they_know() -> None:
    source = '<p{% if a is defined %} role="status"{% endif %} class="{{ dialog }}"><img loading="lazy"><details open>'
    assert list(page.breaches(source, MISSING)) == []


def test_a_breach_is_named_with_its_place(tmp_path: Path) -> None:
    for folder in ("static", "templates"):
        (tmp_path / folder).mkdir()
    (tmp_path / "static" / "a.js").write_text("f();\na?.b;\n")
    assert list(check(tmp_path)) == ["static/a.js:2: operators.optional_chaining"]


def test_what_is_known_is_taken_from_the_data() -> None:
    def entry(chrome: object, safari: object) -> dict[str, object]:
        return {"__compat": {"support": {"chrome": chrome, "safari": safari}}}

    def added(version: object, **more: object) -> dict[str, object]:
        return {"version_added": version, **more}

    old, new = entry(added("78"), added("≤15")), entry(added("79"), added("15"))
    half = entry([added("80"), added("70", prefix="webkit")], added("15"))
    gone = entry(added("60", version_removed="70"), added("9"))
    everywhere = {"later": entry(added(False), added("9"))}
    data = {
        "api": {"A": {**old, "old": old, "both": new, "half": half, "x_event": new}, "B": {**new, "both": old}},
        "css": {"properties": {"gone": gone}, "types": {}, "selectors": {}, "at-rules": {}},
        "html": {
            "elements": {"p": {**old, "fresh": new}},
            "global_attributes": everywhere,
        },
        "javascript": {"builtins": {}, **_syntax(old)},
    }
    found = known.extract(data)
    assert found.names == {"B", "half"}
    assert found.properties == {"gone"}
    assert found.attributes == {"p fresh", " later"}
    assert found.syntax == frozenset()


def _syntax(entry: dict[str, object]) -> dict[str, object]:
    tree: dict[str, object] = {}
    for path in known.SYNTAX:
        place = tree
        *above, last = path.split(".")
        for part in above:
            place = place.setdefault(part, {})  # type: ignore[assignment]
        place[last] = entry
    return tree


def test_the_portal_s_pages_keep_to_what_they_know() -> None:
    assert list(check(PORTAL)) == []
