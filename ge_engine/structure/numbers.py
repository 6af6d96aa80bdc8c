"""Integers of a block and what each may become: widths that hang together, depths, kernel sizes, groups."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ge_engine.source.source_text import Edit, Source
from ge_engine.source.values import literal_kind
from ge_engine.structure.change import Change, shortened

SMALLEST_WIDTH = 6
"""Integers from here on are taken for widths, smaller ones for depths, kernel sizes and the like."""

WIDTH_FACTORS = (0.25, 0.5, 0.67, 0.75, 1.25, 1.5, 2.0)
NET_FACTORS = (0.5, 0.67, 0.75, 1.25, 1.5)

TABLED: Mapping[str, tuple[int, ...]] = {
    "kernel_size": (1, 3, 5, 7),
    "stride": (1, 2),
    "groups": (1, 2, 4, 8),
    "num_heads": (1, 2, 4, 8),
    "heads": (1, 2, 4, 8),
    "nhead": (1, 2, 4, 8),
    "n_head": (1, 2, 4, 8),
    "dilation": (1, 2),
    "padding": (0, 1, 2, 3),
}
"""Arguments whose values have a table of their own, by the name that a call or a signature gives them."""

OF_THE_TASK = frozenset(
    ("num_classes", "n_classes", "classes", "class_num", "in_channels", "img_channels", "in_chans",
     "vocab_size", "vocabulary", "image_size", "img_size")
)  # fmt: skip
"""Arguments that the data decide, not the network."""

_SHAPE_METHODS = frozenset(
    ("view", "reshape", "permute", "transpose", "flatten", "unflatten", "mean", "sum", "amax", "amin",
     "chunk", "split", "unsqueeze", "squeeze", "softmax", "log_softmax", "cat", "stack", "size", "argmax",
     "norm", "expand", "repeat", "unbind", "roll", "select", "narrow", "movedim", "swapaxes")
)  # fmt: skip
_AXIS_KEYWORDS = frozenset(("dim", "dims", "axis", "start_dim", "end_dim", "dim0", "dim1"))


Named = tuple[ast.Constant, str]
"""The literal of a number, and the name of the argument, field or variable that it is the value of, in lower
case ("" where it has none)."""


@dataclass(frozen=True, slots=True)
class Number:
    """An integer literal: its node, value and name (see `Named`)."""

    node: ast.Constant
    value: int
    name: str = ""


def numbers_in(code: Source) -> list[Number]:
    """Integer literals of the block that may size something, in the order of the text: no indices, axes,
    shapes or signs, and nothing that the task decides."""
    integers = ((node, node.value, name) for node, name in named_numbers(code) if type(node.value) is int)
    return [Number(node, value, name) for node, value, name in integers]


def stated_numbers(code: Source) -> list[Named]:
    """Integers and floats within a literal that is given a name: a variable, attribute, field, or the default
    of a parameter. What is handed to a call is not among them, nor what a forward pass assigns."""
    nodes = list(ast.walk(code.tree))
    passes = [node for node in nodes if isinstance(node, ast.FunctionDef) and node.name == "forward"]
    within = {id(part) for one in passes for statement in one.body for part in ast.walk(statement)}
    values: list[ast.expr | None] = []
    for node in nodes:
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and id(node) not in within:
            values.append(node.value)
        elif isinstance(node, ast.arguments):
            values += [*node.defaults, *node.kw_defaults]
    literals = (value for value in values if value is not None and literal_kind(value))
    stated = {id(part) for value in literals for part in ast.walk(value)}
    return [(node, name) for node, name in named_numbers(code) if id(node) in stated]


def named_numbers(code: Source) -> list[Named]:
    """The numbers of the block that may be chosen otherwise, in the order of the text."""
    found: list[Named] = []
    _visit(code.tree, "", found)
    chosen = [(node, name) for node, name in found if name not in OF_THE_TASK and not code.fixes(name)]
    return sorted(chosen, key=lambda one: (one[0].lineno, one[0].col_offset))


def number_changes(code: Source) -> Iterator[Change]:
    """Changes of one idea each: a width wherever it stands, a width at one place of several, a small number,
    all widths by one factor."""
    numbers = numbers_in(code)
    widths = sorted({n.value for n in numbers if n.value >= SMALLEST_WIDTH and n.name not in TABLED})
    for width in widths:
        places = [n for n in numbers if n.value == width and n.name not in TABLED]
        for new in resized(width, WIDTH_FACTORS):
            yield _width_change(code, places, width, new)
        if 1 < len(places) <= 8:
            for place in places:
                for new in resized(width, (0.5, 1.5)):
                    yield _single(code, place, new, "width")
    for number in numbers:
        for new in alternatives(number):
            yield _single(code, number, new, "depth" if number.name not in TABLED else "number")
    if len(widths) > 1:
        for factor in NET_FACTORS:
            yield all_widths(code, numbers, widths, factor)


def all_widths(code: Source, numbers: Sequence[Number], widths: Sequence[int], factor: float) -> Change:
    """The given widths times one factor, wherever they stand."""
    new = {width: resized(width, (factor,))[0] for width in widths if resized(width, (factor,))}
    edits = tuple(_edit(code, n, new[n.value]) for n in numbers if n.value in new and n.name not in TABLED)
    return Change("width", f"all widths times {factor:g}", edits)


def resized(width: int, factors: Sequence[float]) -> list[int]:
    """The width times each factor, on the grid that suits its size, without itself."""
    step = 8 if width >= 32 else 4 if width >= 12 else 1
    sizes = [max(step, round(width * factor / step) * step) for factor in factors]
    return [size for size in dict.fromkeys(sizes) if size != width]


def alternatives(number: Number) -> list[int]:
    """What a small or a tabled number may become."""
    if number.name in TABLED:
        return [value for value in TABLED[number.name] if value != number.value]
    if number.value >= SMALLEST_WIDTH or number.value < 1:
        return []
    near = (number.value - 1, number.value + 1, number.value * 2)
    return [value for value in dict.fromkeys(near) if value >= 1 and value != number.value]


def _width_change(code: Source, places: Sequence[Number], old: int, new: int) -> Change:
    edits = tuple(_edit(code, place, new) for place in places)
    return Change("width", f"width {old} becomes {new}", edits)


def _single(code: Source, number: Number, new: int, kind: str) -> Change:
    name = number.name or "a number"
    short = shortened(code.text.split("\n")[number.node.lineno - 1].strip())
    edits = [_edit(code, number, new)]
    if number.name == "kernel_size":
        edits += _padding(code, number, new)
    return Change(kind, f"{name} {number.value} becomes {new} in {short}", tuple(edits))


def _padding(code: Source, kernel: Number, new: int) -> list[Edit]:
    """The padding beside a kernel that keeps the size: half of it."""
    call = next(
        (
            node
            for node in ast.walk(code.tree)
            if isinstance(node, ast.Call) and any(k.value is kernel.node for k in node.keywords)
        ),
        None,
    )
    places = [k.value for k in call.keywords if k.arg == "padding"] if call else []
    return [
        Edit(*code.span(place), str(new // 2))
        for place in places
        if isinstance(place, ast.Constant) and place.value == kernel.value // 2
    ]


def _edit(code: Source, number: Number, new: int) -> Edit:
    return Edit(*code.span(number.node), str(new))


def _visit(node: ast.AST, name: str, found: list[Named]) -> None:
    """Collect the integers below `node`, whose own value is that of `name`."""
    if isinstance(node, ast.Constant):
        if type(node.value) in (int, float):
            found.append((node, name.lower()))
        return
    if isinstance(node, (ast.Subscript, ast.UnaryOp, ast.Compare, ast.JoinedStr)):
        return
    if isinstance(node, ast.Call):
        _visit_call(node, found)
        return
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        _visit_signature(node.args, found)
        for statement in node.body:
            _visit(statement, "", found)
        return
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Pow, ast.Mod)):
        _visit(node.left, "", found)
        return
    for child, inner in _children(node):
        _visit(child, inner or (name if isinstance(node, (ast.List, ast.Tuple)) else ""), found)


def _visit_call(node: ast.Call, found: list[Named]) -> None:
    if isinstance(node.func, ast.Attribute) and node.func.attr in _SHAPE_METHODS:
        _visit(node.func.value, "", found)
        for argument in node.args:
            if not isinstance(argument, (ast.Constant, ast.Tuple, ast.List)):
                _visit(argument, "", found)
        return
    _visit(node.func, "", found)
    for argument in node.args:
        _visit(argument, "", found)
    for keyword in node.keywords:
        if keyword.arg not in _AXIS_KEYWORDS:
            _visit(keyword.value, keyword.arg or "", found)


def _visit_signature(arguments: ast.arguments, found: list[Named]) -> None:
    """Defaults, less those that count axes (`dim=1`); a `dim` that is large is a width."""
    positional = [*arguments.posonlyargs, *arguments.args]
    given = positional[len(positional) - len(arguments.defaults) :]
    defaults = [
        *zip(given, arguments.defaults, strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    for argument, value in defaults:
        if value is not None and not (argument.arg in _AXIS_KEYWORDS and _is_small(value)):
            _visit(value, argument.arg, found)


def _is_small(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and type(value.value) is int and value.value < SMALLEST_WIDTH


def _children(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        yield node.value, _target_name(node.targets[0])
        return
    if isinstance(node, ast.AnnAssign):
        if node.value is not None:
            yield node.value, _target_name(node.target)
        return
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            yield value, str(key.value) if isinstance(key, ast.Constant) else ""
        return
    for child in ast.iter_child_nodes(node):
        yield child, ""


def _target_name(target: ast.expr) -> str:
    if isinstance(target, ast.Name):
        return target.id
    return target.attr if isinstance(target, ast.Attribute) else ""
