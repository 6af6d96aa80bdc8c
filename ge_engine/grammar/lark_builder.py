"""A block and a grammar template -> a concrete grammar.

A template is a `.lark` file of `ge_grammars` whose comment says what it admits; the terminals that it names
and does not define are made here from the block. All choices are regular, so each part of an answer is one
terminal, from which the strings that must not come back are taken out exactly.
"""

from __future__ import annotations

import importlib.resources
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from ge_engine.contracts import Constraint, Target
from ge_engine.grammar.choices import (
    NOTHING,
    Part,
    remove,
    to_lark,
)
from ge_engine.grammar.rewrite_sites import Site, find_sites
from ge_engine.grammar.scope import scope_of
from ge_engine.source.language import LANGUAGES
from ge_engine.source.source_text import Source

BREADTH = 5


@dataclass(frozen=True, slots=True)
class Parts(Constraint):
    """A constraint whose parts do not depend on each other: each is Lark text, in order."""

    texts: tuple[str, ...]

    def part(self, so_far: str) -> str | None:
        """The whole text at the start, nothing after."""
        return self.texts[0] if not so_far else None

    def whole(self) -> str:
        return self.texts[0]


@cache
def template(name: str) -> str:
    """The text of a `.lark` file that ships with the engine."""
    return (importlib.resources.files("ge_grammars") / f"{name}.lark").read_text("utf-8")


def make(name: str, terminals: Mapping[str, str]) -> str:
    """A template with its open terminals defined."""
    defined = "".join(f"{terminal}: {body}\n" for terminal, body in terminals.items())
    return f"{template(name)}\n{defined}"


def without(part: Part, excluded: Iterable[str]) -> str | None:
    """The body of a terminal for `part` minus `excluded`; None when nothing is left."""
    left = remove(part, frozenset(excluded))
    return None if left == NOTHING else to_lark(left)


def changed_only(part: Part, same: Iterable[str]) -> Part | None:
    """The part without the spellings that change nothing; None when it has no other."""
    left = remove(part, frozenset(same))
    return None if left == NOTHING else left


def rng_of(target: Target, purpose: str) -> random.Random:
    """What a target leaves open is drawn from its `seed`, its address and the purpose, from nothing else."""
    return random.Random(f"{target.seed}/{target.address}/{purpose}")


def sites_of(target: Target, rng: random.Random, breadth: int = BREADTH) -> list[Site]:
    """The places where the target's block can change."""
    return find_sites(source_of(target), scope_of(target.genome, target.address), rng, breadth)


def source_of(target: Target) -> Source:
    """The code of the target's block with its tree."""
    block = target.genome.blocks[target.address]
    return LANGUAGES[block.language].source(block.code)


def disjoint(sites: Sequence[Site], rng: random.Random, most: int, by_lines: bool) -> list[Site]:
    """Up to `most` random sites that do not overlap, in the order of the text."""
    chosen: list[Site] = []
    for site in rng.sample(list(sites), len(sites)):
        if len(chosen) == most:
            break
        if all(_apart(site, other, by_lines) for other in chosen):
            chosen.append(site)
    return sorted(chosen, key=lambda site: site.start)


def _apart(a: Site, b: Site, by_lines: bool) -> bool:
    if by_lines:
        return a.lines[1] < b.lines[0] or b.lines[1] < a.lines[0]
    return a.end <= b.start or b.end <= a.start
