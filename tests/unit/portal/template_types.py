"""Types in templates: which fields a template names, and whether the models have them."""

import typing
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import GenericAlias, NoneType, UnionType
from typing import Any

import jinja2
from jinja2 import nodes
from pydantic import BaseModel

# What a name is: the types it may have; none where nothing is known of it.
Types = tuple[Any, ...]
PAIRS: Collection[Any] = {tuple}
MANY: Collection[Any] = {list, Sequence, dict, Mapping}
# Filters that keep the elements of a list.
KEEPING = {"reverse", "list", "selectattr", "rejectattr", "sort"}


def alternatives(annotation: Any) -> Types:
    """What the value may be when it is not null."""
    if typing.get_origin(annotation) in {typing.Union, UnionType}:
        return tuple(option for option in typing.get_args(annotation) if option is not NoneType)
    return (annotation,)


def elements(types: Types) -> Types:
    """What the value holds: a list's items, a mapping's values."""
    many = [one for one in types if typing.get_origin(one) in MANY]
    return tuple(option for one in many for option in alternatives(typing.get_args(one)[-1]))


@dataclass
class Reader:
    """Walks through one template. `names` says what its names are; `faults` are fields that are none."""

    names: dict[str, Types]
    free: frozenset[str]
    faults: list[str] = field(default_factory=list)

    def read(self, node: nodes.Node) -> None:
        if isinstance(node, nodes.For):
            self._bind(node.target, elements(self.types(node.iter)))
        elif isinstance(node, nodes.Assign):
            self._assign(node.target, node.node)
        elif isinstance(node, nodes.With):
            for target, value in zip(node.targets, node.values, strict=True):
                self._bind(target, self.types(value))
        elif isinstance(node, nodes.Expr):
            self.types(node)
            return
        for child in node.iter_child_nodes():
            self.read(child)

    def _assign(self, target: nodes.Node, value: nodes.Node) -> None:
        if isinstance(target, nodes.Tuple) and isinstance(value, nodes.Tuple):
            for one, its in zip(target.items, value.items, strict=True):
                self._assign(one, its)
        else:
            self._bind(target, self.types(value))

    def _bind(self, target: nodes.Node, types: Types) -> None:
        if isinstance(target, nodes.Name):
            # What is said of a name holds where nothing can be concluded.
            if types or target.name not in self.names:
                self.names[target.name] = types
        elif isinstance(target, nodes.Tuple):
            for position, item in enumerate(target.items):
                parts = [typing.get_args(one) for one in types if typing.get_origin(one) in PAIRS]
                self._bind(item, tuple(option for part in parts for option in alternatives(part[position])))

    def types(self, node: nodes.Node) -> Types:
        """What the expression is; what it names on the way is checked."""
        found: Types = ()
        match node:
            case nodes.Name():
                found = self.names.get(node.name, ())
            case nodes.Getattr():
                found = self._member(node, node.node, node.attr)
            case nodes.Getitem(arg=nodes.Const(value=str(name))):
                found = self._member(node, node.node, name)
            case nodes.Getitem():
                self.types(node.arg)
                found = elements(self.types(node.node))
            case nodes.Filter(node=nodes.Expr() as source):
                found = self._filtered(node, source)
            case nodes.CondExpr():
                self.types(node.test)
                found = self.types(node.expr1) + (self.types(node.expr2) if node.expr2 else ())
            case nodes.BinExpr():
                found = self.types(node.left) + self.types(node.right)
            case _:
                for child in node.iter_child_nodes():
                    self.read(child)
        return found

    def _filtered(self, node: nodes.Filter, source: nodes.Expr) -> Types:
        types = self.types(source)
        for argument in node.args:
            self.types(argument)
        if node.name in {"selectattr", "rejectattr"}:
            asked = [argument for argument in node.args[:1] if isinstance(argument, nodes.Const)]
        else:
            asked = [
                pair.value for pair in node.kwargs if pair.key == "attribute" and isinstance(pair.value, nodes.Const)
            ]
        for constant in asked:
            if isinstance(constant.value, str):
                held = [self._field(node, one, constant.value) for one in elements(types)]
                types = types if node.name in KEEPING else tuple(GenericAlias(list, (each,)) for each in sum(held, ()))
        return types if asked or node.name in KEEPING else ()

    def _member(self, node: nodes.Expr, owner: nodes.Expr, name: str) -> Types:
        types = self.types(owner)
        if not types and isinstance(owner, nodes.Name) and owner.name not in self.free:
            self.faults.append(f"{node.lineno}: what is {owner.name}?")
        return tuple(option for one in types for option in self._field(node, one, name))

    def _field(self, node: nodes.Expr, owner: Any, name: str) -> Types:
        if not isinstance(owner, type):
            return ()
        known: Mapping[str, Any]
        if issubclass(owner, BaseModel):
            known = {field: info.annotation for field, info in owner.model_fields.items()}
        else:
            known = typing.get_type_hints(owner)
        if name in known:
            return alternatives(known[name])
        if issubclass(owner, BaseModel) or not hasattr(owner, name):
            self.faults.append(f"{node.lineno}: {owner.__name__} has no {name}")
        return ()


def faults(source: str, names: Mapping[str, Any], free: Collection[str] = ()) -> list[str]:
    """The fields that the template names and its models lack. Of the names in `free` anything may be asked."""
    reader = Reader({name: alternatives(annotation) for name, annotation in names.items()}, frozenset(free))
    reader.read(jinja2.Environment(autoescape=True).parse(source))
    return reader.faults
