"""A block's text with choices at a few places: what the `block` form lets a model write."""

from __future__ import annotations

import ast
import random
from collections.abc import Sequence
from dataclasses import dataclass

from ge_engine.contracts import Target
from ge_engine.grammar import layers, members, statements
from ge_engine.grammar.families import SCALES, Options
from ge_engine.grammar.flow import Spot, spots
from ge_engine.grammar.layers import Offer
from ge_engine.grammar.making import BREADTH, changed_only, disjoint, sites_of
from ge_engine.grammar.scope import Function, method, scope_of
from ge_engine.grammar.sites import Site, Text
from ge_engine.grammar.template import Part, either

OPEN_SITES = 5
FREE = 0.25
LAYER_NAMES = ("extra", "mixer", "refine", "context", "branch", "smooth", "detail", "focus")
NAME = "\0"


@dataclass(frozen=True, slots=True)
class Piece:
    """`part` in place of characters `start`..`end` of the block's code."""

    start: int
    end: int
    part: Part


@dataclass(frozen=True, slots=True)
class Draft:
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


def draft_of(target: Target, code: str, rng: random.Random) -> Draft | None:
    """Open a few places, of which one or two must change; None when the block has none."""
    scope = scope_of(target.genome, target.address)
    text, tree, offer = Text(code), ast.parse(code), Offer(scope, rng, BREADTH)
    forward = _forward(tree)
    found = spots(forward, scope) if forward is not None else []
    free = rng.random() < FREE
    whole = list(statements.sites(statements.places(forward, scope), text, offer, free)) if forward else []
    chosen = disjoint([*sites_of(target, rng), *whole], rng, OPEN_SITES, by_lines=False)
    if not chosen:
        return None
    must = rng.sample(chosen, min(len(chosen), rng.choice((1, 1, 2))))
    pieces = tuple(_piece(site, code, site in must) for site in chosen)
    plain = Draft(code, pieces)
    return _with_fresh_layer(plain, tree, found, text, offer) or plain


def filled(code: str, start: int, end: int, pieces: Sequence[Piece]) -> Part:
    """The code between two offsets with the pieces that lie there in place."""
    parts: list[Part] = []
    for piece in sorted(pieces, key=lambda piece: piece.start):
        if start <= piece.start and piece.end <= end:
            parts += [code[start : piece.start], piece.part]
            start = piece.end
    return (*parts, code[start:end])


def named(piece: Piece, name: str) -> Piece:
    """The piece with a new layer's name put in."""
    return Piece(piece.start, piece.end, _replaced(piece.part, name))


def _replaced(part: Part, name: str) -> Part:
    if isinstance(part, str):
        return part.replace(NAME, name)
    if isinstance(part, tuple):
        return tuple(_replaced(piece, name) for piece in part)
    return either(_replaced(option, name) for option in part.options)


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
        return method(first, "forward")
    if isinstance(first, Function) and (first.name == "forward" or len(first.args.args) == 1):
        return first
    return None


def _with_fresh_layer(
    plain: Draft, tree: ast.Module, found: list[Spot], text: Text, offer: Offer
) -> Draft | None:
    """Let `__init__` assign a new layer, where the block is a class whose forward pass has known widths."""
    first = tree.body[0]
    init = method(first, "__init__") if isinstance(first, ast.ClassDef) else None
    forward = method(first, "forward") if isinstance(first, ast.ClassDef) else None
    if init is None or forward is None or init.lineno > forward.lineno or offer.rng.random() < 0.4:
        return None
    widths = sorted({spot.width for spot in found if spot.width})
    names = [name for name in LAYER_NAMES if f"self.{name}" not in plain.code]
    if not widths or not names:
        return None
    width = offer.rng.choice(widths)
    cut = text.span(init.body[-1])[1]
    use = tuple(_use(spot, text, offer) for spot in found if spot.width == width)
    tail = min([p.start for p in plain.pieces if p.start >= cut] + [u.start for u in use])
    line = (
        "\n" + " " * init.body[-1].col_offset,
        "self.",
        either(offer.some(names, 3)),
        " = ",
        _new_layer(width, offer),
    )
    fresh = line if offer.rng.random() < 0.6 else either(["", line])
    return Draft(plain.code, plain.pieces, cut, fresh, use, plain.code[cut:tail])


def _new_layer(width: str, offer: Offer) -> Part:
    """One to three layers that keep (batch, `width`, height, width of the image)."""
    pools = [
        f"{text}(kernel_size=3, stride=1, padding=1)"
        for n in ("MaxPool2d", "AvgPool2d")
        if (text := offer.write("nn", n))
    ]
    one = layers.extras(offer, width, "2d") + list(pools)
    if conv := offer.write("nn", "Conv2d"):
        one.append((f"{conv}({width}, {width}, kernel_size=1", either(["", ", bias=False"]), ")"))
    written = [(t, k) for name, k in members.layers().items() if (t := offer.write("nn", name)) is not None]
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


def _use(spot: Spot, text: Text, offer: Offer) -> Piece:
    """The statement followed by a call of the new layer on its value."""
    start, end = text.span(spot.statement)
    variable = spot.variable or "out"
    indent = "\n" + " " * spot.statement.col_offset
    called = f"self.{NAME}({variable})"
    options: list[Part] = [
        called,
        f"{variable} + {called}",
        (f"{variable} + ", either(offer.some(SCALES)), f" * {called}"),
    ]
    if gate := offer.write("torch", "sigmoid"):
        options.append(f"{variable} * {gate}({called})")
    close = "" if spot.variable else f"{indent}return {variable}"
    return Piece(
        start, end, (statements.opened(spot, text), f"{indent}{variable} = ", either(options), close)
    )
