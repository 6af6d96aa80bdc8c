"""Ordered parts of a block that may be dropped, repeated, swapped or replaced: stages of a network.

Two forms are known: the elements of a list or the arguments of a container (`nn.Sequential(A(3, 12), B(12))`,
`cfg = [64, "M", 128]`), and layers that `__init__` makes and that are called with one argument
(`x = self.stage2(x)`).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ge_engine.source.source_text import Edit, Source
from ge_engine.structure.change import Change, on_one_line
from ge_engine.structure.numbers import SMALLEST_WIDTH, Number, numbers_in

CONTAINERS = frozenset(("Sequential", "ModuleList", "list", "tuple"))
LONGEST_RUN = 4
MOST_ELEMENTS = 64


def sequence_changes(code: Source, classes: Sequence[str]) -> Iterator[Change]:
    """Changes of the order and number of parts. `classes` are names that may replace a part's own class."""
    for elements in element_lists(code):
        yield from _element_changes(code, elements, classes)
    yield from _layer_changes(code, classes)


def element_lists(code: Source) -> list[list[ast.expr]]:
    """The lists of at least two parts, outermost first: arguments of containers, list and tuple displays."""
    found = []
    for node in ast.walk(code.tree):
        if isinstance(node, ast.Call) and called_name(node) in CONTAINERS and not node.keywords:
            elements = node.args
        elif isinstance(node, ast.List) and isinstance(node.ctx, ast.Load):
            elements = node.elts
        else:
            continue
        if 2 <= len(elements) <= MOST_ELEMENTS and not any(isinstance(e, ast.Starred) for e in elements):
            found.append(elements)
    return found


def _element_changes(code: Source, elements: Sequence[ast.expr], classes: Sequence[str]) -> Iterator[Change]:
    count = len(elements)
    for length in range(1, min(LONGEST_RUN, count - 1) + 1):
        for first in range(count - length + 1):
            run = elements[first : first + length]
            cut = _cut(code, elements, first, length)
            words = f"drop {_shown(code, run)}"
            for bridge in bridges(code, run):
                told = f"; width {bridge[0]} becomes {bridge[1]}" if bridge else ""
                yield Change("drop", words + told, (cut, *_bridged(code, run, bridge)))
    for at, element in enumerate(elements):
        end = code.span(element)[1]
        for text in _repeated(code, element):
            yield Change(
                "repeat",
                f"repeat {_shown(code, [element])} as {on_one_line(text)}",
                (Edit(end, end, f", {text}"),),
            )
        yield from (
            Change("replace", f"replace {_shown(code, [element])} by {on_one_line(text)}", (edit,))
            for text, edit in _replaced(code, element, classes)
        )
        if at + 1 < count and code.of(element) != code.of(elements[at + 1]):
            one, two = code.span(element), code.span(elements[at + 1])
            edits = (Edit(*one, code.text[slice(*two)]), Edit(*two, code.text[slice(*one)]))
            yield Change("swap", f"swap {_shown(code, elements[at : at + 2])}", edits)


def _layer_changes(code: Source, classes: Sequence[str]) -> Iterator[Change]:
    for layer in layers_of(code):
        made = layer.made.value
        words = f"self.{layer.name} = {on_one_line(code.of(made))}"
        drop = [*_unwrapped(code, layer), Edit(*code.lines_of(layer.made), "")]
        for bridge in bridges(code, [made]):
            told = f"; width {bridge[0]} becomes {bridge[1]}" if bridge else ""
            yield Change("drop", f"drop {words}{told}", (*drop, *_bridged(code, [made], bridge)))
        yield from _layer_repeats(code, layer)
        yield from (
            Change("replace", f"replace {words} by {on_one_line(text)}", (edit,))
            for text, edit in _replaced(code, made, classes)
        )


@dataclass(frozen=True, slots=True)
class Layer:
    """`self.name = ...` in `__init__`, and its calls `self.name(x)` elsewhere."""

    name: str
    made: ast.Assign
    calls: tuple[ast.Call, ...]


def layers_of(code: Source) -> list[Layer]:
    """Layers of the block's class that are made once by a call and used by calls of one argument alone."""
    classes = [node for node in code.tree.body if isinstance(node, ast.ClassDef)]
    return [layer for owner in classes for layer in _layers_of_class(owner)]


def _layers_of_class(owner: ast.ClassDef) -> Iterator[Layer]:
    makers = [n for n in owner.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"]
    for statement in (s for maker in makers for s in maker.body):
        if not isinstance(statement, ast.Assign) or not isinstance(statement.value, ast.Call):
            continue
        if len(statement.targets) != 1 or not isinstance(target := statement.targets[0], ast.Attribute):
            continue
        if not isinstance(target.value, ast.Name) or target.value.id != "self":
            continue
        uses = [n for n in ast.walk(owner) if isinstance(n, ast.Attribute) and n.attr == target.attr]
        calls = [
            n
            for n in ast.walk(owner)
            if isinstance(n, ast.Call) and n.func in uses and len(n.args) == 1 and not n.keywords
        ]
        if calls and len(uses) == len(calls) + 1:
            yield Layer(target.attr, statement, tuple(calls))


def _layer_repeats(code: Source, layer: Layer) -> Iterator[Change]:
    end = code.span(layer.made)[1]
    indent = " " * layer.made.col_offset
    twin = f"{layer.name}_again"
    if twin in code.text:
        return
    for text in _repeated(code, layer.made.value):
        edits = [Edit(end, end, f"\n{indent}self.{twin} = {text}")]
        for call in layer.calls:
            first, last = code.span(call)
            edits += [Edit(first, first, f"self.{twin}("), Edit(last, last, ")")]
        yield Change("repeat", f"repeat self.{layer.name} as {on_one_line(text)}", tuple(edits))


def _unwrapped(code: Source, layer: Layer) -> list[Edit]:
    """`self.name(E)` becomes `E`: the text before and after the argument goes."""
    edits = []
    for call in layer.calls:
        first, last = code.span(call)
        begin, end = code.span(call.args[0])
        edits += [Edit(first, begin, ""), Edit(end, last, "")]
    return edits


def bridges(code: Source, parts: Sequence[ast.expr]) -> list[tuple[int, int] | tuple[()]]:
    """How the widths around dropped parts may be made to fit: not at all, or one of their widths becomes
    another of them wherever it is left in the block."""
    inside = [n.value for n in _numbers_within(code, parts) if n.value >= SMALLEST_WIDTH]
    pairs = dict.fromkeys((b, a) for a in inside[:1] for b in inside[1:] if a != b)
    return [(), *pairs, *dict.fromkeys((a, b) for b, a in pairs)]


def _bridged(code: Source, parts: Sequence[ast.expr], bridge: tuple[int, int] | tuple[()]) -> list[Edit]:
    if not bridge:
        return []
    within = {id(n.node) for n in _numbers_within(code, parts)}
    return [
        Edit(*code.span(n.node), str(bridge[1]))
        for n in numbers_in(code)
        if n.value == bridge[0] and id(n.node) not in within
    ]


def _numbers_within(code: Source, parts: Sequence[ast.expr]) -> list[Number]:
    nodes = {id(node) for part in parts for node in ast.walk(part)}
    return [number for number in numbers_in(code) if id(number.node) in nodes]


def _cut(code: Source, elements: Sequence[ast.expr], first: int, length: int) -> Edit:
    """The run goes with the comma that parts it from its neighbour."""
    if first + length < len(elements):
        return Edit(code.span(elements[first])[0], code.span(elements[first + length])[0], "")
    return Edit(code.span(elements[first - 1])[1], code.span(elements[-1])[1], "")


def _repeated(code: Source, element: ast.expr) -> list[str]:
    """The texts of a further part behind this one: itself with its first width set to its second, what it
    gives being what the next one takes, and itself where names do not say whether the two are one."""
    if not isinstance(element, (ast.Call, ast.Constant, ast.Tuple)):
        return []
    text = code.of(element)
    if not isinstance(element, ast.Call):
        return [text]
    widths = [a for a in element.args if isinstance(a, ast.Constant) and type(a.value) is int]
    names = [a for a in element.args if isinstance(a, ast.Name)]
    first = element.args[0] if element.args else None
    if first is None or len(widths) + len(names) < 2:
        return [text]
    second = element.args[1]
    if code.of(first) == code.of(second):
        return [text]
    begin, end = (place - code.span(element)[0] for place in code.span(first))
    fitted = text[:begin] + code.of(second) + text[end:]
    return [fitted] if first in widths and second in widths else [fitted, text]


def _replaced(code: Source, element: ast.expr, classes: Sequence[str]) -> Iterator[tuple[str, Edit]]:
    if not isinstance(element, ast.Call) or not isinstance(element.func, ast.Name):
        return
    start, end = code.span(element.func)
    rest = code.text[end : code.span(element)[1]]
    for name in classes:
        if name != element.func.id:
            yield name + rest, Edit(start, end, name)


def called_name(node: ast.Call) -> str:
    """What is called, without its module."""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _shown(code: Source, parts: Sequence[ast.expr]) -> str:
    return ", ".join(on_one_line(code.of(part)) for part in parts)
