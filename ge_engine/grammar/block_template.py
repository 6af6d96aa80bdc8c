"""A block's text with choices at a few places: what the `block` form lets a model write."""

from __future__ import annotations

import ast
import random
from collections.abc import Sequence
from dataclasses import dataclass

from ge_engine.contracts import Target
from ge_engine.grammar import call_rewrites, crossover_material, shape_preserving, statements
from ge_engine.grammar.catalog import SCALES, Options
from ge_engine.grammar.channel_inference import TensorStatement, tensor_statements
from ge_engine.grammar.choices import Part, either
from ge_engine.grammar.expressions import InScope, expression
from ge_engine.grammar.lark_builder import BREADTH, changed_only, disjoint, sites_of, source_of
from ge_engine.grammar.offer import Offer
from ge_engine.grammar.rewrite_sites import Site
from ge_engine.grammar.scope import Scope, scope_of
from ge_engine.source.source_text import Source
from ge_engine.source.syntax import Function, method_of

OPEN_SITES = 5
FREE = 0.25
MOST_SWAPS = 3
LAYER_NAMES = ("extra", "mixer", "refine", "context", "branch", "smooth", "detail", "focus")
OPEN, CLOSE = "\0", "\1"


@dataclass(frozen=True, slots=True)
class Piece:
    """`part` in place of characters `start`..`end` of the block's code."""

    start: int
    end: int
    part: Part


@dataclass(frozen=True, slots=True)
class BlockTemplate:
    """A block's code with choices. With `cut`, the answer has two parts that meet there: `fresh` is the
    new layer that may end the first, and `use` are the places of the second of which one must call it.
    `marker` is text that only the second part has."""

    code: str
    pieces: tuple[Piece, ...]
    cut: int = 0
    fresh: Part = ""
    use: tuple[Piece, ...] = ()
    marker: str = ""

    def head(self) -> Part:
        """The first part."""
        return (filled(self.code, 0, self.cut, self.pieces), self.fresh)


def template_of(target: Target, code: str, rng: random.Random) -> BlockTemplate | None:
    """Open a few places, of which one or two must change; None when the block has none."""
    scope = scope_of(target.genome, target.address)
    text, offer = source_of(target), Offer(scope, rng, BREADTH)
    tree = text.tree
    forward = _forward(tree)
    found = tensor_statements(forward, scope) if forward is not None else []
    free = rng.random() < FREE
    whole = list(statements.sites(statements.places(forward, scope), text, offer, free)) if forward else []
    chosen, must = _drawn(
        [*sites_of(target, rng), *whole], _mates(target, text, scope, rng), target, code, rng
    )
    if not chosen:
        return None
    pieces = tuple(_piece(site, code, site in must) for site in chosen)
    plain = BlockTemplate(code, pieces)
    return _with_fresh_layer(plain, tree, found, text, offer) or plain


def _mates(target: Target, text: Source, scope: Scope, rng: random.Random) -> list[Site]:
    """Statements of the other parent, of which one stays out when there are several: the child is neither."""
    found = crossover_material.sites(text, target.material, target.genome, scope) if target.material else []
    most = max(1, min(MOST_SWAPS, len(found) - 1))
    return disjoint(found, rng, most, by_lines=False)


def _drawn(
    own: list[Site], mates: list[Site], target: Target, code: str, rng: random.Random
) -> tuple[list[Site], list[Site]]:
    """Which places are open, and which of them must change: one or two, of the other parent where it offers
    any. With a single statement of the other parent, a place that both have alike must change as well; where
    there is none, taking it would only repeat the other parent, and the block's own places are left."""
    rest = [site for site in own if all(site.end <= m.start or m.end <= site.start for m in mates)]
    alike = (
        [site for site in rest if crossover_material.untouched(site, code, target.material)] if mates else []
    )
    forced = [rng.choice(alike)] if len(mates) == 1 and alike else []
    if len(mates) == 1 and not forced:
        mates, rest = [], own
    rest = [site for site in rest if all(site.end <= f.start or f.end <= site.start for f in forced)]
    others = disjoint(rest, rng, OPEN_SITES - len(mates) - len(forced), by_lines=False)
    chosen = sorted([*mates, *forced, *others], key=lambda site: site.start)
    pool = mates or chosen
    return chosen, [*rng.sample(pool, min(len(pool), rng.choice((1, 1, 2)))), *forced]


def filled(code: str, start: int, end: int, pieces: Sequence[Piece]) -> Part:
    """The code between two offsets with the pieces that lie there in place."""
    parts: list[Part] = []
    for piece in sorted(pieces, key=lambda piece: piece.start):
        if start <= piece.start and piece.end <= end:
            parts += [code[start : piece.start], piece.part]
            start = piece.end
    return (*parts, code[start:end])


def named(piece: Piece, names: Sequence[str]) -> Piece:
    """The piece with the new layers put in, the first one called first."""
    calls = "".join(f"self.{name}(" for name in reversed(names))
    return Piece(piece.start, piece.end, _replaced(piece.part, calls, ")" * len(names)))


def _replaced(part: Part, calls: str, close: str) -> Part:
    if isinstance(part, str):
        return part.replace(OPEN, calls).replace(CLOSE, close)
    if isinstance(part, tuple):
        return tuple(_replaced(piece, calls, close) for piece in part)
    return either(_replaced(option, calls, close) for option in part.options)


def _piece(site: Site, code: str, must: bool) -> Piece:
    own = code[site.start : site.end]
    if not must:
        return Piece(site.start, site.end, either([own, site.part]))
    changed = changed_only(site.part, {*site.same, own})
    return Piece(site.start, site.end, own if changed is None else changed)


def _forward(tree: ast.Module) -> Function | None:
    """The block's forward pass: the method of that name, or the function that the block is."""
    first = tree.body[0]
    if isinstance(first, ast.ClassDef):
        return method_of(first, "forward")
    if isinstance(first, Function) and (first.name == "forward" or len(first.args.args) == 1):
        return first
    return None


def _with_fresh_layer(
    plain: BlockTemplate, tree: ast.Module, found: list[TensorStatement], text: Source, offer: Offer
) -> BlockTemplate | None:
    """Let `__init__` assign a new layer, where the block is a class whose forward pass has known widths."""
    first = tree.body[0]
    init = method_of(first, "__init__") if isinstance(first, ast.ClassDef) else None
    forward = method_of(first, "forward") if isinstance(first, ast.ClassDef) else None
    if init is None or forward is None or init.lineno > forward.lineno or offer.rng.random() < 0.4:
        return None
    widths = sorted({tensor.width for tensor in found if tensor.width})
    names = [name for name in LAYER_NAMES if f"self.{name}" not in plain.code]
    if not widths or not names:
        return None
    width = offer.rng.choice(widths)
    cut = text.span(init.body[-1])[1]
    use = tuple(_use(tensor, text, offer) for tensor in found if tensor.width == width)
    tail = min([p.start for p in plain.pieces if p.start >= cut] + [u.start for u in use])
    drawn = offer.some(names, 3)
    fresh = _line(init, drawn[:2], width, offer)
    if len(drawn) > 2 and offer.rng.random() < 0.3:
        fresh = (fresh, either(["", _line(init, drawn[2:], width, offer)]))
    fresh = fresh if offer.rng.random() < 0.6 else either(["", fresh])
    return BlockTemplate(plain.code, plain.pieces, cut, fresh, use, plain.code[cut:tail])


def _line(init: Function, names: Sequence[Part], width: str, offer: Offer) -> Part:
    """A new attribute of `__init__`."""
    return ("\n" + " " * init.body[-1].col_offset, "self.", either(names), " = ", _new_layer(width, offer))


def _new_layer(width: str, offer: Offer) -> Part:
    """One to three layers that keep (batch, `width`, height, width of the image)."""
    pools = [
        f"{text}(kernel_size=3, stride=1, padding=1)"
        for n in ("MaxPool2d", "AvgPool2d")
        if (text := offer.write("nn", n))
    ]
    one = call_rewrites.extras(offer, width, "2d") + list(pools)
    if conv := offer.write("nn", "Conv2d"):
        one.append((f"{conv}({width}, {width}, kernel_size=1", either(["", ", bias=False"]), ")"))
    written = [
        (t, k) for name, k in shape_preserving.layers().items() if (t := offer.write("nn", name)) is not None
    ]
    for text, keywords in offer.rng.sample(written, min(3, len(written))):
        one.append(_layer(text, keywords))
    layer = either(one)
    stack = offer.write("nn", "Sequential")
    if stack is None:
        return layer
    return either([layer, (f"{stack}(", layer, ", ", layer, either(["", (", ", layer)]), ")")])


def _layer(text: str, keywords: Options) -> Part:
    """A layer that needs no argument, with one of its own keywords or none."""
    given = [f"{key}={value}" for key, values in keywords.items() for value in values]
    return (f"{text}(", either(["", *given]), ")")


def _use(tensor: TensorStatement, text: Source, offer: Offer) -> Piece:
    """The statement followed by a call of the new layer on its value."""
    start, end = text.span(tensor.statement)
    variable = tensor.variable or "out"
    indent = "\n" + " " * tensor.statement.col_offset
    called = f"{OPEN}{variable}{CLOSE}"
    options: list[Part] = [
        called,
        f"{variable} + {called}",
        (f"{variable} + ", either(offer.some(SCALES)), f" * {called}"),
        expression(InScope((called,), ()), offer),
    ]
    if gate := offer.write("torch", "sigmoid"):
        options.append(f"{variable} * {gate}({called})")
    close = "" if tensor.variable else f"{indent}return {variable}"
    return Piece(
        start, end, (statements.opened(tensor, text), f"{indent}{variable} = ", either(options), close)
    )
