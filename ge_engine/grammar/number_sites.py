"""Numbers that may become others: those of a literal that is given a name, and floats handed to a call."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from ge_engine.grammar.catalog import FLOATS, RATIO_NAMES
from ge_engine.grammar.choices import either
from ge_engine.grammar.offer import Offer
from ge_engine.grammar.tensor_sites import Build, Made
from ge_engine.source.source_text import Source
from ge_engine.structure.numbers import SMALLEST_WIDTH, TABLED, Number, alternatives, resized, stated_numbers

FACTORS = (0.25, 0.5, 0.75, 1.25, 1.5, 2.0)


def stated_places(code: Source) -> Iterator[tuple[ast.expr, Build]]:
    """The numbers of lists, tuples, dictionaries, attributes, fields and defaults."""
    for node, name in stated_numbers(code):
        yield (
            node,
            _replaced(_floats(name, node.value) if type(node.value) is float else _integers(node, name)),
        )


def chosen_places(code: Source) -> Iterator[tuple[ast.expr, Build]]:
    """Literals that are no numbers and have a few other values."""
    return ((node, _replaced(options)) for node, options in code.choices())


def keyword_place(name: str, value: ast.expr) -> tuple[ast.expr, Build]:
    """A float or a ratio given by keyword to something that has no rewrite of its own."""
    options: Sequence[str] = ()
    if isinstance(value, ast.Constant) and type(value.value) is float:
        options = _floats(name, value.value)
    elif (
        isinstance(value, ast.Constant)
        and type(value.value) is int
        and name in RATIO_NAMES
        and value.value > 0
    ):
        ratio = value.value
        options = [str(n) for n in sorted({max(1, ratio // 2), ratio + 1, ratio * 2} - {ratio})]
    return value, _replaced(options)


def _integers(node: ast.Constant, name: str) -> list[str]:
    assert isinstance(node.value, int)
    if node.value >= SMALLEST_WIDTH and name not in TABLED:
        return [str(value) for value in resized(node.value, FACTORS)]
    return [str(value) for value in alternatives(Number(node, node.value, name))]


def _floats(name: str, value: float) -> list[str]:
    near = FLOATS.get(name) or tuple(f"{value * factor:.4g}" for factor in (0.25, 0.5, 0.75, 1.5, 2, 4))
    return [n for n in near if float(n) != value and (value >= 1 or float(n) < 1)]


def _replaced(options: Sequence[str]) -> Build:
    def build(node: ast.expr, text: Source, offer: Offer) -> Made:
        spelled = [text.spelled(node, one) for one in options]
        return (either(offer.some(spelled)), (text.on_one_line(node),), "number") if options else None

    return build
