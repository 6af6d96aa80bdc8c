"""Expressions over what is in scope where a statement stands: finite, bounded in depth, well formed."""

from __future__ import annotations

from dataclasses import dataclass

from ge_engine.grammar import shape_preserving
from ge_engine.grammar.catalog import SCALES
from ge_engine.grammar.choices import Part, either
from ge_engine.grammar.offer import Offer, keyword_choices

DEPTH = 2
FEW = 3


@dataclass(frozen=True, slots=True)
class InScope:
    """`values` are texts of tensors that an expression may start from, each a name or a call;
    `attributes` are the layers ("self.act") that it may call."""

    values: tuple[str, ...]
    attributes: tuple[str, ...]


def expression(scope_values: InScope, offer: Offer, depth: int = DEPTH) -> Part:
    """A value in reach, or one operation on expressions of one depth less. `reach.values` is not empty.

    Operations: a function of `F` with its own keywords, an attribute called, a scaled sum, a gate, a scale.
    """
    leaf = either(offer.some(scope_values.values, FEW))
    if not depth:
        return leaf
    inner = expression(scope_values, offer, depth - 1)
    scale = either(offer.some(SCALES, FEW))
    options: list[Part] = [*_called(inner, offer), (scale, " * (", inner, ")")]
    options += [(f"{attribute}(", inner, ")") for attribute in offer.some(scope_values.attributes, FEW)]
    options += [(leaf, " + ", scale, " * (", inner, ")"), ("(", inner, ") - (", scale, " * ", leaf, ")")]
    if gate := offer.write("torch", "sigmoid"):
        options.append((leaf, f" * {gate}(", inner, ")"))
    return either(offer.some(options, 4))


def _called(inner: Part, offer: Offer) -> list[Part]:
    """Functions of `F`, each keyword at most once and in the order of the signature."""
    written = [
        (text, keywords)
        for name, keywords in shape_preserving.functions().items()
        if (text := offer.write("F", name)) is not None
    ]
    chosen = offer.rng.sample(written, min(FEW, len(written)))
    return [(f"{text}(", inner, *keyword_choices(keywords), ")") for text, keywords in chosen]
