"""Whole statements: which of a function may be replaced, followed by new ones, or dropped, and by what.

Where shapes are known the new value keeps the old one's; `free` also opens the other values and layers in
scope, whose shapes only running the model can tell.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ge_engine.grammar.channel_inference import (
    KEEPS,
    WIDENS,
    TensorStatement,
    assigned_layers,
    tensor_statements,
)
from ge_engine.grammar.choices import Part, either
from ge_engine.grammar.closed_values import sizes_in
from ge_engine.grammar.expressions import InScope, expression
from ge_engine.grammar.offer import Offer
from ge_engine.grammar.rewrite_sites import Site
from ge_engine.grammar.scope import Scope
from ge_engine.source.source_text import Source
from ge_engine.source.syntax import Function, dotted

REPEATS = ("2", "3")
NORMS = frozenset(name for name in WIDENS if "Norm" in name)


@dataclass(frozen=True, slots=True)
class Place:
    """A tensor statement with what is in scope behind it. `alike` are names whose tensor has the shape of
    the value before any operation of unknown shape; `known` are all names bound by then."""

    tensor: TensorStatement
    alike: tuple[str, ...]
    known: tuple[str, ...]


def places(function: Function, scope: Scope) -> list[Place]:
    """The tensor statements of a function's own body that stand on one line, in order."""
    found: list[Place] = []
    layers, sizes = assigned_layers(scope), sizes_in(function)
    shapes: dict[str, str] = {a.arg: a.arg for a in function.args.args if a.arg != "self"}
    by_statement = {tensor.statement: tensor for tensor in tensor_statements(function, scope)}
    for number, statement in enumerate(function.body):
        tensor = by_statement.get(statement)  # type: ignore[call-overload]
        if tensor is None:
            for node in ast.walk(statement):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id not in sizes:
                    shapes[node.id] = f"{node.id}@{number}"
            continue
        assert tensor.statement.value is not None
        shape = _shape(tensor.statement.value, shapes, layers, scope) or f"@{number}"
        alike = tuple(name for name, its in shapes.items() if its == shape)
        found.append(Place(tensor, alike, tuple(shapes)))
        if tensor.variable:
            shapes[tensor.variable] = shape
    return [place for place in found if place.tensor.statement.lineno == place.tensor.statement.end_lineno]


def sites(places: Sequence[Place], text: Source, offer: Offer, free: bool) -> Iterator[Site]:
    """For each place a replacement, statements after it, and, where its shape allows, its removal."""
    for place in places:
        yield replaced(place, text, offer, free)
        yield followed(place, text, offer, free)
        if place.tensor.variable in place.alike:
            yield _dropped(place, text)


def replaced(place: Place, text: Source, offer: Offer, free: bool) -> Site:
    """The statement with a new value, made from the old one and from what else is in scope."""
    statement = place.tensor.statement
    assert statement.value is not None
    old = text.on_one_line(statement.value)
    simple = isinstance(statement.value, ast.Call | ast.Name)
    scope_values = _reach((old if simple else f"({old})", *place.alike), place, offer.scope, free)
    head = f"{place.tensor.variable} = " if place.tensor.variable else "return "
    same = (text.on_one_line(statement), f"{head}({old})")
    return _site(statement, text, (head, expression(scope_values, offer)), same, "statement")


def followed(place: Place, text: Source, offer: Offer, free: bool) -> Site:
    """The statement with one or two new ones behind it; a `return` becomes the last of them."""
    statement, variable = place.tensor.statement, place.tensor.variable or "out"
    names = (variable, *(name for name in place.alike if name != variable))
    scope_values = _reach(names, place, offer.scope, free)
    indent = "\n" + " " * statement.col_offset
    more: Part = (indent, f"{variable} = ", expression(scope_values, offer))
    again: Part = (
        f"{indent}for _ in range(",
        either(REPEATS),
        f"):{indent}    {variable} = ",
        expression(scope_values, offer, 1),
    )
    part: Part = (opened(place.tensor, text), either([more, again]), either(["", more]))
    if not place.tensor.variable:
        part = (part, f"{indent}return {variable}")
    return _site(statement, text, part, (text.on_one_line(statement),), "insertion")


def opened(tensor: TensorStatement, text: Source) -> str:
    """The statement as an assignment, so that something can follow."""
    if isinstance(tensor.statement, ast.Assign):
        return text.on_one_line(tensor.statement)
    assert tensor.statement.value is not None
    return f"out = {text.on_one_line(tensor.statement.value)}"


def _dropped(place: Place, text: Source) -> Site:
    """Nothing in place of a statement that only turned a value into another of its shape."""
    statement = place.tensor.statement
    start, end = text.span(statement)
    start = text.text.rindex("\n", 0, start)
    return Site(start, end, "", (text.text[start:end],), "drop", (statement.lineno, statement.lineno))


def _site(statement: ast.stmt, text: Source, part: Part, same: tuple[str, ...], kind: str) -> Site:
    start, end = text.span(statement)
    return Site(start, end, part, same, kind, (statement.lineno, statement.lineno))


def _reach(values: tuple[str, ...], place: Place, scope: Scope, free: bool) -> InScope:
    layers = assigned_layers(scope)
    calls = [name for name, layer in layers.items() if free or _keeps(layer, place.tensor.width, scope)]
    others = place.known if free else ()
    return InScope(tuple(dict.fromkeys((*values, *others))), tuple(f"self.{name}" for name in calls))


def _keeps(layer: ast.Call, width: str, scope: Scope) -> bool:
    """Whether the layer keeps the shape of a tensor of `width` channels."""
    member = scope.spelling.read(layer.func)
    if member is None or member[0] != "nn":
        return False
    if member[1] in NORMS:
        given = ast.unparse(layer.args[0]) if layer.args else ""
        return bool(width) and given == width
    return member[1] in KEEPS and "Pool" not in member[1]


def _shape(node: ast.expr, shapes: Mapping[str, str], layers: Mapping[str, ast.Call], scope: Scope) -> str:
    """The mark of the shape of a value: that of the name it was made from, "" when it may be another."""
    if isinstance(node, ast.Name):
        return shapes.get(node.id, "")
    if isinstance(node, ast.BinOp):
        left, right = (_shape(side, shapes, layers, scope) for side in (node.left, node.right))
        number = isinstance(node.right, ast.Constant)
        return left if left == right or number else ""
    if not isinstance(node, ast.Call) or not node.args:
        return ""
    name, member = dotted(node.func), scope.spelling.read(node.func)
    layer = layers.get(name.removeprefix("self.")) if name.startswith("self.") else None
    made = scope.spelling.read(layer.func) if layer is not None else None
    if (
        made is not None
        and made[0] == "nn"
        and (made[1] in NORMS or made[1] in KEEPS)
        and "Pool" not in made[1]
    ):
        return _shape(node.args[0], shapes, layers, scope)
    if member is not None and member[0] == "F" and len(node.args) == 1 and not node.keywords:
        return _shape(node.args[0], shapes, layers, scope)
    return ""
