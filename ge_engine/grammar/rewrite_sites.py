"""Where a block can be changed, and into what: places in its text with alternatives that keep shapes."""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from ge_engine.grammar import call_rewrites, convolution_rewrites, signatures
from ge_engine.grammar.catalog import (
    ACTIVATION_FUNCTIONS,
    ACTIVATION_LAYERS,
    DROPOUTS,
    OPTIMIZERS,
)
from ge_engine.grammar.choices import Part, either
from ge_engine.grammar.closed_values import is_loss
from ge_engine.grammar.number_sites import chosen_places, keyword_place, stated_places
from ge_engine.grammar.offer import Offer, Rewrite, call_text
from ge_engine.grammar.scope import Scope
from ge_engine.grammar.tensor_sites import Build, Made, tensor_places
from ge_engine.source.source_text import Source
from ge_engine.source.syntax import FUNCTIONS, dotted

KINDS = ("Max", "Avg")
REWRITES: Mapping[tuple[str, str], Rewrite] = {
    **{("nn", name): call_rewrites.activation_layer for name in ACTIVATION_LAYERS},
    **{("F", name): call_rewrites.activation_function for name in ACTIVATION_FUNCTIONS},
    **{("torch", name): call_rewrites.activation_function for name in ("relu", "selu")},
    **{
        (module, name): call_rewrites.gate
        for module in ("torch", "F")
        for name in ("sigmoid", "tanh", "hardsigmoid")
    },
    **{("nn", name): call_rewrites.dropout for name in DROPOUTS},
    **{("nn", f"BatchNorm{d}d"): call_rewrites.batch_norm for d in (1, 2, 3)},
    **{("nn", f"Conv{d}d"): convolution_rewrites.convolution for d in (1, 2, 3)},
    **{("nn", f"{k}Pool{d}d"): convolution_rewrites.pool for k in KINDS for d in (1, 2, 3)},
    **{("F", f"{k.lower()}_pool{d}d"): convolution_rewrites.pool_function for k in KINDS for d in (1, 2, 3)},
    **{("nn", f"Adaptive{k}Pool{d}d"): convolution_rewrites.adaptive_pool for k in KINDS for d in (1, 2, 3)},
    **{("optim", name): call_rewrites.optimizer for name in OPTIMIZERS},
    ("nn", "LayerNorm"): call_rewrites.layer_norm,
    ("nn", "Linear"): call_rewrites.linear,
}
OUTPUT_WIDTH = ("out_channels", "num_features", "num_channels", "out_features", "normalized_shape")


@dataclass(frozen=True, slots=True)
class Site:
    """Characters `start`..`end` of a block's code and the `part` that may stand there.

    `same` are spellings that change nothing; they are excluded where a change is asked for. The first of
    them is the old text on one line.
    `lines` are the 1-based first and last line of the site in the block's code.
    """

    start: int
    end: int
    part: Part
    same: tuple[str, ...]
    kind: str
    lines: tuple[int, int]


def find_sites(text: Source, scope: Scope, rng: random.Random, breadth: int) -> list[Site]:
    """All sites of a block, in the order of the text. They may overlap: an expression and its parts.

    `breadth` is how many members of a family are open at once; `rng` draws which.
    """
    offer = Offer(scope, rng, breadth)
    found = []
    closed = _closed(text.tree, scope)
    for node, build in chain(_places(text.tree), stated_places(text), chosen_places(text)):
        made = build(node, text, offer) if node not in closed else None
        if made is not None:
            part, same, kind = made
            start, end = text.span(node)
            found.append(Site(start, end, part, same, kind, (node.lineno, node.end_lineno or node.lineno)))
    return sorted(found, key=lambda site: (site.start, -site.end))


def _closed(tree: ast.AST, scope: Scope) -> set[ast.AST]:
    """What stays as it is: layers whose own attributes the file reads, and what a loss is made of, for a
    rewrite of either breaks what relies on it."""
    closed: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and any(_is_inspected(target, scope) for target in node.targets):
            closed.add(node.value)
        elif is_loss(node):
            closed.update(ast.walk(node))
    return closed


def _is_inspected(target: ast.expr, scope: Scope) -> bool:
    return isinstance(target, ast.Attribute) and target.attr in scope.inspected


def _places(tree: ast.AST) -> Iterator[tuple[ast.expr, Build]]:
    """Every expression with a way to rewrite it; the same expression may come twice."""
    stacked: set[ast.expr] = set()
    for node in ast.walk(tree):
        if isinstance(node, FUNCTIONS):
            yield from tensor_places(node)
        if isinstance(node, ast.Call):
            if dotted(node.func).rpartition(".")[2] == "Sequential":
                stacked.update(node.args)
                yield from (
                    (element, _element(place, len(node.args))) for place, element in enumerate(node.args)
                )
            yield node, _call
            yield from (keyword_place(k.arg, k.value) for k in node.keywords if k.arg)
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Attribute)
            and node.value not in stacked
        ):
            yield node.value, _layer_with_extra


def _call(node: ast.expr, text: Source, offer: Offer) -> Made:
    base = _rewritten(node, offer)
    return None if base is None else (base[0], (text.on_one_line(node), *base[1]), "call")


def _rewritten(node: ast.expr, offer: Offer) -> tuple[Part, tuple[str, ...]] | None:
    """The alternatives of a call of torch, and spellings of the call itself among them."""
    if not isinstance(node, ast.Call) or (member := offer.scope.spelling.read(node.func)) is None:
        return None
    rewrite = REWRITES.get(member)
    arguments = signatures.bind(*member, node) if rewrite else None
    if rewrite is None or arguments is None:
        return None
    part = rewrite(offer, member[1], arguments)
    plain = {key: value for key, value in arguments.items() if key != "inplace"}
    return None if part is None else (part, (_spelled(dotted(node.func), *member, plain),))


def _spelled(function: str, module: str, name: str, arguments: Mapping[str, str]) -> str:
    shown = dict(arguments)
    if "Pool" in name or "_pool" in name:
        if shown.get("stride") in (shown.get("kernel_size"), "None"):
            shown.pop("stride", None)
        pairs = [
            f"{key}={shown[key]}" for key in ("kernel_size", "stride", "padding", "dilation") if key in shown
        ]
        return f"{function}({', '.join([*([shown['input']] if 'input' in shown else []), *pairs])})"
    text = call_text(function, module, name, shown)
    if name.startswith("Conv"):
        head = f"{function}({shown['in_channels']}, {shown['out_channels']}, "
        return text.replace(head, head + "kernel_size=", 1) if "kernel_size=" not in text else text
    return text


def _layer_with_extra(node: ast.expr, text: Source, offer: Offer) -> Made:
    """`self.name = LAYER`: the layer, or the layer followed by one more that keeps its shape."""
    stack = offer.write("nn", "Sequential")
    if (
        not isinstance(node, ast.Call)
        or stack is None
        or dotted(node.func).rpartition(".")[2] == "Sequential"
    ):
        return None
    width, dimension = _output(node, offer)
    if not dimension:
        return None
    more = either(offer.some(call_rewrites.extras(offer, width, dimension), 2))
    return (f"{stack}({text.on_one_line(node)}, ", more, ")"), (text.on_one_line(node),), "extra"


def _output(node: ast.Call, offer: Offer) -> tuple[str, str]:
    """(width expression, "2d"...) of a layer's output as far as its call tells."""
    member = offer.scope.spelling.read(node.func)
    if member is None or member[0] != "nn" or member not in REWRITES:
        return "", ""
    bound = signatures.bind(*member, node) or {}
    dimension = member[1][-2:] if member[1][-1] == "d" else ""
    return next((bound[name] for name in OUTPUT_WIDTH if name in bound), ""), dimension


def _element(place: int, count: int) -> Build:
    """An element of nn.Sequential: followed by one more layer, repeated or dropped where shapes allow."""

    def build(node: ast.expr, text: Source, offer: Offer) -> Made:
        own = text.on_one_line(node)
        width, dimension = _element_width(node, offer)
        options: list[Part] = []
        if offer.scope.owner is not None and (
            (isinstance(node, ast.Call) and place < count - 1) or dimension
        ):
            options += [
                (f"{own}, ", extra)
                for extra in offer.some(call_rewrites.extras(offer, width, dimension or "2d"), 3)
            ]
        if _keeps_shape(node, offer):
            options.append(f"{own}, {own}")
            identity = offer.write("nn", "Identity")
            if identity is not None and count > 1:
                options.append(f"{identity}()")
        return (either(options), (own,), "element") if options else None

    return build


def _element_width(node: ast.expr, offer: Offer) -> tuple[str, str]:
    if not isinstance(node, ast.Call):
        return "", ""
    width, dimension = _output(node, offer)
    if dimension or dotted(node.func) not in offer.scope.classes or not node.args:
        return width, dimension
    last = node.args[-1]
    return (str(last.value), "2d") if isinstance(last, ast.Constant) and type(last.value) is int else ("", "")


def _keeps_shape(node: ast.expr, offer: Offer) -> bool:
    """A class of this file that is given one width, or twice the same one: its output is as its input."""
    if not isinstance(node, ast.Call) or dotted(node.func) not in offer.scope.classes:
        return False
    widths = {ast.unparse(argument) for argument in node.args}
    return len(widths) == 1 and not node.keywords
