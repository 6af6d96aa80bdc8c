"""Values of a forward pass that are no features and stay as they are: sizes, whole numbers such as tokens and
places, and what a loss is made of."""

from __future__ import annotations

import ast
from collections.abc import Collection

from ge_engine.grammar.catalog import CASTS, INDEX_CALLS, INTEGERS, OF_LOSSES, SHAPES, SIZE_CALLS
from ge_engine.source.syntax import Function, dotted


def is_closed(node: ast.expr, sizes: Collection[str]) -> bool:
    """The value of this expression is a size or whole numbers, or holds a loss."""
    return is_size(node, sizes) or any(is_loss(part) for part in ast.walk(node))


def is_loss(node: ast.AST) -> bool:
    """A call that gives a loss, by its name: `F.cross_entropy(...)`, `self.criterion(...)`."""
    return isinstance(node, ast.Call) and any(word in dotted(node.func).lower() for word in OF_LOSSES)


def sizes_in(function: Function) -> frozenset[str]:
    """The variables of a function that hold no features, but sizes and whole numbers: `n, c = x.shape`,
    `side = h // 2`, `tokens = x.long()`."""
    found: set[str] = set()
    assigned = [node for node in ast.walk(function) if isinstance(node, ast.Assign)]
    for node in sorted(assigned, key=lambda one: one.lineno):
        if is_size(node.value, found):
            found.update(n.id for target in node.targets for n in ast.walk(target) if isinstance(n, ast.Name))
    return frozenset(found)


def is_size(node: ast.expr, sizes: Collection[str]) -> bool:
    """The expression gives numbers and no features, as far as it can be read; `sizes` are variables that
    do."""
    match node:
        case ast.Constant():
            return True
        case ast.Name(id=name):
            return name in sizes
        case ast.Attribute(value=value, attr=name):
            return name in SHAPES or (isinstance(value, ast.Name) and value.id == "self")
        case ast.Subscript(value=value):
            return is_size(value, sizes)
        case ast.Call(func=function):
            return dotted(function).rpartition(".")[2] in SIZE_CALLS or _gives_integers(node)
        case ast.UnaryOp(operand=operand):
            return is_size(operand, sizes)
        case ast.BinOp(left=left, right=right):
            return is_size(left, sizes) and is_size(right, sizes)
        case ast.Tuple(elts=elements) | ast.List(elts=elements):
            return all(is_size(one, sizes) for one in elements)
    return False


def _gives_integers(call: ast.Call) -> bool:
    """`x.long()`, `torch.arange(n)`, `x.to(torch.int64)`."""
    if not isinstance(call.func, ast.Attribute):
        return False
    types = {dotted(given).rpartition(".")[2] for given in (*call.args, *(k.value for k in call.keywords))}
    return call.func.attr in INDEX_CALLS or (call.func.attr in CASTS and bool(types & INTEGERS))
