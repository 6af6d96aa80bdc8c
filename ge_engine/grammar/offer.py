"""What a rewrite may use: what is in scope, and a draw of which alternatives are open this time."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterable, Mapping

from ge_engine.grammar import signatures
from ge_engine.grammar.catalog import Options
from ge_engine.grammar.choices import Part, either
from ge_engine.grammar.scope import Scope

Arguments = Mapping[str, str]
Rewrite = Callable[["Offer", str, Arguments], Part | None]
FACTORS = (2, 3, 4, 6, 8)


class Offer:
    """What a rewrite may use: the scope, and a draw of which alternatives are open this time."""

    def __init__(self, scope: Scope, rng: random.Random, breadth: int) -> None:
        self.scope = scope
        self.rng = rng
        self.breadth = breadth

    def some(self, options: Iterable[Part], share: int = 0) -> list[Part]:
        """A random few of `options`, `breadth` of them unless `share` says how many."""
        pool = list(options)
        wanted = min(share or self.breadth, len(pool))
        return [pool[i] for i in sorted(self.rng.sample(range(len(pool)), wanted))]

    def write(self, module: str, name: str) -> str | None:
        """The spelling of a member that exists and is in reach, else None."""
        return self.scope.spelling.write(module, name) if signatures.exists(module, name) else None


def call_text(function: str, module: str, name: str, arguments: Arguments) -> str:
    """The call: positional arguments for what has no default, keywords for what differs from its default."""
    positional: list[str] = []
    keywords: list[str] = []
    for parameter, value in signatures.parameters(module, name):
        text = arguments.get(parameter)
        if value is inspect.Parameter.empty and text is not None and not keywords:
            positional.append(text)
        elif text is not None and text != repr(value):
            keywords.append(f"{parameter}={text}")
    return f"{function}({', '.join(positional + keywords)})"


def keyword_choices(keywords: Options) -> tuple[Part, ...]:
    """Each keyword at most once, in a fixed order, each left out or given a value."""
    return tuple(either(["", *(f", {key}={value}" for value in values)]) for key, values in keywords.items())


def divides(offer: Offer, factor: int, expression: str) -> bool:
    """Whether all values that a width takes are multiples of the factor."""
    widths = offer.scope.width(expression)
    return bool(widths) and all(width % factor == 0 for width in widths)
