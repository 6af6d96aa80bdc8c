"""Tensor expressions of a forward pass that can be rewritten: wrapped, scaled, or reduced otherwise."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from ge_engine.grammar import call_rewrites
from ge_engine.grammar.catalog import SCALES, SHAPE_CALLS
from ge_engine.grammar.choices import Part, either
from ge_engine.grammar.closed_values import is_closed, sizes_in
from ge_engine.grammar.offer import Offer
from ge_engine.source.source_text import Source
from ge_engine.source.syntax import Function, dotted

TENSORS = (ast.Call, ast.BinOp, ast.UnaryOp)
Made = tuple[Part, tuple[str, ...], str] | None
Build = Callable[[ast.expr, Source, Offer], Made]


def tensor_places(function: Function) -> Iterator[tuple[ast.expr, Build]]:
    """Tensor expressions of a forward pass: what is returned or assigned, summands and factors."""
    if function.name != "forward" and not _pure_tensor(function):
        return
    sizes = sizes_in(function)
    for node in ast.walk(function):
        whole = node.value if isinstance(node, ast.Return | ast.Assign) else node
        if isinstance(whole, ast.expr) and is_closed(whole, sizes):
            continue
        if isinstance(node, ast.Return | ast.Assign) and isinstance(node.value, TENSORS) and _is_local(node):
            yield node.value, _wrapped
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub) and _tensor(node.right):
            yield node.right, _scaled
            yield node.left, _scaled
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("mean", "amax")
        ):
            yield node, _reduced


def _is_local(node: ast.Return | ast.Assign) -> bool:
    return isinstance(node, ast.Return) or isinstance(node.targets[0], ast.Name)


def _pure_tensor(function: Function) -> bool:
    arguments = function.args.args
    return len(arguments) == 1 and arguments[0].arg in ("x", "input", "inputs", "tensor")


def _tensor(node: ast.expr) -> bool:
    return isinstance(node, ast.Call | ast.Name | ast.BinOp)


def _wrapped(node: ast.expr, text: Source, offer: Offer) -> Made:
    own = text.on_one_line(node)
    if "\n" in own or (isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] in SHAPE_CALLS):
        return None
    options: list[Part] = []
    if (acts := call_rewrites.activated(offer, own)) is not None:
        options.append(acts)
    options.append(
        (either(offer.some(SCALES)), f" * ({own})" if isinstance(node, ast.BinOp) else f" * {own}")
    )
    return either(options), (own,), "wrap"


def _scaled(node: ast.expr, text: Source, offer: Offer) -> Made:
    own = text.on_one_line(node)
    if isinstance(node, ast.BinOp) or "\n" in own or isinstance(node, ast.Constant):
        return None
    return (either(offer.some(SCALES)), f" * {own}"), (own,), "scale"


def _reduced(node: ast.expr, text: Source, offer: Offer) -> Made:
    """Mean over pixels <-> maximum over pixels, or both."""
    assert isinstance(node, ast.Call)
    assert isinstance(node.func, ast.Attribute)
    own, subject = text.on_one_line(node), text.on_one_line(node.func.value)
    inside = own[len(subject) + 1 + len(node.func.attr) :]
    if "dim" not in inside or "\n" in own or not offer.scope.imports:
        return None
    mean, top = f"{subject}.mean{inside}", f"{subject}.amax{inside}"
    return either([top, mean, f"({mean} + {top})", f"0.5 * ({mean} + {top})"]), (own,), "reduce"
