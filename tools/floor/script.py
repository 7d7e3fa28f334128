"""What a script uses that the oldest browsers do not know: syntax, and names that nothing there has."""

import re
from collections.abc import Iterator

import tree_sitter_javascript
from tree_sitter import Language, Node, Parser

from tools.floor.known import Missing

LANGUAGE = Language(tree_sitter_javascript.language())
NODES = {
    "optional_chain": "operators.optional_chaining",
    "??": "operators.nullish_coalescing",
    "??=": "operators.nullish_coalescing_assignment",
    "||=": "operators.logical_or_assignment",
    "&&=": "operators.logical_and_assignment",
    "class_static_block": "classes.static.initialization_blocks",
    "field_definition": "classes.public_class_fields",
    "import": "operators.import",
    "import_statement": "statements.import",
    "export_statement": "statements.export",
}
# Names that only this project gives: members of a problem document, and of `dataset`.
OURS = frozenset({"login"})
PATTERNS = frozenset({"identifier", "shorthand_property_identifier_pattern"})
BINDING = frozenset({"formal_parameters", "variable_declarator", "for_in_statement", "arrow_function", "catch_clause"})
# Flags of regular expressions, by the property of RegExp that tells of them.
FLAGS = {"d": "hasIndices", "s": "dotAll", "u": "unicode", "v": "unicodeSets", "y": "sticky"}

Breach = tuple[int, str]


def breaches(source: str, missing: Missing) -> Iterator[Breach]:
    """Say what in a script is not known, by line."""
    tree = Parser(LANGUAGE).parse(source.encode())
    own = {name for node in walk(tree.root_node) for name in bound(node)}
    for node in walk(tree.root_node):
        line = node.start_point[0] + 1
        if node.type == "ERROR" or node.is_missing:
            yield line, "cannot be parsed"
        for entry in syntax(node):
            if entry in missing.syntax:
                yield line, entry
        if node.type == "identifier" and text(node) in missing.names - own:
            yield line, text(node)
        if node.type == "property_identifier" and text(node) in missing.names - OURS and not is_ours(node):
            yield line, text(node)
        if node.type == "regex_flags":
            yield from (
                (line, f"regular expression flag {flag}") for flag in text(node) if FLAGS.get(flag) in missing.names
            )


def syntax(node: Node) -> Iterator[str]:
    """Name the entries of the data that a node of the tree is about."""
    if node.type in NODES:
        yield NODES[node.type]
    elif node.type == "catch_clause" and node.child_by_field_name("parameter") is None:
        yield "statements.try_catch.optional_catch_binding"
    elif node.type == "private_property_identifier":
        parent = node.parent.type if node.parent else ""
        kinds = {
            "method_definition": "classes.private_class_methods",
            "binary_expression": "classes.private_class_fields_in",
        }
        yield kinds.get(parent, "classes.private_class_fields")
    elif node.type == "number" and "_" in text(node):
        yield "grammar.numeric_separators"
    elif node.type == "regex_pattern":
        if re.search(r"\(\?<[=!]", text(node)):
            yield "regular_expressions.lookbehind_assertion"
        if re.search(r"\(\?[ims]*-?[ims]*:", text(node).replace("(?:", "(")):
            yield "regular_expressions.modifier"


def bound(node: Node) -> Iterator[str]:
    """Name what a node of the tree declares."""
    if node.type in {"function_declaration", "class_declaration"}:
        yield text(node.child_by_field_name("name"))
    elif node.type in BINDING:
        for field in ("name", "left", "parameter"):
            place = node.child_by_field_name(field)
            yield from (text(each) for each in walk(place) if each.type in PATTERNS) if place else ()
        if node.type == "formal_parameters":
            yield from (text(each) for each in walk(node) if each.type in PATTERNS)


def is_ours(node: Node) -> bool:
    """Tell whether a member is one of `….dataset`, or a key that the script itself gives to an object or a class."""
    parent = node.parent
    if parent is None or parent.type in {"pair", "method_definition", "field_definition"}:
        return parent is not None
    return text(parent.child_by_field_name("object")).endswith("dataset")


def walk(node: Node) -> Iterator[Node]:
    """Give a node and all that is in it."""
    yield node
    for child in node.children:
        yield from walk(child)


def text(node: Node | None) -> str:
    """Return what the script says at a node."""
    return node.text.decode() if node and node.text else ""
